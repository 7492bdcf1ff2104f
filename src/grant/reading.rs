use std::collections::BTreeMap;

use super::{
    ExpiryFormat,
    endpoint::{ErrorClass, Expiry, TokenEndpoint},
};

/// How the reply to one step is read, with nothing left open.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) token_at: String,
    pub(super) expiry: Vec<Expiry>,
    /// `None` where a refresh token would be of no use.
    pub(super) refresh_token_at: Option<String>,
    pub(super) refresh_expiry: Vec<Expiry>,
    pub(super) code_at: Vec<String>,
    pub(super) on_code: BTreeMap<String, ErrorClass>,
    pub(super) on_status: BTreeMap<u16, ErrorClass>,
    /// What it means that what was sent is refused.
    pub(super) refusal: ErrorClass,
}

impl Reading {
    /// Of the login.
    pub(super) fn login(endpoint: &TokenEndpoint) -> Reading {
        Reading::new(endpoint, endpoint, ErrorClass::Refused)
    }

    /// Of the refresh, a `step` of `endpoint`: what it does not say is as there.
    pub(super) fn refresh(step: &TokenEndpoint, endpoint: &TokenEndpoint) -> Reading {
        let mut reading = Reading::new(step, endpoint, ErrorClass::LoginAgain);
        reading.on_code.extend(step.on_code.clone());
        reading.on_status.extend(step.on_status.clone());
        reading
    }

    /// With the tables of `endpoint`, in which both words for a refusal mean this one.
    fn new(step: &TokenEndpoint, endpoint: &TokenEndpoint, refusal: ErrorClass) -> Reading {
        let meant = |class: &ErrorClass| match class {
            ErrorClass::LoginAgain | ErrorClass::Refused => refusal,
            ErrorClass::Misconfigured | ErrorClass::Transient => *class,
        };
        let pointer = |of: fn(&TokenEndpoint) -> &Option<String>, usual: &str| {
            of(step).as_deref().or(of(endpoint).as_deref()).unwrap_or(usual).to_owned()
        };
        let usual = Expiry { at: "/expires_in".to_owned(), format: ExpiryFormat::Seconds };
        let expiry = first_given([&step.expiry, &endpoint.expiry]);
        Reading {
            token_at: pointer(|of| &of.token_at, "/access_token"),
            expiry: if expiry.is_empty() { vec![usual] } else { expiry },
            refresh_token_at: endpoint.refresh.as_ref().map(|_| pointer(|of| &of.refresh_token_at, "/refresh_token")),
            refresh_expiry: first_given([&step.refresh_expiry, &endpoint.refresh_expiry]),
            code_at: first_given([&step.code_at, &endpoint.code_at]),
            on_code: endpoint.on_code.iter().map(|(code, class)| (code.clone(), meant(class))).collect(),
            on_status: endpoint.on_status.iter().map(|(status, class)| (*status, meant(class))).collect(),
            refusal,
        }
    }
}

fn first_given<T: Clone>(lists: [&Vec<T>; 2]) -> Vec<T> {
    lists.into_iter().find(|list| !list.is_empty()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{ErrorClass::*, *};

    /// A table of the refresh step comes first and is taken by its word; in one of both steps a refusal is of what was sent.
    #[test]
    fn what_the_tables_mean_for_each_step() {
        let endpoint = TokenEndpoint::post("https://api.test/login")
            .on_code("A", Refused)
            .on_code("B", LoginAgain)
            .on_code("C", Transient)
            .on_code("D", Refused)
            .on_status(400, Refused)
            .on_status(409, LoginAgain)
            .on_status(423, Misconfigured)
            .refresh(TokenEndpoint::post("https://api.test/refresh").on_code("D", Refused).on_status(423, LoginAgain));
        let login = Reading::login(&endpoint);
        let refresh = Reading::refresh(endpoint.refresh.as_ref().unwrap(), &endpoint);
        for (code, at_login, at_refresh) in
            [("A", Refused, LoginAgain), ("B", Refused, LoginAgain), ("C", Transient, Transient), ("D", Refused, Refused)]
        {
            assert_eq!((login.on_code[code], refresh.on_code[code]), (at_login, at_refresh), "{code}");
        }
        for (status, at_login, at_refresh) in
            [(400, Refused, LoginAgain), (409, Refused, LoginAgain), (423, Misconfigured, LoginAgain)]
        {
            assert_eq!((login.on_status[&status], refresh.on_status[&status]), (at_login, at_refresh), "{status}");
        }
        assert_eq!((login.refusal, refresh.refusal), (Refused, LoginAgain));
    }

    #[test]
    fn what_a_refresh_step_leaves_out_is_as_around_it() {
        let bare = TokenEndpoint::post("https://api.test/login");
        let usual = Reading::login(&bare);
        assert_eq!((usual.token_at.as_str(), usual.refresh_token_at), ("/access_token", None));
        assert_eq!(usual.expiry, [Expiry { at: "/expires_in".to_owned(), format: ExpiryFormat::Seconds }]);

        let step = TokenEndpoint::post("https://api.test/refresh").code_at("/own").expiry_at("/own", ExpiryFormat::Rfc1123);
        let endpoint = bare.token_at("/t").expiry_at("/e", ExpiryFormat::Rfc3339).code_at("/c").refresh(step);
        let endpoint = endpoint.refresh_expiry_at("/re", ExpiryFormat::EpochSeconds);
        let login = Reading::login(&endpoint);
        let refresh = Reading::refresh(endpoint.refresh.as_ref().unwrap(), &endpoint);
        for (reading, code_at, expiry_at) in [(login, "/c", "/e"), (refresh, "/own", "/own")] {
            assert_eq!(reading.token_at, "/t");
            assert_eq!(reading.refresh_token_at.as_deref(), Some("/refresh_token"));
            assert_eq!(reading.refresh_expiry[0].at, "/re");
            assert_eq!((reading.code_at[0].as_str(), reading.expiry[0].at.as_str()), (code_at, expiry_at));
        }
    }
}
