use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Finds a refresh token in the bytes of a reply, which need not be JSON to their end, nor from their beginning.
///
/// A server that has rotated has forgotten the old one, so that whatever can be read counts. First the place that the
/// pointer (RFC 6901) names is looked up as far as the bytes are JSON. Of several strings there the last counts that is
/// neither broken off nor blank: a duplicate that is `null` takes nothing away. Only where that yields none and the bytes as
/// a whole are not JSON, any member of the right name is taken, the last one: what is broken may have lost a bracket. Markup
/// is left alone: a page may have a dictionary of its own, with such a name in it.
pub(super) fn salvage(body: &[u8], pointer: &str) -> Option<Zeroizing<String>> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let steps: Vec<String> = pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(body);
    let whole = Place { steps: &steps, found: &mut found }.deserialize(&mut json).is_ok() && json.end().is_ok();
    match steps.last() {
        Some(name) if found.is_none() && !whole && !is_markup(body) => by_name(body, name),
        _ => found,
    }
}

fn is_markup(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start(), [b'<', b'a'..=b'z' | b'A'..=b'Z' | b'!' | b'?', ..])
}

/// The last readable string after `"name":`, wherever that stands.
fn by_name(body: &[u8], name: &str) -> Option<Zeroizing<String>> {
    let name = format!("\"{name}\"");
    let mut rests = (0..body.len()).rev().filter_map(|at| body[at..].strip_prefix(name.as_bytes()));
    rests.find_map(|rest| {
        let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        // A string alone: it ends where the next name may begin, so that all of them together are read but once.
        let mut json = serde_json::Deserializer::from_slice(rest.starts_with(b"\"").then_some(rest)?);
        text(Deserialize::deserialize(&mut json).ok()?)
    })
}

/// A string that is not blank: an empty one is as good as none.
fn text(raw: &RawValue) -> Option<Zeroizing<String>> {
    let text: Zeroizing<String> = serde_json::from_str(raw.get()).ok().map(Zeroizing::new)?;
    (!text.trim_ascii().is_empty()).then_some(text)
}

