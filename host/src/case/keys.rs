//! Names of the keys of a scenario file, taken from the types that deserialize it.

use core::fmt::Display;
use serde::de::{Deserialize, Deserializer, Error, Visitor, value};
use serde::forward_to_deserialize_any;

/// Returns the keys of a table, in the order of its fields.
///
/// `serde` hands the names of the fields to a deserializer before any value is read. The help page
/// takes them from there, so that no list of keys can go out of date.
pub(super) fn of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut asked = Asked(&[]);
    // The call records the names of the fields; its result is always an error.
    let _ = T::deserialize(&mut asked);
    asked.0
}

/// A deserializer that records the field names requested from it.
///
/// Everything but a struct is refused, as only tables have keys.
struct Asked(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Asked {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, value::Error> {
        self.0 = fields;
        Err(nothing(""))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, value::Error> {
        Err(nothing("this is no table"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Returns an error that ends the deserialization; nobody reads it.
fn nothing(why: impl Display) -> value::Error {
    value::Error::custom(why)
}
