use std::fmt;

use http::HeaderValue;
use serde::{
    Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

pub(super) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON object or array, searched in place.
///
/// Nothing is copied or even understood but the way to the value that is asked for: a number out of range or a broken
/// surrogate elsewhere spoils nothing, nesting needs no stack, and no secret is left behind in values that nobody wanted.
pub(crate) struct Document<'a>(&'a RawValue);

impl<'a> Document<'a> {
    /// `None` for what is not JSON, and for a bare string, number or literal. A byte order mark is skipped.
    pub(crate) fn parse(body: &'a [u8]) -> Option<Document<'a>> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let raw: &RawValue = serde_json::from_slice(body).ok()?;
        raw.get().starts_with(['{', '[']).then_some(Document(raw))
    }

    /// The value that a JSON pointer (RFC 6901) names. Of members with one name, the last counts.
    pub(crate) fn at(&self, pointer: &str) -> Option<Value<'a>> {
        let mut steps = pointer.split('/');
        if steps.next() != Some("") {
            return None;
        }
        steps.try_fold(self.0, step).map(Value)
    }

    /// As [`at`](Self::at), but that a step `*` stands for each of the first elements of an array, where RFC 6901 has no
    /// meaning for it. In an object it is a name like any other.
    pub(crate) fn each(&self, pointer: &str) -> Vec<Value<'a>> {
        let mut steps = pointer.split('/');
        if steps.next() != Some("") {
            return Vec::new();
        }
        let found = steps.fold(vec![self.0], |values, name| {
            let each = name == "*";
            let next = values.into_iter().flat_map(|value| match value.get().starts_with('[') && each {
                true => elements(value),
                false => step(value, name).into_iter().collect(),
            });
            next.take(MOST).collect()
        });
        found.into_iter().map(Value).collect()
    }
}

/// So many of the elements that `*` stands for are looked at.
const MOST: usize = 64;

fn elements(array: &RawValue) -> Vec<&RawValue> {
    serde_json::Deserializer::from_str(array.get()).deserialize_seq(Elements).unwrap_or_default()
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut first = Vec::new();
        while let Some(element) = array.next_element()? {
            if first.len() < MOST {
                first.push(element);
            }
        }
        Ok(first)
    }
}

fn step<'a>(value: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(value.get()).deserialize_any(Step(step)).ok().flatten()
}

/// Picks one member or element, and keeps none of the others.
struct Step<'s>(&'s str);

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.replace("~1", "/").replace("~0", "~");
        let mut found = None;
        while let Some((name, value)) = members.next_entry::<String, &RawValue>()? {
            if name == wanted {
                found = Some(value);
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.parse().ok();
        let mut found = None;
        let mut at = 0_usize;
        while let Some(value) = elements.next_element::<&RawValue>()? {
            if Some(at) == wanted {
                found = Some(value);
            }
            at += 1;
        }
        Ok(found)
    }
}

/// A value of a [`Document`].
#[derive(Clone, Copy)]
pub(crate) struct Value<'a>(&'a RawValue);

impl<'a> Value<'a> {
    /// The text of a string.
    pub(crate) fn text(self) -> Option<Zeroizing<String>> {
        serde_json::from_str(self.0.get()).ok().map(Zeroizing::new)
    }

    /// A number, as it is written.
    pub(crate) fn number(self) -> Option<&'a str> {
        let raw = self.0.get();
        raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(raw)
    }

    pub(crate) fn is_string(self) -> bool {
        self.0.get().starts_with('"')
    }

    pub(crate) fn is_true(self) -> bool {
        self.0.get() == "true"
    }

    /// The strings of an array, without whatever else is in it.
    pub(crate) fn texts(self) -> Option<Vec<String>> {
        let elements: Vec<&RawValue> = serde_json::from_str(self.0.get()).ok()?;
        Some(elements.into_iter().filter_map(|element| serde_json::from_str(element.get()).ok()).collect())
    }
}

