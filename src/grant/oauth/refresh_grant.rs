use std::{
    fmt,
    future::Ready,
    sync::{Arc, OnceLock},
};

use zeroize::Zeroizing;

use super::{
    super::{
        exchange::{Exchange, Exchanged, RawIdToken},
        form::Form,
    },
    call::Calls,
    client::Client,
    id_token::{self, Check, UnverifiedIdToken},
    parameters::Parameters,
    server::Server,
};
use crate::{
    clock::Clock,
    error::{ErrorKind, TokenError},
    token::{AccessToken, RefreshToken},
    transport::Transport,
};

/// The refresh token grant (RFC 6749 section 6): how a user's login is continued.
///
/// It holds no refresh token, since servers change it with each use: that is kept in a store, and this says how to use it.
/// When the server has ended the login, only a person can begin another.
///
/// Of an id_token in the reply, the subject must be that of the login (OpenID Connect Core 12.2). If it is not, the reply is
/// dropped, its refresh token included, and the login is over.
///
/// A [`UserLogin`](super::UserLogin) keeps a login going with it.
pub struct RefreshGrant {
    calls: Arc<Calls>,
    asked: Parameters,
    check: Option<Check>,
    /// Whose login it is: as it was given, or as the first id_token says.
    subject: OnceLock<String>,
}

impl RefreshGrant {
    /// Over a [`Transport`], or over any service that makes one. No I/O happens yet.
    pub fn new(server: &Server, client: Client, transport: impl Into<Transport>) -> RefreshGrant {
        let calls = Calls::new(server.token_endpoint().clone(), client, transport.into());
        RefreshGrant::of(Arc::new(calls), Vec::new(), None)
    }

    /// Over the calls of a login that it continues.
    pub(super) fn of(calls: Arc<Calls>, resources: Vec<String>, check: Option<Check>) -> RefreshGrant {
        let asked = Parameters { resources, ..Parameters::default() };
        RefreshGrant { calls, asked, check, subject: OnceLock::new() }
    }

    /// Asks for a part of the scopes of the login only. By default, for all of them.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if one is not made as RFC 6749 section 3.3 has it.
    pub fn scopes<I>(mut self, scopes: I) -> Result<RefreshGrant, TokenError>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.asked.set_scopes(scopes)?;
        Ok(self)
    }

    /// Adds a resource that the token is for (RFC 8707).
    ///
    /// # Errors
    ///
    /// `Misconfigured` unless it is an absolute URI without a fragment.
    pub fn resource(mut self, uri: impl Into<String>) -> Result<RefreshGrant, TokenError> {
        self.asked.add_resource(uri.into())?;
        Ok(self)
    }

    /// Adds a parameter of the vendor's.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the grant sets it itself, if it is there already, or if it has a control character.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Result<RefreshGrant, TokenError> {
        self.asked.add_extra(name.into(), value.into())?;
        Ok(self)
    }

    /// Whose login it is: [`Login::subject`](super::Login::subject) of the first one. A [`UserLogin`](super::UserLogin) keeps that
    /// by itself. Where it is not known, the first id_token of this process counts as the login's.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> RefreshGrant {
        self.subject = OnceLock::from(subject.into());
        self
    }

    /// Checks each id_token that comes. An error is the fetch's; the new refresh token is kept all the same. A check that takes
    /// longer than 10 s is given up, and one that panics is an error.
    #[must_use]
    pub fn on_id_token<F, Fut>(mut self, check: F) -> RefreshGrant
    where
        F: Fn(UnverifiedIdToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), TokenError>> + Send + 'static,
    {
        self.check = Some(Check::new(check));
        self
    }

    /// The id_token of a refresh: the user's check, and then whose it is. `known` is what the login's record says of that.
    async fn accept(
        &self,
        raw: Zeroizing<String>,
        token: AccessToken,
        known: Option<&str>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(), Rejected> {
        let subject = id_token::subject(&raw);
        if let Some(check) = &self.check {
            let known = known.or(self.subject.get().map(String::as_str)).map(str::to_owned);
            check.run(UnverifiedIdToken::new(raw, None, token, known), clock).await.map_err(Rejected::Check)?;
        }
        match subject {
            Some(subject) if known.unwrap_or_else(|| self.subject.get_or_init(|| subject.clone())) != subject => {
                Err(Rejected::Subject)
            }
            // OpenID Connect Core 12.2. A check that has passed has read what cannot be read here, such as an encrypted one.
            None if self.check.is_none() && known.or(self.subject.get().map(String::as_str)).is_some() => {
                let text = "the refresh brought an id_token that does not say whose it is";
                Err(Rejected::Check(TokenError::new(ErrorKind::Refused, text)))
            }
            _ => Ok(()),
        }
    }
}

