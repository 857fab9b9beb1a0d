//! The model of what clients see: the keys of a group and the operations on them, written down from the documentation of
//! Redis. It shares no code with the server, so that a mistake there is none here.

use crate::resp::Reply;
use serde::Serialize;

/// The number of keys of a group. A transaction touches keys of one group, so groups are judged independently.
pub const KEYS: usize = 3;
/// The longest value, in bytes.
const VALUE_MAX: usize = 256;

/// The group of locks: keys that only [`Operation::Lock`] touches. Time ends them, so that they are judged by their times.
pub const LOCKS: u32 = u32::MAX;

/// The number of a key in its group.
pub type Key = usize;

/// An operation on the keys of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `GET`.
    Get(Key),
    /// `SET`.
    Set(Key, String),
    /// `SET … NX`.
    SetNew(Key, String),
    /// `SET … IFEQ`: the key, the value that it must have, and the new one.
    SetIfEqual(Key, String, String),
    /// `DELEX … IFEQ`.
    DeleteIfEqual(Key, String),
    /// `INCR`.
    Increment(Key),
    /// `DEL`.
    Delete(Key),
    /// `APPEND`.
    Append(Key, String),
    /// `MGET`.
    GetAll(Vec<Key>),
    /// `SET … NX PX`: the key, the value, and how long the lock lives, in milliseconds.
    Lock(Key, String, u64),
    /// `MULTI`, these operations, `EXEC`.
    Transaction(Vec<Operation>),
}

/// The values of the keys of a group.
pub type State = [Option<String>; KEYS];

/// Returns the name of a key.
pub fn name(group: u32, key: Key) -> String {
    format!("chaos:{group}:{key}")
}

impl Operation {
    /// Returns the commands, as their words, and the number of replies to them.
    pub fn commands(&self, group: u32) -> Vec<Vec<String>> {
        let words = |words: &[&str], key: Key, more: &[&str]| {
            let mut all: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            all.push(name(group, key));
            all.extend(more.iter().map(|word| (*word).to_owned()));
            vec![all]
        };
        match self {
            Self::Get(key) => words(&["GET"], *key, &[]),
            Self::Set(key, value) => words(&["SET"], *key, &[value]),
            Self::SetNew(key, value) => words(&["SET"], *key, &[value, "NX"]),
            Self::Lock(key, value, millis) => {
                words(&["SET"], *key, &[value, "NX", "PX", &millis.to_string()])
            }
            Self::SetIfEqual(key, old, new) => words(&["SET"], *key, &[new, "IFEQ", old]),
            Self::DeleteIfEqual(key, value) => words(&["DELEX"], *key, &["IFEQ", value]),
            Self::Increment(key) => words(&["INCR"], *key, &[]),
            Self::Delete(key) => words(&["DEL"], *key, &[]),
            Self::Append(key, value) => words(&["APPEND"], *key, &[value]),
            Self::GetAll(keys) => {
                let mut all = vec!["MGET".to_owned()];
                all.extend(keys.iter().map(|key| name(group, *key)));
                vec![all]
            }
            Self::Transaction(operations) => {
                let mut all = vec![vec!["MULTI".to_owned()]];
                all.extend(operations.iter().flat_map(|one| one.commands(group)));
                all.push(vec!["EXEC".to_owned()]);
                all
            }
        }
    }

    /// Executes the operation, and returns its reply.
    pub fn execute(&self, state: &mut State) -> Reply {
        match self {
            Self::Get(key) => get(state, *key),
            Self::Set(key, value) => put(state, *key, value),
            Self::SetNew(key, value) | Self::Lock(key, value, _) => match get(state, *key) {
                Reply::Nil => put(state, *key, value),
                _ => Reply::Nil,
            },
            Self::SetIfEqual(key, old, new) => {
                if has(state, *key, old) {
                    put(state, *key, new)
                } else {
                    Reply::Nil
                }
            }
            Self::DeleteIfEqual(key, value) => {
                if has(state, *key, value) {
                    delete(state, *key)
                } else {
                    Reply::Integer(0)
                }
            }
            Self::Increment(key) => increment(state, *key),
            Self::Delete(key) => delete(state, *key),
            Self::Append(key, more) => append(state, *key, more),
            Self::GetAll(keys) => Reply::List(keys.iter().map(|key| get(state, *key)).collect()),
            Self::Transaction(operations) => {
                let replies = operations.iter().map(|one| one.execute(state));
                Reply::List(replies.collect())
            }
        }
    }

