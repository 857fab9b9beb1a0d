//! Why a connection is refused that does not get through TLS, and what to do.

use core::fmt;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};
use std::io::{self, ErrorKind};

/// Why a connection is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// What has arrived is not TLS.
    NoTls,
    /// What has arrived is TLS, which is not configured.
    Tls,
    /// There is no certificate.
    NoCertificate,
    /// The certificate is of another authority.
    OtherAuthority,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is not that of this name.
    OtherName(String),
    /// The certificate cannot be used for another reason.
    Unusable(String),
    /// The other side does not accept the handshake.
    Alert(AlertDescription),
    /// The other side has hung up in the handshake.
    HungUp,
    /// The handshake was not finished in time.
    Silent,
    /// The handshake has failed for another reason.
    Broken(String),
}

impl Refusal {
    /// Returns why a connection is refused in which an error has occurred. `name` is the one that was to be proved.
    pub(crate) fn of_error(error: &Error, name: &ServerName<'_>) -> Self {
        match error {
            Error::InvalidCertificate(CertificateError::NotValidForName) => Self::other_name(name),
            Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }) => {
                Self::other_name(name)
            }
            other => Self::of_any(other),
        }
    }

    /// Returns that a certificate does not prove this name.
    pub(crate) fn other_name(name: &ServerName<'_>) -> Self {
        Self::OtherName(name.to_str().into_owned())
    }

    /// Returns why a connection is refused in which no name was to be proved.
    pub(crate) fn of_any(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::InvalidEmptyPayload,
            ) => Self::NoTls,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(error) => match error {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    Self::OtherAuthority
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    Self::Expired
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    Self::NotYetValid
                }
                other => Self::Unusable(short(other)),
            },
            Error::AlertReceived(alert) => Self::Alert(*alert),
            other => Self::Broken(short(other)),
        }
    }

    /// Returns why a connection is refused that has ended with this error; `None` if it was not refused.
    pub(crate) fn of_io(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().cloned()
    }
}

/// Returns the text of an error. Strangers choose a part of some of them, so it is not of any length.
fn short(error: &impl fmt::Display) -> String {
    error.to_string().chars().take(160).collect()
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(ErrorKind::InvalidData, refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTls => f.write_str(
                "it does not speak TLS, and this cluster does: a node needs the [tls] of the file of the cluster, and a client the ca.pem",
            ),
            Self::Tls => f.write_str(
                "it speaks TLS, and this node does not: the file of the cluster has no [tls] here (synod init --tls writes one)",
            ),
            Self::NoCertificate => f.write_str(
                "it has shown no certificate: only nodes use this port, with the [tls] of the file of the cluster",
            ),
            Self::OtherAuthority => f.write_str(
                "its certificate is not of the authority of this cluster: make it with synod certify",
            ),
            Self::Expired => {
                f.write_str("its certificate has expired: make a new one with synod certify")
            }
            Self::NotYetValid => {
                f.write_str("its certificate is not valid yet: set the clocks of both machines")
            }
            Self::OtherName(name) => write!(
                f,
                "its certificate is not that of {name}: each node has files of its own, which synod certify makes"
            ),
            Self::Unusable(what) => write!(f, "its certificate cannot be used ({what})"),
            Self::Alert(AlertDescription::UnknownCA) => f.write_str(
                "it does not know the authority of this node: it needs the ca.pem of this cluster",
            ),
            Self::Alert(AlertDescription::CertificateExpired) => f.write_str(
                "it says that the certificate of this node has expired: make a new one with synod certify, or set its clock",
            ),
            Self::Alert(alert) => {
                write!(f, "it does not accept the handshake of this node ({alert:?})")
            }
            Self::HungUp => {
                f.write_str("it has hung up in the handshake: it may speak no TLS; its log says why")
            }
            Self::Silent => f.write_str("it has not finished the handshake in time"),
            Self::Broken(what) => write!(f, "the handshake has failed ({what})"),
        }
    }
}

impl core::error::Error for Refusal {}
