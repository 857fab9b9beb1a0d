//! Replies to clients, independent of the version of the protocol that a client speaks.

/// A reply to one command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A short status, such as `OK`.
    Status(&'static str),
    /// An integer.
    Integer(i64),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// No value.
    Nil,
    /// An error. The text begins with its code in upper case, such as `ERR`.
    Error(String),
    /// A list of replies.
    Array(Vec<Reply>),
    /// Pairs of a key and a value: a map in RESP3, and a flat array in RESP2.
    Map(Vec<(Reply, Reply)>),
}

impl Reply {
    /// The reply of a command that has nothing else to say.
    pub const OK: Self = Self::Status("OK");

    /// The reply of a command to a key whose value is not an integer.
    pub fn not_an_integer() -> Self {
        Self::Error("ERR value is not an integer or out of range".to_owned())
    }
}