    /// True if it changes nothing in any state.
    pub fn is_read(&self) -> bool {
        match self {
            Self::Get(_) | Self::GetAll(_) => true,
            Self::Transaction(operations) => operations.iter().all(Self::is_read),
            _ => false,
        }
    }
}

fn value(state: &State, key: Key) -> Option<&str> {
    state.get(key)?.as_deref()
}

fn has(state: &State, key: Key, expected: &str) -> bool {
    value(state, key) == Some(expected)
}

fn get(state: &State, key: Key) -> Reply {
    value(state, key).map_or(Reply::Nil, |value| Reply::Text(value.to_owned()))
}

fn put(state: &mut State, key: Key, value: &str) -> Reply {
    if let Some(slot) = state.get_mut(key) {
        *slot = Some(value.to_owned());
    }
    Reply::ok()
}

fn delete(state: &mut State, key: Key) -> Reply {
    let deleted = state.get_mut(key).and_then(Option::take);
    Reply::Integer(i64::from(deleted.is_some()))
}

fn increment(state: &mut State, key: Key) -> Reply {
    let number = match value(state, key) {
        None => Some(0),
        // As it would be written: `007` and `+7` are no integers.
        Some(text) => text.parse::<i64>().ok().filter(|n| n.to_string() == text),
    };
    match number.and_then(|number| number.checked_add(1)) {
        Some(sum) => {
            put(state, key, &sum.to_string());
            Reply::Integer(sum)
        }
        None => Reply::Error("no integer".to_owned()),
    }
}

fn append(state: &mut State, key: Key, more: &str) -> Reply {
    let text = format!("{}{more}", value(state, key).unwrap_or_default());
    if text.len() > VALUE_MAX {
        return Reply::Error("too long".to_owned());
    }
    put(state, key, &text);
    Reply::Integer(i64::try_from(text.len()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_do_what_the_documentation_says() {
        let mut state = State::default();
        let text = |text: &str| text.to_owned();
        let transaction =
            Operation::Transaction(vec![Operation::Delete(1), Operation::GetAll(vec![0, 1])]);
        for (operation, reply) in [
            (Operation::Get(0), Reply::Nil),
            (Operation::Increment(0), Reply::Integer(1)),
            (Operation::SetNew(0, text("a")), Reply::Nil),
            (Operation::SetNew(1, text("a")), Reply::ok()),
            (Operation::SetIfEqual(1, text("b"), text("c")), Reply::Nil),
            (Operation::SetIfEqual(1, text("a"), text("c")), Reply::ok()),
            (Operation::SetIfEqual(2, text(""), text("c")), Reply::Nil),
            (Operation::DeleteIfEqual(1, text("a")), Reply::Integer(0)),
            (Operation::Increment(1), Reply::Error(text(""))),
            (Operation::Append(1, text("d")), Reply::Integer(2)),
            (
                Operation::Append(1, "e".repeat(255)),
                Reply::Error(text("")),
            ),
            (
                transaction,
                Reply::List(vec![
                    Reply::Integer(1),
                    Reply::List(vec![Reply::Text(text("1")), Reply::Nil]),
                ]),
            ),
        ] {
            let ours = operation.execute(&mut state);
            assert!(ours.agrees(&reply), "{operation:?}: {ours:?}");
        }
        assert_eq!(state, [Some(text("1")), None, None]);
    }
}
