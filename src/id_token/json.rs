use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A JSON object whose members are unique: of two members with one name, two readers may see different ones.
///
/// A member's value is left as it is written until it is asked for, with a type: what is of no interest may be anything.
pub(super) struct Object<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Object<'a> {
    /// `None` for what is not one JSON object in UTF-8, or names a member twice.
    pub(super) fn parse(text: &'a [u8]) -> Option<Object<'a>> {
        serde_json::from_str(std::str::from_utf8(text).ok()?).ok()
    }

    pub(super) fn get(&self, name: &str) -> Option<Member<'a>> {
        self.0.get(name).map(|value| Member(value))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members).map(Object)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = BTreeMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        // The name is read before it is compared: `"is\u0073"` is `"iss"`.
        while let Some((name, value)) = entries.next_entry::<String, &RawValue>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member comes twice"));
            }
        }
        Ok(members)
    }
}

/// The value of a member. Each reading is `None` for a value of another type.
#[derive(Clone, Copy)]
pub(super) struct Member<'a>(&'a RawValue);

impl<'a> Member<'a> {
    pub(super) fn text(self) -> Option<String> {
        serde_json::from_str(self.0.get()).ok()
    }

    pub(super) fn texts(self) -> Option<Vec<String>> {
        serde_json::from_str(self.0.get()).ok()
    }

    pub(super) fn elements(self) -> Option<Vec<&'a RawValue>> {
        serde_json::from_str(self.0.get()).ok()
    }

    pub(super) fn is_true(self) -> bool {
        self.0.get() == "true"
    }

    /// Seconds since 1970, with or without a fraction (RFC 7519 section 2, NumericDate). What is before that, or later than a
    /// `Duration` can say, is no date.
    pub(super) fn seconds(self) -> Option<Duration> {
        let seconds: f64 = serde_json::from_str(self.0.get()).ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_object_is() {
        for good in ["{}", r#" {"a":1,"A":2,"b":{"a":1}} "#, r#"{"a":1e999,"b":"\ud800"}"#] {
            assert!(Object::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", "[]", "null", "{", "{}{}", "\u{feff}{}", r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":1}"#, r#"{"a":01}"#] {
            assert!(Object::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        for bad in [b"{\"a\":\"\xff\"}".as_slice(), b"{\"\xff\":1}", b"\xff"] {
            assert!(Object::parse(bad).is_none(), "{bad:?}");
        }
    }

    /// V2: a value has its type, or there is none.
    #[test]
    fn typed_readings() {
        let text = r#"{"t":"x","l":["x","y"],"n":1.5,"e":15e-1,"s":"1.5","z":0,"m":-1,"h":1e400,"i":1e30,"0":null,"b":true}"#;
        let object = Object::parse(text.as_bytes()).unwrap();
        let of = |name: &str| object.get(name).unwrap();
        for name in ["t", "l", "n", "e", "s", "z", "m", "h", "i", "0", "b"] {
            let member = of(name);
            assert_eq!(member.text().is_some(), ["t", "s"].contains(&name), "{name}");
            assert_eq!(member.texts().is_some(), name == "l", "{name}");
            assert_eq!(member.elements().is_some(), name == "l", "{name}");
            assert_eq!(member.seconds().is_some(), ["n", "e", "z"].contains(&name), "{name}");
            assert_eq!(member.is_true(), name == "b", "{name}");
        }
        assert_eq!(
            (of("n").seconds(), of("e").seconds()),
            (Some(Duration::from_millis(1500)), Some(Duration::from_millis(1500)))
        );
        assert!(object.get("x").is_none() && !object.has("x") && object.has("0"));
    }
}
