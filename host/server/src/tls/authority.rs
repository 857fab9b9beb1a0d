//! The authority of a cluster: makes the certificates of its nodes.

use super::node_name;
use core::net::IpAddr;
use core::time::Duration;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, Error, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use std::time::{SystemTime, UNIX_EPOCH};
use synod::NodeId;

/// How long certificates are valid: for as long as a small fleet is in use, as nothing here renews them.
const VALID: Duration = Duration::from_hours(20 * 365 * 24);

/// A certificate and its key, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl core::fmt::Debug for Pair {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

/// The authority of a cluster.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cluster: u64,
    until: Duration,
}

impl Authority {
    /// Creates an authority whose certificates are valid until then, counted from 1970: see [`usual_end`].
    ///
    /// # Errors
    ///
    /// The system has no randomness.
    pub fn create(cluster: u64, until: Duration) -> Result<(Self, Pair), Error> {
        let key = KeyPair::generate()?;
        let certificate = params(cluster, until).self_signed(&key)?;
        let pair = Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        let issuer = Issuer::new(params(cluster, until), key);
        let authority = Self {
            issuer,
            cluster,
            until,
        };
        Ok((authority, pair))
    }

    /// Takes up an authority that was created before, from its key: everything else of it follows from the cluster.
    ///
    /// # Errors
    ///
    /// It is no key in PEM.
    pub fn with_key(cluster: u64, key: &str, until: Duration) -> Result<Self, Error> {
        Ok(Self {
            issuer: Issuer::new(params(cluster, until), KeyPair::from_pem(key)?),
            cluster,
            until,
        })
    }

    /// Makes the key and the certificate of a node, which clients reach at these addresses and under these names.
    ///
    /// # Errors
    ///
    /// A name is none, or the system has no randomness.
    pub fn certify(
        &self,
        node: NodeId,
        addresses: &[IpAddr],
        names: &[String],
    ) -> Result<Pair, Error> {
        let own = node_name(self.cluster, node);
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, own.as_str());
        let dns = core::iter::once(&own).chain(names);
        for name in dns {
            let name = Ia5String::try_from(name.as_str())?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        let addresses = addresses.iter().copied().map(SanType::IpAddress);
        params.subject_alt_names.extend(addresses);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        set_time(&mut params, self.until);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

/// Returns what an authority is.
fn params(cluster: u64, until: Duration) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = format!("Synod cluster {cluster:016x}");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_time(&mut params, until);
    params
}

/// Sets how long a certificate is valid. The beginning is long ago, so that a clock that is behind keeps nobody out.
fn set_time(params: &mut CertificateParams, until: Duration) {
    params.not_before = date_time_ymd(1970, 1, 1);
    params.not_after = date_time_ymd(1970, 1, 1) + until;
}

/// Returns the usual end of new certificates, counted from 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "a certificate ends at a time of the calendar"
)]
pub fn usual_end() -> Duration {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    Duration::from_secs(unix.unwrap_or_default().as_secs()) + VALID
}