/// Why the id_token of a refresh was not taken.
enum Rejected {
    Check(TokenError),
    Subject,
}

impl Exchange for RefreshGrant {
    async fn refresh(&self, token: &RefreshToken, clock: &Arc<dyn Clock>) -> Exchanged {
        let form = self.asked.fill(Form::grant("refresh_token").with("refresh_token", token.expose_secret()));
        self.calls.token(form, Some(token), &self.asked.scopes, clock).await
    }

    async fn vet(&self, mut exchanged: Exchanged, subject: Option<&str>, clock: &Arc<dyn Clock>) -> Exchanged {
        let (Ok(token), Some(RawIdToken(id_token))) = (&exchanged.token, exchanged.id_token.take()) else {
            return exchanged;
        };
        match self.accept(id_token, token.clone(), subject, clock).await {
            Ok(()) => exchanged,
            Err(Rejected::Check(error)) => Exchanged { token: Err(error), ..exchanged },
            Err(Rejected::Subject) => {
                let text = "the refresh brought another user's id_token: the login is over";
                let error = TokenError::new(ErrorKind::Refused, text);
                Exchanged { refresh: None, token: Err(error), login_again: true, unanswered: false, id_token: None }
            }
        }
    }

    fn login(&self, _clock: &Arc<dyn Clock>) -> Option<impl Future<Output = Exchanged> + Send> {
        None::<Ready<Exchanged>>
    }
}

