//! How a command reaches a running node: its address, whom to trust, and the password.

use super::node::password;
use core::net::SocketAddr;
use std::path::PathBuf;
use synod_server::admin::Door;
use synod_server::tls::Trust;

/// How a node is reached, as the operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorOptions {
    /// Its address for clients.
    pub address: SocketAddr,
    /// The file with the certificate of the authority of its cluster; `None` for plain text.
    pub tls_ca: Option<PathBuf>,
    /// The name in its certificate; `None` for its address.
    pub tls_name: Option<String>,
    /// The file with the password of clients.
    pub password_file: Option<PathBuf>,
}

impl DoorOptions {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// One of them cannot be used.
    pub(super) fn open(&self) -> Result<Door, String> {
        let name = self.tls_name.as_deref();
        let trust = self.tls_ca.as_deref().map(|ca| Trust::load(ca, name));
        Ok(Door {
            address: self.address,
            trust: trust.transpose().map_err(|error| error.to_string())?,
            password: self.password_file.as_deref().map(password).transpose()?,
        })
    }
}
