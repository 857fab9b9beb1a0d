//! TLS between nodes and for clients: the files of a node, what follows from them, and why a connection is refused.
//!
//! All certificates are of one authority, that of the cluster. A node proves with its certificate, which names its number
//! and the cluster, who it is; clients are shown the same certificate, and give a password.

pub mod authority;
mod refusal;

pub use refusal::Refusal;

use core::fmt;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use synod::NodeId;

/// The files of a node for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate of the authority.
    pub ca: PathBuf,
    /// The certificate of the node, and those between it and the authority.
    pub certificate: PathBuf,
    /// The key of the node.
    pub key: PathBuf,
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    path: PathBuf,
    what: String,
}

impl TlsError {
    fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl core::error::Error for TlsError {}

/// Returns the name of a node in its certificate.
pub fn node_name(cluster: u64, node: NodeId) -> String {
    format!("node-{}.{cluster:016x}.synod", node.0)
}

/// Returns that name as one that a certificate is held against.
fn server_name(cluster: u64, node: NodeId) -> ServerName<'static> {
    // It is made of letters, digits, hyphens and dots.
    ServerName::try_from(node_name(cluster, node)).unwrap_or_else(|_| nobody())
}

/// Returns an address that no certificate names.
fn nobody() -> ServerName<'static> {
    ServerName::IpAddress(core::net::IpAddr::from([0, 0, 0, 0]).into())
}

/// What a node has for TLS.
#[derive(Clone, Debug)]
pub struct Identity {
    cluster: u64,
    /// For connections that other nodes dial.
    pub(crate) nodes: Arc<ServerConfig>,
    /// For connections that this node dials.
    pub(crate) dials: Arc<ClientConfig>,
    /// For connections of clients.
    pub(crate) clients: Arc<ServerConfig>,
}

impl Identity {
    /// Reads the files of a node, and holds its certificate against its number and its authority.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: a file cannot be read, or the others would refuse this node.
    pub fn load(files: &Files, cluster: u64, node: NodeId) -> Result<Self, TlsError> {
        let roots = roots(&files.ca)?;
        let chain = certificates(&files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| unreadable(&files.key, error))?;
        let provider = Arc::new(ring::default_provider());
        let unusable = |error: rustls::Error| TlsError::new(&files.certificate, error);
        let as_client =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
                .build()
                .map_err(|error| TlsError::new(&files.ca, error))?;
        let name = server_name(cluster, node);
        check(files, &chain, &name, (&roots, &provider), &as_client)?;
        let other_key = |error| {
            let what = format!(
                "is not the key of {} ({error})",
                files.certificate.display()
            );
            TlsError::new(&files.key, what)
        };
        let server = |versions, for_nodes| {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)
                .map_err(unusable)?;
            let builder = if for_nodes {
                builder.with_client_cert_verifier(Arc::clone(&as_client))
            } else {
                builder.with_no_client_auth()
            };
            let mut config = builder
                .with_single_cert(chain.clone(), key.clone_key())
                .map_err(other_key)?;
            // Every connection proves anew who is there: an old one says nothing about a certificate that has expired.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(Arc::new(config))
        };
        let mut dials = client(&roots, &provider, &[&TLS13])
            .map_err(unusable)?
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(other_key)?;
        close_down(&mut dials);
        Ok(Self {
            cluster,
            nodes: server(&[&TLS13], true)?,
            clients: server(&[&TLS13, &TLS12], false)?,
            dials: Arc::new(dials),
        })
    }

    /// Returns the name that a node must prove.
    pub(crate) fn name_of(&self, node: NodeId) -> ServerName<'static> {
        server_name(self.cluster, node)
    }
}

/// Holds the certificate of a node against its name and its authority, as the others will.
fn check(
    files: &Files,
    chain: &[CertificateDer<'_>],
    name: &ServerName<'_>,
    (roots, provider): (&Arc<RootCertStore>, &Arc<CryptoProvider>),
    as_client: &Arc<dyn ClientCertVerifier>,
) -> Result<(), TlsError> {
    let Some((own, between)) = chain.split_first() else {
        return Err(unreadable(&files.certificate, PemError::NoItemsFound));
    };
    let as_server =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
            .build()
            .map_err(|error| TlsError::new(&files.ca, error))?;
    let now = UnixTime::now();
    as_server
        .verify_server_cert(own, between, name, &[], now)
        .and_then(|_| as_client.verify_client_cert(own, between, now))
        .map(|_| ())
        .map_err(|error| {
            let what = Refusal::of_error(&error, name);
            TlsError::new(
                &files.certificate,
                format_args!("the others would refuse this node: {what}"),
            )
        })
}

/// Whom somebody trusts who asks a server.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(crate) config: Arc<ClientConfig>,
    /// The name that the server must prove; `None` for its address.
    name: Option<ServerName<'static>>,
}

impl Trust {
    /// Trusts servers whose certificates are of this authority, and name `name` or else the address that is dialled.
    ///
    /// # Errors
    ///
    /// [`TlsError`]: the file cannot be read, or the name is none.
    pub fn load(ca: &Path, name: Option<&str>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = client(&roots(ca)?, &provider, &[&TLS13, &TLS12]);
        let mut config = builder
            .map_err(|error| TlsError::new(ca, error))?
            .with_no_client_auth();
        close_down(&mut config);
        let parse = |name: &str| {
            ServerName::try_from(name.to_owned())
                .map_err(|_| TlsError::new(Path::new(name), "is no name of a server"))
        };
        Ok(Self {
            config: Arc::new(config),
            name: name.map(parse).transpose()?,
        })
    }

    /// Returns the name that a server must prove which is dialled at this address.
    pub(crate) fn name(&self, address: core::net::SocketAddr) -> ServerName<'static> {
        let by_address = || ServerName::IpAddress(address.ip().into());
        self.name.clone().unwrap_or_else(by_address)
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}

impl Eq for Trust {}

/// Begins the settings of whoever dials.
fn client(
    roots: &Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?;
    Ok(builder.with_root_certificates(Arc::clone(roots)))
}

/// Turns off what nobody here needs: sessions that go on, and names that are sent in plain text.
fn close_down(config: &mut ClientConfig) {
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
}

/// Reads the certificate of an authority.
fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::new(path, error))?;
    }
    Ok(Arc::new(roots))
}

/// Reads certificates.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(path, error));
    match read {
        Ok(none) if none.is_empty() => Err(unreadable(path, PemError::NoItemsFound)),
        read => read,
    }
}

/// Returns why a file of PEM is not used.
fn unreadable(path: &Path, error: PemError) -> TlsError {
    match error {
        PemError::Io(error) => TlsError::new(path, error),
        PemError::NoItemsFound => {
            TlsError::new(path, "holds nothing in PEM of the kind that is expected")
        }
        other => TlsError::new(path, other),
    }
}