impl fmt::Debug for RefreshGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshGrant").field("calls", &self.calls).field("scopes", &self.asked.scopes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use http::header::RETRY_AFTER;

    use super::{
        super::{
            error_code::codes,
            played::{Played, Sent, clock, played, reply},
        },
        *,
    };

    fn grant(replies: impl IntoIterator<Item = Played>) -> (RefreshGrant, Sent) {
        let (transport, sent) = played(replies);
        let server = Server::new("https://as.test/token").unwrap();
        (RefreshGrant::new(&server, Client::post("id", "CANARY-secret").unwrap(), transport), sent)
    }

    async fn refreshed(grant: &RefreshGrant) -> Exchanged {
        let exchanged = grant.refresh(&RefreshToken::new("old"), &clock()).await;
        grant.vet(exchanged, None, &clock()).await
    }

    async fn of(status: u16, body: impl Into<bytes::Bytes>) -> Exchanged {
        refreshed(&grant([reply(status, body)]).0).await
    }

    fn new_token(exchanged: &Exchanged) -> Option<&str> {
        exchanged.refresh.as_ref().map(RefreshToken::expose_secret)
    }

    #[tokio::test]
    async fn what_is_sent_and_what_comes_of_it() {
        let body = r#"{"access_token":"at","refresh_token":"new","expires_in":3600.0,"scope":"b a","token_type":"BEARER"}"#;
        let (grant, sent) = grant([reply(200, body)]);
        let grant = grant.scopes(["a"]).unwrap().resource("urn:x").unwrap().param("tenant", "t").unwrap();
        let exchanged = grant.refresh(&RefreshToken::new("o&l=d"), &clock()).await;
        assert_eq!((new_token(&exchanged), exchanged.login_again, exchanged.unanswered), (Some("new"), false, false));
        let token = exchanged.token.unwrap();
        assert_eq!((token.expose_secret(), token.lifetime()), ("at", Some(Duration::from_secs(3600))));
        assert_eq!(token.granted_scopes(), ["b", "a"]);
        assert!(Exchange::login(&grant, &clock()).is_none(), "only a person can");
        let body = "grant_type=refresh_token&refresh_token=o%26l%3Dd&scope=a&resource=urn%3Ax&tenant=t&client_id=id&client_secret=CANARY-secret";
        assert_eq!(sent.lock().unwrap()[0].2, body);
    }

    /// G1, G7, G8: each field, odd in each of the ways in which servers are.
    #[tokio::test]
    async fn lenient_in() {
        let hour = Some(3600);
        for (fields, lifetime, refresh, scopes) in [
            (r#""expires_in":3600"#, hour, None, &[][..]),
            (r#""expires_in":"3600""#, hour, None, &[]),
            (r#""expires_in":" 3600.0 ""#, hour, None, &[]),
            (r#""expires_in":0"#, Some(0), None, &[]),
            (r#""expires_in":-5"#, Some(0), None, &[]),
            (r#""expires_in":1e999"#, Some(u64::MAX), None, &[]),
            (r#""expires_in":null"#, None, None, &[]),
            (r#""expires_in":"soon""#, None, None, &[]),
            (r#""expires_in":60,"expires_in":3600"#, hour, None, &[]),
            (r#""refresh_token":"new""#, None, Some("new"), &[]),
            (r#""refresh_token":"""#, None, None, &[]),
            (r#""refresh_token":null"#, None, None, &[]),
            (r#""scope":"a  b""#, None, None, &["a", "b"]),
            (r#""scope":["a","b",7]"#, None, None, &["a", "b"]),
            (r#""scope":"""#, None, None, &[]),
            (r#""scope":{"a":1}"#, None, None, &[]),
            (r#""scope":"a \"\\ b""#, None, None, &["a", "b"]),
            (r#""token_type":"bEaReR""#, None, None, &[]),
            (r#""token_type":"N_A""#, None, None, &[]),
            (r#""token_type":["bearer"]"#, None, None, &[]),
            (r#""error":"invalid_grant""#, None, None, &[]),
        ] {
            let exchanged = of(200, format!(r#"{{"access_token":"at",{fields}}}"#)).await;
            assert_eq!(new_token(&exchanged), refresh, "{fields}");
            let token = exchanged.token.unwrap();
            let seconds = token.lifetime().map(|lifetime| lifetime.as_secs());
            assert_eq!((token.expose_secret(), seconds), ("at", lifetime), "{fields}");
            assert_eq!(token.granted_scopes(), scopes, "{fields}");
        }
    }

    /// G8, RFC 9449 section 5: an error, and the new refresh token is kept all the same.
    #[tokio::test]
    async fn a_bound_token_is_misconfigured() {
        let exchanged = of(200, r#"{"access_token":"at","token_type":"dpop","refresh_token":"new"}"#).await;
        assert_eq!(new_token(&exchanged), Some("new"));
        assert_eq!(exchanged.token.unwrap_err().kind(), ErrorKind::Misconfigured);
    }

    const FIELDS: [(&str, &str); 6] = [
        ("access_token", r#""at-1""#),
        ("token_type", r#""bearer""#),
        ("expires_in", "3600"),
        ("refresh_token", r#""rt-1""#),
        ("scope", r#""a b""#),
        ("id_token", r#""e30.e30.c2ln""#),
    ];

    /// The reply, with other members in the place of one.
    fn corrupted(field: &str, members: &[String]) -> String {
        let all = FIELDS.iter().flat_map(|(name, value)| match *name == field {
            true => members.to_vec(),
            false => vec![format!(r#""{name}":{value}"#)],
        });
        format!("{{{}}}", all.collect::<Vec<_>>().join(","))
    }

    /// G3, X6: every field × every corruption works or is a typed error, and no refresh token that can be read is lost.
    #[tokio::test]
    async fn no_corruption_of_another_field_loses_the_refresh_token() {
        let huge = format!(r#""{}""#, "x".repeat(200_000));
        let digits = "9".repeat(100_000);
        let odd = [
            "null",
            "true",
            "7",
            "-1",
            "1e999",
            "[]",
            "{}",
            r#"["x"]"#,
            r#"{"refresh_token":"other"}"#,
            r#""""#,
            r#"" ""#,
            r#""\ud800""#,
            r#""a\u0000b""#,
            r#""\r\n""#,
            &huge,
            &digits,
            "",
            "NaN",
            "'x'",
            "\"",
            "\"unclosed",
            "{",
            "]",
            "\u{1}",
        ];
        for (field, good) in FIELDS {
            let mut shapes = vec![Vec::new(), vec![format!(r#""{field}":{good}"#), format!(r#""{field}":{good}"#)]];
            for odd in odd {
                let (odd, good) = (format!(r#""{field}":{odd}"#), format!(r#""{field}":{good}"#));
                shapes.extend([vec![odd.clone()], vec![odd.clone(), good.clone()], vec![good, odd]]);
            }
            for members in shapes {
                let body = corrupted(field, &members);
                let shown = &body[..body.len().min(300)];
                for status in [200, 400, 500] {
                    let exchanged = of(status, body.clone()).await;
                    if field != "refresh_token" {
                        assert_eq!(new_token(&exchanged), Some("rt-1"), "{status} {shown}");
                    }
                    assert!(!exchanged.login_again);
                    match exchanged.token {
                        Ok(token) => assert!(status == 200 && !token.expose_secret().is_empty()),
                        Err(error) => assert!(!error.to_string().contains("at-1") && !error.to_string().contains("rt-1")),
                    }
                }
            }
        }
    }

    /// Of the refresh token itself: what can be read, the last of several.
    #[tokio::test]
    async fn a_corrupted_refresh_token_is_one_or_none() {
        let member = |value: &str| format!(r#""refresh_token":{value}"#);
        for (members, expected) in [
            (vec![], None),
            (vec![member("null")], None),
            (vec![member("7")], None),
            (vec![member(r#"["rt-1"]"#)], None),
            (vec![member(r#""""#)], None),
            (vec![member(r#""rt-1""#), member(r#""rt-2""#)], Some("rt-2")),
            (vec![member(r#""rt-1""#), member("null")], Some("rt-1")),
            (vec![member("{}"), member(r#""rt-1""#)], Some("rt-1")),
        ] {
            let exchanged = of(200, corrupted("refresh_token", &members)).await;
            assert_eq!(new_token(&exchanged), expected, "{members:?}");
            assert_eq!(exchanged.token.unwrap().expose_secret(), "at-1");
        }
    }

    /// G3: cut off after each byte.
    #[tokio::test]
    async fn no_truncation_loses_a_refresh_token_that_is_there() {
        let whole = corrupted("", &[]);
        let there = whole.find("rt-1\"").unwrap() + 5;
        for end in 0..whole.len() {
            let exchanged = of(200, whole[..end].to_owned()).await;
            assert_eq!(new_token(&exchanged), (end >= there).then_some("rt-1"), "{end}");
            assert_eq!(exchanged.unanswered, end < there, "{end}");
            assert_eq!(exchanged.token.unwrap_err().kind(), ErrorKind::Transient, "{end}");
        }
        assert!(of(200, whole).await.token.is_ok());
    }

    /// E10: the table of the module's docs, each code under each status that a server may pick.
    #[tokio::test]
    async fn what_a_code_means() {
        for (code, class) in codes() {
            for status in [200, 400, 401, 403, 429, 503] {
                let exchanged = of(status, format!(r#"{{"error":"{code}","error_description":"CANARY"}}"#)).await;
                let error = exchanged.token.unwrap_err();
                assert_eq!((error.kind(), error.code()), (class.kind(), Some(code)), "{status} {code}");
                assert_eq!(exchanged.login_again, matches!(code, "invalid_grant" | "bad_refresh_token"), "{status} {code}");
                assert!(!exchanged.unanswered && exchanged.refresh.is_none());
                let shown = format!("{error} {error:?}");
                assert!(shown.contains(code) && !shown.contains("CANARY"), "{shown}");
            }
        }
        let strange = of(400, r#"{"error":"CANARY_code"}"#).await;
        assert!(!strange.login_again, "only a known code ends a login");
        let strange = strange.token.unwrap_err();
        assert_eq!((strange.kind(), strange.code()), (ErrorKind::Refused, Some("CANARY_code")));
        assert!(!strange.to_string().contains("CANARY"));
    }

    /// G7, G17: an echo of what was sent is no code, and no new refresh token.
    #[tokio::test]
    async fn an_echo_is_nothing() {
        for echo in ["CANARY-secret", "x-CANARY-secr"] {
            assert_eq!(of(400, format!(r#"{{"error":"{echo}"}}"#)).await.token.unwrap_err().code(), None);
        }
        let (grant, _) = grant([reply(400, r#"{"error":"opaque-refresh"}"#)]);
        let exchanged = grant.refresh(&RefreshToken::new("opaque-refresh-token"), &clock()).await;
        assert_eq!(exchanged.token.unwrap_err().code(), None);
        assert_eq!(new_token(&of(400, r#"{"refresh_token":"old"}"#).await), None);
        assert_eq!(new_token(&of(400, r#"{"refresh_token":"new"}"#).await), Some("new"));
    }

    /// G3, F10: validators name the field and say what is wrong with it; that takes no good refresh token's place.
    #[tokio::test]
    async fn a_complaint_is_no_refresh_token() {
        for (status, code, login_again) in [(400, "invalid_grant", true), (400, "invalid_request", false), (503, "x", false)] {
            let body = format!(r#"{{"error":"{code}","refresh_token":"The refresh token field is required."}}"#);
            let exchanged = of(status, body).await;
            assert_eq!((new_token(&exchanged), exchanged.login_again), (None, login_again), "{status} {code}");
        }
        assert_eq!(new_token(&of(400, r#"{"refresh_token":" new\n"}"#).await), Some(" new\n"));
    }

    /// E11.
    #[tokio::test]
    async fn retry_after_is_obeyed() {
        for (status, body) in [(429, ""), (503, "<html>"), (400, r#"{"error":"temporarily_unavailable"}"#)] {
            let (grant, _) = grant([(status, vec![(RETRY_AFTER, "120")], body.into())]);
            let error = refreshed(&grant).await.token.unwrap_err();
            assert_eq!((error.kind(), error.retry_hint()), (ErrorKind::Transient, Some(Duration::from_secs(120))), "{status}");
        }
    }

    /// DESIGN 5: an HTML or empty 4xx ends no login, and is believed the third time in a row.
    #[tokio::test]
    async fn an_unreadable_refusal_is_believed_the_third_time() {
        let replies = [(400, ""), (403, "<html>"), (500, ""), (400, ""), (400, ""), (400, "")];
        let (grant, _) = grant(replies.map(|(status, body)| reply(status, body)));
        use ErrorKind::{Refused, Transient};
        for kind in [Transient, Transient, Transient, Transient, Transient, Refused] {
            let exchanged = refreshed(&grant).await;
            assert!(!exchanged.login_again);
            assert_eq!(exchanged.token.unwrap_err().kind(), kind);
        }
    }

    /// F2: whether the server may have rotated without our knowing.
    #[tokio::test]
    async fn what_is_no_answer() {
        for (status, body, unanswered) in [
            (200, "<html>", true),
            (200, "", true),
            (200, r#"{"access_token":"#, true),
            (200, r#"{"refresh_token":"new","access_"#, false),
            (200, "{}", false),
            (502, "<html>", true),
            (504, "", true),
            (500, "", false),
            (503, "{}", false),
            (429, "", false),
            (400, "", false),
            (302, "", false),
        ] {
            let exchanged = of(status, body).await;
            assert!(exchanged.token.is_err());
            assert_eq!(exchanged.unanswered, unanswered, "{status} {body}");
        }
        let broken_off = refreshed(&grant([]).0).await;
        assert!(broken_off.unanswered && broken_off.refresh.is_none());
    }

    fn with_id_token(subject: &str) -> Played {
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{subject}"}}"#)));
        reply(200, format!(r#"{{"access_token":"at","refresh_token":"new","id_token":"{jwt}"}}"#))
    }

    /// V6: another user's id_token ends the login, and neither of its tokens is taken.
    #[tokio::test]
    async fn a_refresh_that_brings_another_subject() {
        let (known, _) = grant([with_id_token("u-1"), with_id_token("u-2")]);
        let known = known.subject("u-1");
        let (remembered, _) = grant([with_id_token("u-1"), with_id_token("u-2")]);
        for grant in [known, remembered] {
            let own = refreshed(&grant).await;
            assert_eq!((own.token.is_ok(), new_token(&own), own.login_again), (true, Some("new"), false));
            let other = refreshed(&grant).await;
            assert_eq!((new_token(&other), other.login_again), (None, true));
            assert_eq!(other.token.unwrap_err().kind(), ErrorKind::Refused);
        }
    }

    /// V6: where it is known whose login it is, an id_token that does not say so is not taken; where nothing is known, it says nothing.
    #[tokio::test]
    async fn a_refresh_that_brings_no_readable_subject() {
        let unreadable = || reply(200, r#"{"access_token":"at","refresh_token":"new","id_token":"e30.e30.c2ln"}"#);
        let (grant, _) = grant([unreadable(), with_id_token("u-1"), unreadable()]);
        assert!(refreshed(&grant).await.token.is_ok());
        assert!(refreshed(&grant).await.token.is_ok());
        let refused = refreshed(&grant).await;
        assert_eq!((new_token(&refused), refused.login_again), (Some("new"), false));
        assert_eq!(refused.token.unwrap_err().kind(), ErrorKind::Refused);
    }

    /// The check sees what it needs; its error is the fetch's, and the refresh token is kept.
    #[tokio::test]
    async fn on_id_token() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seen_by_check = Arc::clone(&seen);
        let (grant, _) = grant([
            with_id_token("u-1"),
            reply(200, r#"{"access_token":"at"}"#),
            reply(200, r#"{"access_token":"at","id_token":"","refresh_token":"new"}"#),
            with_id_token("bad"),
            with_id_token("bad"),
        ]);
        let grant = grant.on_id_token(move |token| {
            let of = token.subject().map(str::to_owned);
            seen_by_check.lock().unwrap().push((token.access_token().expose_secret().to_owned(), token.nonce().is_some(), of));
            let is_good = id_token::subject(token.raw()).as_deref() == Some("u-1");
            async move { if is_good { Ok(()) } else { Err(TokenError::refused("no")) } }
        });
        for _ in 0..3 {
            assert!(refreshed(&grant).await.token.is_ok());
        }
        let refused = refreshed(&grant).await;
        assert_eq!((new_token(&refused), refused.login_again), (Some("new"), false));
        assert_eq!(refused.token.unwrap_err().kind(), ErrorKind::Refused);
        let at = || "at".to_owned();
        assert_eq!(*seen.lock().unwrap(), [(at(), false, None), (at(), false, Some("u-1".to_owned()))]);
        let panicking = grant.on_id_token(async |_| panic!("CANARY"));
        let panicked = refreshed(&panicking).await;
        assert_eq!(new_token(&panicked), Some("new"));
        assert_eq!(panicked.token.unwrap_err().kind(), ErrorKind::Panicked);
    }

    /// S3.
    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", grant([]).0.subject("CANARY"));
        assert!(!shown.contains("CANARY") && shown.contains("https://as.test/token"), "{shown}");
    }
}
