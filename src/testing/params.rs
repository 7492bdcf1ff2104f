use form_urlencoded::Serializer;

/// The parameters of an OAuth request, from a query or a form: RFC 6749 sections 3.1 and 3.2.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn parse(text: &[u8]) -> Params {
        Params(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The first value of this name. "Parameters sent without a value MUST be treated as if they were omitted."
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    }

    /// "Request and response parameters MUST NOT be included more than once."
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.0.iter().filter(|(each, _)| each == name).count() > 1
    }

    /// Whether any of them comes twice.
    pub(super) fn any_repeats(&self) -> bool {
        self.0.iter().any(|(name, _)| self.repeats(name))
    }
}

/// Pairs as a form, a query or a fragment; those without a value are left out.
pub(super) fn encode(pairs: &[(&str, Option<&str>)]) -> String {
    let mut text = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            text.append_pair(name, value);
        }
    }
    text.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_rfc_6749_has_them() {
        let params = Params::parse(b"a=1&b=&c=x%20y+z&a=2&%C3%A4=%C3%B6");
        assert_eq!((params.get("a"), params.get("b"), params.get("d")), (Some("1"), None, None));
        assert_eq!((params.get("c"), params.get("ä")), (Some("x y z"), Some("ö")));
        assert!(params.repeats("a") && !params.repeats("b") && params.any_repeats());
        assert!(!Params::parse(b"a=1&b=1").any_repeats());
        assert_eq!(encode(&[("a b", Some("&")), ("c", None), ("d", Some(""))]), "a+b=%26&d=");
    }
}
