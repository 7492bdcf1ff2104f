use super::{
    super::form::Form,
    grammar::{self, misconfigured},
};
use crate::error::TokenError;

/// Parameters that the grants set themselves: one of them among the extra ones would be there twice, or contradict.
const OWN: [&str; 18] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "resource",
    "response_type",
    "scope",
    "state",
    "token",
    "token_type_hint",
];

/// What a grant asks for: checked when it is given, and always encoded.
#[derive(Clone, Default)]
pub(super) struct Parameters {
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) extra: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn set_scopes<I>(&mut self, scopes: I) -> Result<(), TokenError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        scopes.iter().try_for_each(|scope| grammar::scope(scope)).map_err(|why| misconfigured("scope", why))?;
        self.scopes = scopes;
        Ok(())
    }

    pub(super) fn add_resource(&mut self, uri: String) -> Result<(), TokenError> {
        grammar::absolute_uri(&uri).map_err(|why| misconfigured("resource", why))?;
        self.resources.push(uri);
        Ok(())
    }

    pub(super) fn add_extra(&mut self, name: String, value: String) -> Result<(), TokenError> {
        grammar::name(&name).and_then(|()| grammar::without_controls(&value)).map_err(|why| misconfigured("param", why))?;
        if is_own(&name) {
            return Err(misconfigured("param", "names a parameter that the grant sets itself"));
        }
        if self.extra.iter().any(|(other, _)| *other == name) {
            return Err(misconfigured("param", "was given twice with the same name (RFC 6749 section 3.2)"));
        }
        self.extra.push((name, value));
        Ok(())
    }

    /// All of them, with the scopes in one.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, String)> {
        let scope = (!self.scopes.is_empty()).then(|| ("scope", self.scopes.join(" ")));
        let resources = self.resources.iter().map(|uri| ("resource", uri.clone()));
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value.clone()));
        scope.into_iter().chain(resources).chain(extra)
    }

    pub(super) fn fill(&self, form: Form) -> Form {
        self.pairs().fold(form, |form, (name, value)| form.with(name, &value))
    }
}

pub(super) fn is_own(name: &str) -> bool {
    OWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let mut asked = Parameters::default();
        asked.set_scopes(["a:read", "b"]).unwrap();
        asked.add_resource("https://api.test/x?y=1&z".to_owned()).unwrap();
        asked.add_resource("urn:b".to_owned()).unwrap();
        asked.add_extra("audience".to_owned(), "a&scope=all \u{e4}".to_owned()).unwrap();
        let (body, _) = asked.fill(Form::new()).finish();
        let expected =
            "scope=a%3Aread+b&resource=https%3A%2F%2Fapi.test%2Fx%3Fy%3D1%26z&resource=urn%3Ab&audience=a%26scope%3Dall+%C3%A4";
        assert_eq!(body, expected);
    }

    /// S8: no parameter is there twice, none breaks out, and no error repeats what it was given.
    #[test]
    fn what_cannot_be_asked_for() {
        let mut asked = Parameters::default();
        asked.add_extra("audience".to_owned(), "x".to_owned()).unwrap();
        let mut failed = |name: &str, value: &str| asked.add_extra(name.to_owned(), value.to_owned()).unwrap_err().to_string();
        for (name, value, named) in [
            ("audience", "CANARY", "given twice"),
            ("scope", "CANARY", "sets itself"),
            ("client_secret", "CANARY", "sets itself"),
            ("code_verifier", "CANARY", "sets itself"),
            ("CANARY&scope", "x", "has a name"),
            ("x", "CANARY\r\n", "has a control character"),
            ("x", "", "is empty"),
        ] {
            let error = failed(name, value);
            assert!(error.contains(named) && !error.contains("CANARY"), "{error}");
        }
        for scopes in [vec!["CANARY b"], vec!["a", ""], vec!["CANARY\""]] {
            assert!(!asked.set_scopes(scopes).unwrap_err().to_string().contains("CANARY"));
        }
        assert!(!asked.add_resource("https://api.test/#CANARY".to_owned()).unwrap_err().to_string().contains("CANARY"));
    }
}
