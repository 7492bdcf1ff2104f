use zeroize::Zeroizing;

/// The parameters of a callback (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207): as they came, nothing checked but that each is
/// there once.
#[derive(Default)]
pub(super) struct Callback {
    pub(super) code: Option<Zeroizing<String>>,
    pub(super) state: Option<Zeroizing<String>>,
    pub(super) iss: Option<Zeroizing<String>>,
    pub(super) error: Option<Zeroizing<String>>,
    /// Never shown: its text is the sender's, and anybody can send a callback.
    description: Option<Zeroizing<String>>,
}

impl Callback {
    /// Reads a callback's URL, its path and query, or its query alone. A fragment is cut off, an empty value counts as omitted,
    /// and parameters of nobody's are passed over.
    ///
    /// `None` if one of those above is there more than once (RFC 6749 section 3.1): of two, somebody else might read the other.
    pub(super) fn parse(text: &str) -> Option<Callback> {
        let mut callback = Callback::default();
        for (name, value) in form_urlencoded::parse(query(text).as_bytes()) {
            let place = match &*name {
                "code" => &mut callback.code,
                "state" => &mut callback.state,
                "iss" => &mut callback.iss,
                "error" => &mut callback.error,
                "error_description" => &mut callback.description,
                _ => continue,
            };
            if place.replace(Zeroizing::new(value.into_owned())).is_some() {
                return None;
            }
        }
        let Callback { code, state, iss, error, description } = callback;
        let [code, state, iss, error, description] =
            [code, state, iss, error, description].map(|value| value.filter(|value| !value.is_empty()));
        Some(Callback { code, state, iss, error, description })
    }
}

/// A query alone begins with a name; a question mark in it belongs to a value.
fn query(text: &str) -> &str {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let scheme_ends = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let is_url = text.starts_with(['/', '?']) || scheme_ends.is_some_and(|at| text[at..].starts_with(':'));
    match is_url {
        true => text.split_once('?').map_or("", |(_, query)| query),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_the_query_is() {
        for (text, expected) in [
            ("https://app.test/cb?code=c&state=s", "code=c&state=s"),
            ("http://127.0.0.1:8080/?code=c", "code=c"),
            ("com.example.app:/cb?code=c", "code=c"),
            ("/cb?code=c#_=_", "code=c"),
            ("?code=c", "code=c"),
            ("code=c&state=s", "code=c&state=s"),
            ("code=c?d&iss=https://as.test/?x", "code=c?d&iss=https://as.test/?x"),
            ("/cb?code=c?d", "code=c?d"),
            ("https://app.test/cb", ""),
            ("/cb#code=c", ""),
            ("", ""),
        ] {
            assert_eq!(query(text), expected, "{text}");
        }
    }

    fn read(text: &str) -> Option<[Option<String>; 4]> {
        let Callback { code, state, iss, error, .. } = Callback::parse(text)?;
        Some([code, state, iss, error].map(|value| value.map(|value| value.to_string())))
    }

    /// G11: RFC 6749 section 3.1 on what is empty, unknown, and there twice.
    #[test]
    fn parameters() {
        let some = |text: &str| Some(text.to_owned());
        for (text, expected) in [
            ("code=a%20b%2B+c&state=s&x=1&x=2", Some([some("a b+ c"), some("s"), None, None])),
            ("code=&state=", Some([None, None, None, None])),
            (
                "error=access_denied&error_description=no&iss=https%3A%2F%2Fas",
                Some([None, None, some("https://as"), some("access_denied")]),
            ),
            ("CODE=c", Some([None, None, None, None])),
            ("c%6fde=c", Some([some("c"), None, None, None])),
            ("code=a&code=a", None),
            ("code=a&c%6fde=b", None),
            ("code=&code=b", None),
            ("state=s&state=s", None),
            ("iss=a&iss=b", None),
            ("error=a&error=b", None),
            ("error_description=a&error_description=b", None),
            ("code;state", Some([None, None, None, None])),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text(text in "[a-z/:?#&=%]{0,40}|.*") {
            let _ = read(&text);
        }
    }
}
