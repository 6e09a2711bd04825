//! Parses untrusted JSON. A key that is repeated in one object is an error that names it, at any
//! depth. `serde_json` would silently keep the last value, while another parser of the same text
//! may use the first.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::problem::FieldError;
use crate::sentence::Sentence;
use crate::text::MAX_ENTRIES;

/// A JSON value and its repeated keys, at most [`MAX_ENTRIES`] of them.
#[derive(Clone, Debug)]
pub struct Strict {
    pub(crate) value: Value,
    pub(crate) repeated: Vec<FieldError>,
}

impl Strict {
    /// Parses one value from a whole text.
    ///
    /// # Errors
    /// An error if the text is not one JSON value in UTF-8, or is nested too deeply.
    pub fn read(text: &[u8]) -> serde_json::Result<Self> {
        let mut repeated = Vec::new();
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = JsonReader { at: At::Top, repeated: &mut repeated }.deserialize(&mut reader)?;
        reader.end()?;
        Ok(Self { value, repeated })
    }

    /// Returns the value; `None` if a key was repeated.
    #[must_use]
    pub fn into_value(self) -> Option<Value> {
        self.repeated.is_empty().then_some(self.value)
    }

    /// Takes a field out of an object.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.value.as_object_mut()?.remove(name)
    }

    /// Returns true for `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value.is_null()
    }
}

/// A value that was not parsed has no repeated keys.
impl From<Value> for Strict {
    fn from(value: Value) -> Self {
        Self { value, repeated: Vec::new() }
    }
}

/// The JSON pointer of a field (RFC 6901) as a URI fragment (RFC 9457 section 3), cut if long.
pub(crate) fn pointer(above: &str, name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    format!("{above}/{}", short.replace('~', "~0").replace('/', "~1"))
}

/// A position in the value, on the stack: only the pointer of a repeated key allocates memory.
#[derive(Clone, Copy)]
enum At<'a> {
    Top,
    Field(&'a At<'a>, &'a str),
    Entry(&'a At<'a>, usize),
}

impl At<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Top => "#".to_owned(),
            Self::Field(above, name) => pointer(&above.pointer(), name),
            Self::Entry(above, index) => format!("{}/{index}", above.pointer()),
        }
    }
}

struct JsonReader<'a> {
    at: At<'a>,
    repeated: &'a mut Vec<FieldError>,
}

impl<'de> DeserializeSeed<'de> for JsonReader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonReader<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_element_seed(JsonReader {
            at: At::Entry(&self.at, list.len()),
            repeated: &mut *self.repeated,
        })? {
            list.push(entry);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            // The value of a repeated key is parsed as well, to find repeated keys within it.
            let at = At::Field(&self.at, &name);
            let value = fields.next_value_seed(JsonReader { at, repeated: &mut *self.repeated })?;
            if object.contains_key(&name) {
                if self.repeated.len() < MAX_ENTRIES {
                    self.repeated
                        .push(FieldError { pointer: at.pointer(), detail: Sentence::Repeated });
                }
            } else if let Entry::Vacant(field) = object.entry(name) {
                field.insert(value);
            }
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Sentence, Strict};
    use crate::NewHero;

    fn repeated(text: &str) -> Vec<String> {
        let read = Strict::read(text.as_bytes()).expect("JSON");
        read.repeated.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn a_key_that_comes_twice_is_named_at_any_depth() {
        for (text, pointers) in [
            (r#"{"a":1,"a":1}"#, &["#/a"][..]),
            (r#"{"a":1,"\u0061":2,"a":3}"#, &["#/a", "#/a"]),
            (r#"{"a":{"b":[1,{"c/~":1,"c/~":null}]}}"#, &["#/a/b/1/c~1~0"]),
            (r#"[{"":1,"":2}]"#, &["#/0/"]),
            (r#"{"a":1,"A":1,"b":{"a":1},"c":[{"a":1},{"a":1}]}"#, &[]),
        ] {
            assert_eq!(repeated(text), pointers, "{text}");
        }
        assert_eq!(repeated(&format!("{{{}\"a\":1}}", "\"a\":1,".repeat(1_000))).len(), 100);
    }

    #[test]
    fn anything_else_is_read_as_everybody_reads_it() {
        let text = r#" {"a":[null,true,-1,18446744073709551615,1.5e3,"\u00e9\n"],"b":{},"c":-9223372036854775808} "#;
        let read = Strict::read(text.as_bytes()).expect("JSON").into_value();
        assert_eq!(read, serde_json::from_str::<Value>(text).ok());
        let deep = "[".repeat(200) + &"]".repeat(200);
        for wrong in ["", "{", "1 2", "{\"a\":1}x", "\u{feff}1", "nul", "[1,]", deep.as_str()] {
            assert!(Strict::read(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(Strict::read(b"\"\xff\"").is_err());
    }

    #[test]
    fn a_body_with_a_repeated_key_is_refused_together_with_what_else_is_wrong() {
        let body =
            Strict::read(br#"{"name":"A","name":"B","allergies":["x",7],"more":{"x":1,"x":1}}"#)
                .expect("JSON");
        let problem = NewHero::from_json(body).expect_err("a wrong body");
        let pointers: Vec<&str> =
            problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["#/name", "#/more/x", "#/planet", "#/allergies/1", "#/more"]);
        assert_eq!(problem.errors[0].detail, Sentence::Repeated);
        let made = NewHero::from_json(json!({"name": "A", "planet": "B"}));
        assert!(made.is_ok(), "{made:?}");
    }
}