/// Whether a text is a JSON pointer: empty, or steps that each begin with a slash, in which `~` stands before 0 or 1.
pub(crate) fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pointers() {
        let body = br#"{"a":{"b/c":[1,{"~":"x"}]},"":"empty","huge":1e999,"bad":"\ud800","d":1,"d":2}"#;
        let document = Document::parse(body).unwrap();
        let text = |pointer: &str| document.at(pointer).and_then(Value::text).map(|text| text.to_string());
        assert_eq!(text("/a/b~1c/1/~0").as_deref(), Some("x"));
        assert_eq!(text("/").as_deref(), Some("empty"));
        assert_eq!(document.at("/a/b~1c/0").and_then(Value::number), Some("1"));
        assert_eq!(document.at("/d").and_then(Value::number), Some("2"));
        assert_eq!(document.at("/huge").and_then(Value::number), Some("1e999"));
        for absent in ["/b", "/a/b~1c/2", "/a/b~1c/x", "/a/b~1c/-1", "/a/b~1c/0/0", "/bad", "a", "/huge/0"] {
            assert_eq!(text(absent), None, "{absent}");
        }
        assert!(document.at("").is_some());
    }

    /// A star is each element of an array, and a name in an object.
    #[test]
    fn stars() {
        let body = br#"{"e":[{"c":"A"},{"c":2},7,{"d":1},{"c":"B"}],"s":["x","y"],"o":{"*":"star"},"n":[[1],[2,3]]}"#;
        let document = Document::parse(body).unwrap();
        for (pointer, found) in [
            ("/e/*/c", "\"A\" 2 \"B\""),
            ("/s/*", "\"x\" \"y\""),
            ("/s/1", "\"y\""),
            ("/o/*", "\"star\""),
            ("/n/*/*", "1 2 3"),
            ("/n/*/1", "3"),
            ("/x/*", ""),
            ("/s/*/*", ""),
            ("e/*", ""),
        ] {
            let values: Vec<&str> = document.each(pointer).into_iter().map(|value| value.0.get()).collect();
            assert_eq!(values.join(" "), found, "{pointer}");
        }
        let long = format!("[{}0]", "0,".repeat(100_000));
        assert_eq!(Document::parse(long.as_bytes()).unwrap().each("/*").len(), MOST);
        let deep = format!("[{}]", "[0,0,0,0,0,0,0,0,0,0],".repeat(1000).trim_end_matches(','));
        assert_eq!(Document::parse(deep.as_bytes()).unwrap().each("/*/*").len(), MOST);
    }

    #[test]
    fn arrays_of_strings_and_literals() {
        let document = Document::parse(br#"{"a":["x",1,null,"\ud800",["y"],"z"],"b":"x","c":true,"d":"true"}"#).unwrap();
        let texts = |pointer: &str| document.at(pointer).and_then(Value::texts);
        assert_eq!(texts("/a"), Some(vec!["x".to_owned(), "z".to_owned()]));
        assert_eq!((texts("/b"), texts("/c")), (None, None));
        assert!(document.at("/c").is_some_and(Value::is_true) && !document.at("/d").is_some_and(Value::is_true));
    }

    #[test]
    fn what_is_a_pointer() {
        for (text, is) in
            [("", true), ("/", true), ("/a/0", true), ("/a~0~1", true), ("a", false), ("/a~", false), ("/a~2", false)]
        {
            assert_eq!(is_pointer(text), is, "{text}");
        }
    }

    /// G4: what counts as readable.
    #[test]
    fn documents() {
        for good in ["{}", " [] ", "\u{feff}{\"a\":1}", "{\"a\":{\"b\":[1e999]}}"] {
            assert!(Document::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in ["", " ", "null", "\"text\"", "3", "{\"a\":", "{}{}", "<html>", "a=b", "{\"a\":\"\u{1}\"}"] {
            assert!(Document::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Document::parse(b"\x1f\x8b\x08{}").is_none());
        assert!(Document::parse(b"{\"a\":\"\xff\"}").is_none());
    }

    /// G5: depth costs no stack.
    #[test]
    fn a_megabyte_of_brackets_is_survived() {
        let deep = [vec![b'['; 1 << 19], vec![b']'; 1 << 19]].concat();
        let document = Document::parse(&deep).unwrap();
        assert!(document.at("/0/0/0/0").is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_and_any_pointer(body: Vec<u8>, pointer in ".*") {
            if let Some(document) = Document::parse(&body) {
                if let Some(value) = document.at(&pointer) {
                    let _ = (value.text(), value.number());
                }
                let _ = document.each(&pointer);
            }
        }
    }
}
