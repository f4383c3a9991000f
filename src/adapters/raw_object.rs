//! A JSON object of somebody else, of which a few members are replaced and the rest is left alone.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members in their order, each name and each value byte for byte as it was found.
///
/// A value need not be one that we could represent: half of a surrogate pair and numbers of any
/// length are kept as they stand.
#[derive(Debug)]
pub(super) struct RawObject<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> RawObject<'a> {
    /// The members of a text; nothing where it is no JSON object.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The text of a member's value; where several have the name, the last one counts.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let members = self.0.iter().rev();
        let mut found = members.filter(|(raw, _)| is_name(raw, name));
        found.next().map(|(_, value)| &**value)
    }

    /// Puts a JSON text in the place of a member's value, or behind the last member.
    pub(super) fn set(&mut self, name: &'static str, value: String) {
        let mut value = Some(Cow::Owned(value));
        self.0.retain_mut(|(raw, there)| {
            let is_it = is_name(raw, name);
            match value.take_if(|_| is_it) {
                Some(value) => *there = value,
                None => return !is_it,
            }
            true
        });
        if let Some(value) = value {
            self.0.push((Cow::Owned(format!("\"{name}\"")), value));
        }
    }

    /// Takes a member out.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(raw, _)| !is_name(raw, name));
    }
}

/// Whether a name as it was written is this one.
fn is_name(raw: &str, name: &str) -> bool {
    let plain = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'));
    plain == Some(name)
        || raw.contains('\\') && serde_json::from_str::<String>(raw).is_ok_and(|raw| raw == name)
}

impl fmt::Display for RawObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}:{value}")?;
        }
        f.write_str("}")
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawObject<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    members.push((Cow::Borrowed(name.get()), Cow::Borrowed(value.get())));
                }
                Ok(RawObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stands_byte_for_byte_in_its_order() {
        let text = r#"{"z":"\ud83d","n": 123456789012345678901234567890 ,"users":[1],"a":1.50,"\udc00":{ "b" : [] }}"#;
        let mut object = RawObject::parse(text.as_bytes()).unwrap();

        object.set("users", "[2]".to_owned());
        object.set("more", "3".to_owned());

        assert_eq!(
            object.to_string(),
            r#"{"z":"\ud83d","n":123456789012345678901234567890,"users":[2],"a":1.50,"\udc00":{ "b" : [] },"more":3}"#
        );
    }

    #[test]
    fn a_name_is_known_however_it_is_written_and_however_often() {
        let text = r#"{"\u0075sers":1,"a":2,"users":3}"#;
        let mut object = RawObject::parse(text.as_bytes()).unwrap();

        assert_eq!(object.get("users"), Some("3"));
        object.set("users", "4".to_owned());
        assert_eq!(object.to_string(), r#"{"\u0075sers":4,"a":2}"#);
        object.remove("users");
        assert_eq!(object.to_string(), r#"{"a":2}"#);
    }

    #[test]
    fn what_is_no_object_has_no_members() {
        for text in ["", "null", "[1]", "{\"a\":", "{\"a\":NaN}", "{} x"] {
            assert!(RawObject::parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