/// The rest of the way to a value. What was found before an error stays found.
struct Place<'p> {
    steps: &'p [String],
    found: &'p mut Option<Zeroizing<String>>,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            let raw: &RawValue = Deserialize::deserialize(json)?;
            if let Some(text) = text(raw) {
                *self.found = Some(text);
            }
            return Ok(());
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match self.steps.split_first() {
                Some((step, steps)) if *step == name => members.next_value_seed(Place { steps, found: self.found })?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let wanted = self.steps.first().and_then(|step| step.parse().ok());
        for at in 0_usize.. {
            let more = match self.steps.split_first() {
                Some((_, steps)) if Some(at) == wanted => {
                    elements.next_element_seed(Place { steps, found: self.found })?.is_some()
                }
                _ => elements.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    // A value that the way does not go through is no error: what comes after it still counts.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(pointer: &str, body: &str) -> Option<String> {
        salvage(body.as_bytes(), pointer).map(|text| text.to_string())
    }

    /// G3, G7: where a reply still has one, and where it has none.
    #[test]
    fn what_can_still_be_read() {
        for (body, found) in [
            (r#"{"r":"new"}"#, Some("new")),
            ("\u{feff}{\"r\":\"new\"}", Some("new")),
            (r#" {"a":1e999,"b":"\ud800","r":"n\u0065w"}"#, Some("new")),
            ("{\n\"\\u0072\" \t:\r\n \"n\\\"e\\\\w\" }", Some("n\"e\\w")),
            // Duplicates: the last one that can be read.
            (r#"{"r":"old","r":"new"}"#, Some("new")),
            (r#"{"r":"new","r":null}"#, Some("new")),
            (r#"{"r":"new","r":"","r":" ","r":7,"r":["x"],"r":{"r":"x"}}"#, Some("new")),
            (r#"{"r":"new","r":"\ud800"}"#, Some("new")),
            // Broken off.
            (r#"{"r":"new""#, Some("new")),
            (r#"{"r":"new","x":"#, Some("new")),
            (r#"{"r":"new","r":"bro"#, Some("new")),
            (r#"{"r":"bro"#, None),
            (r#"{"r":"bro\"#, None),
            (r#"{"r":"bro\""#, None),
            (r#"{"r""#, None),
            // Something else after it, before it, or inside it.
            (r#"{"r":"new"} trailing"#, Some("new")),
            (r#"{"r":"new"}{"r":null}"#, Some("new")),
            (r#"{"a":'b',"r":"new"}"#, Some("new")),
            (r#"{a:1,"r" : "new"}"#, Some("new")),
            ("{\"a\":\"b\nc\",\"r\":\"new\"}", Some("new")),
            (r#"{"a":"b,"r":"new"}"#, Some("new")),
            (r#"{"a":{"b":1,"r":"new"}"#, Some("new")),
            (r#"{"a":"b"c","r":"new"}"#, Some("new")),
            (r#"{"a":36{0,"r":"new"}"#, Some("new")),
            (r#"{"a":,"r":"new",}"#, Some("new")),
            (r#"{"r":"new"}}}"#, Some("new")),
            (r#""r":"new""#, Some("new")),
            (r#")]}',{"r":"new"}"#, Some("new")),
            (r#"{"r":"first","r":"second",,,"r":"bro"#, Some("second")),
            // Not at its place, in JSON that says so.
            (r#"{"a":{"r":"other"}}"#, None),
            (r#"[{"r":"other"}]"#, None),
            (r#"{"a":"\"r\":\"other\""}"#, None),
            (r#"{"a":{"r":"other"},"r":"new","b":"#, Some("new")),
            (r#"{"r":"new","a":{"r":"other"},"b":"#, Some("new")),
            (r#"<p>{"r":"other"}"#, None),
            (r#" <!DOCTYPE html>{"r":"other"}"#, None),
            (r#"<"a":1,"r":"new"}"#, Some("new")),
            (r#"{"a":"\"r\":\"other\"","#, None),
            (r#"{"a":"r"}"#, None),
            ("r=other", None),
            ("", None),
            ("null", None),
            ("\"r\"", None),
        ] {
            assert_eq!(at("/r", body).as_deref(), found, "{body}");
        }
        assert!(salvage(b"{\"a\":\"\xff\",\"r\":\"new\",\"b\":\"\xff", "/r").is_some_and(|text| *text == "new"));
        assert!(salvage(b"{\"r\":\"n\xff\"}", "/r").is_none());
    }

    /// G3: whatever one byte elsewhere becomes.
    #[test]
    fn no_byte_elsewhere_loses_it() {
        const GOOD: &str = r#"{"aa":"at","r":"new","bb":"a b","cc":3600}"#;
        let member = r#""r":"new""#;
        let from = GOOD.find(member).unwrap();
        for at in (0..GOOD.len()).filter(|at| !(from..from + member.len()).contains(at)) {
            for byte in 0..=255 {
                let mut body = GOOD.as_bytes().to_vec();
                body[at] = byte;
                assert!(salvage(&body, "/r").is_some_and(|text| *text == "new"), "{byte:#x} at {at}");
            }
        }
    }

    #[test]
    fn the_way_there() {
        for (pointer, body, found) in [
            ("/a/0/r~1~0", r#"{"a":[{"r/~":"new"}]}"#, Some("new")),
            ("/a/1", r#"{"a":["x","new","y"]}"#, Some("new")),
            ("/a/1", r#"{"a":["x","new","y"#, Some("new")),
            ("/a/r", r#"{"a":{"r":"new"},"a":null}"#, Some("new")),
            ("/a/r", r#"{"a":[7,1.5,true,-1,null,"r"],"a":{"r":"new"}}"#, Some("new")),
            ("/a/r", r#"{"a":7,"a":"x","a":true,"a":-1,"a":1.5,"a":{"r":"new"#, None),
            ("/a/r", r#"{"a":7,"a":"x","a":true,"a":-1,"a":1.5,"a":{"r":"new","x"#, Some("new")),
            ("", r#""new""#, Some("new")),
            ("", "{", None),
        ] {
            assert_eq!(at(pointer, body).as_deref(), found, "{pointer} {body}");
        }
    }

    /// G5: neither depth nor repetition costs more than one look at each byte.
    #[test]
    fn a_hostile_megabyte_is_survived() {
        for part in [r#"{"r":"#, r#"{"r":["#, r#"["r":"#, r#""r":""#, "[", r#""r":"\"#, r#""r""#, "\"", "\\", "{"] {
            let body = part.repeat((1 << 20) / part.len());
            let _any = at("/r", &body);
            let _any = at("/r/r", &body);
        }
    }

    proptest! {
        /// G3: cut off anywhere after it, and with anything behind the cut, it is found.
        #[test]
        fn what_came_before_the_cut_is_found(secret in "[!-~]{1,40}", after in "[ -~]{0,40}", cut in 0_usize..40) {
            let body = format!(r#"{{"a":{{}},"r":{},"z":"{}"}}"#, serde_json::json!(secret), after.replace(['"', '\\'], ""));
            let end = body.find(r#","z""#).unwrap();
            let cut = (end + cut).min(body.len());
            prop_assert_eq!(at("/r", &body[..cut]), Some(secret));
        }

        #[test]
        fn any_bytes_and_any_pointer(body: Vec<u8>, pointer in "(/[ar0]){0,3}|.*") {
            let _any = salvage(&body, &pointer);
        }

        /// Nothing is made up: what is found stands there as a string, with its escapes.
        #[test]
        fn near_json(body in r#"([{}\[\]:,"]|"r"|"r":"x"| |\\|7){0,30}"#) {
            if let Some(text) = at("/r", &body) {
                prop_assert!(body.contains(&serde_json::json!(text).to_string()), "{}", text);
            }
        }
    }
}
