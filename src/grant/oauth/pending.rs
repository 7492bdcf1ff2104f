use std::{
    fmt,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    super::{
        ErrorClass,
        code::is_code,
        exchange::{Exchanged, RawIdToken},
        form::Form,
        secrets::Secrets,
    },
    authorization_code::Plan,
    callback::Callback,
    error_code::class_of,
    grammar,
    id_token::{self, UnverifiedIdToken},
    login::Login,
    random::{self, is_secret},
};
use crate::{
    clock::Moment,
    error::{ErrorKind, TokenError},
};

/// How long a user may take to log in.
const PATIENCE: Duration = Duration::from_secs(600);

/// How far the clock of the process that began a login may be ahead.
const SKEW: Duration = Duration::from_secs(60);

/// The version of what [`Pending::export`] writes.
const VERSION: &str = "v1";

/// A login that has begun, and is waiting for the user's browser to come back: for 10 minutes.
///
/// It holds what makes the callback ours: `state`, `nonce` and the PKCE verifier. [`finish`](Self::finish) takes it, so that
/// none of them is used twice. Keep it with the browser's session, and take the session's own when a callback comes: looked up
/// by the `state` of the callback instead, an attacker's login would be finished in a victim's browser.
///
/// `Debug` shows none of it, and the memory is wiped on drop.
#[must_use = "without it, the callback cannot be answered"]
pub struct Pending {
    plan: Arc<Plan>,
    state: Zeroizing<String>,
    nonce: Zeroizing<String>,
    verifier: Zeroizing<String>,
    begun: Moment,
}

impl Pending {
    pub(super) fn new(plan: Arc<Plan>) -> Result<Pending, TokenError> {
        let begun = Moment::now(&*plan.clock);
        Ok(Pending { plan, state: random::secret()?, nonce: random::secret()?, verifier: random::secret()?, begun })
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Whether a callback answers this login: its `state` is compared, in constant time, and nothing else. For a listener that
    /// anybody on the machine can call; the login goes on waiting.
    pub fn is_answered_by(&self, callback: &str) -> bool {
        Callback::parse(callback).is_some_and(|callback| self.is_own(&callback))
    }

    fn is_own(&self, callback: &Callback) -> bool {
        callback.state.as_ref().is_some_and(|state| bool::from(state.as_bytes().ct_eq(self.state.as_bytes())))
    }

    /// Takes the callback, as a URL or as its query, and exchanges its code for tokens.
    ///
    /// # Errors
    ///
    /// `Refused` if the callback is not the answer to this login: its `state` is another, a parameter is there twice, it names
    /// another issuer or, where the server [names itself](super::Server::with_iss_in_callbacks), none (RFC 9207), or it comes
    /// after 10 minutes. Where the server answers with an error (`access_denied`, say), and where the exchange fails, as [the
    /// table](super#what-a-code-means) has it, with the [code](TokenError::code). And the error of the `on_id_token` check.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the login up: its code can be used once only, and may have been.
    pub async fn finish(self, callback: &str) -> Result<Login, TokenError> {
        let code = self.code(callback)?;
        let plan = &self.plan;
        let form = Form::grant("authorization_code")
            .with_secret("code", &code)
            .with("redirect_uri", &plan.redirect_uri)
            .with_secret("code_verifier", &self.verifier);
        let form = plan.asked.resources.iter().fold(form, |form, uri| form.with("resource", uri));
        let sent = plan.clock.wall();
        let Exchanged { refresh, token, id_token, .. } = plan.calls.token(form, None, &plan.asked.scopes, &plan.clock).await;
        let (token, id_token) = (token?, id_token.map(|RawIdToken(raw)| raw));
        if let Some(check) = &plan.check {
            let Some(raw) = id_token.clone() else {
                return Err(refused("the server sent no id_token, which was to be checked"));
            };
            let unverified = UnverifiedIdToken::new(raw, Some(self.nonce.clone()), token.clone(), None);
            check.run(unverified, &plan.clock).await?;
        }
        // From here on the engine no longer knows when it was asked for.
        let expires_at = token.lifetime().and_then(|lifetime| sent.checked_add(lifetime));
        let token = match expires_at {
            Some(at) => token.expires_at(at),
            None => token,
        };
        let subject = id_token.as_ref().and_then(|raw| id_token::subject(raw));
        Ok(Login { token, refresh, id_token, subject })
    }

    /// The code of a callback that answers this login.
    fn code(&self, callback: &str) -> Result<Zeroizing<String>, TokenError> {
        if self.begun.age(Moment::now(&*self.plan.clock)) > PATIENCE {
            return Err(refused("the login took longer than 10 minutes"));
        }
        let callback = Callback::parse(callback).ok_or_else(|| refused("the callback has a parameter twice"))?;
        if !self.is_own(&callback) {
            return Err(refused("the callback has no `state`, or that of another login"));
        }
        match (&callback.iss, &self.plan.issuer) {
            (Some(iss), Some(issuer)) if iss.as_str() != issuer => return Err(refused("the callback is of another issuer")),
            (None, _) if self.plan.iss_in_callbacks => {
                return Err(refused("the callback names no issuer, and this server names itself"));
            }
            _ => {}
        }
        if let Some(code) = &callback.error {
            return Err(self.failed(code));
        }
        let code = callback.code.ok_or_else(|| refused("the callback has neither a code nor an error"))?;
        match grammar::visible(&code) {
            Ok(()) => Ok(code),
            Err(_) => Err(refused("the callback's code has a character that no code has")),
        }
    }

    /// The server's own error: its code is shown if it is a known one, and its description never.
    fn failed(&self, code: &str) -> TokenError {
        let class = class_of(code);
        let kind = class.map_or(ErrorKind::Refused, ErrorClass::kind);
        let text = match class {
            Some(_) => format!("the login has failed ({code})"),
            None => "the login has failed".to_owned(),
        };
        let error = TokenError::new(kind, text);
        let secrets = Secrets::new([&self.state, &self.nonce, &self.verifier].map(Clone::clone));
        if is_code(code) && !secrets.leak_into(code) { error.with_code(code) } else { error }
    }

    /// Writes the login down, to be [resumed](super::AuthorizationCode::resume) by another process: where several serve one
    /// site, the browser may come back to any of them.
    ///
    /// **The text is a secret.** Whoever has it and the callback has the user's tokens: keep it on the server, or in a cookie
    /// that is encrypted. And see to it that it is used once: take it out of the store before it is resumed, in one step. The
    /// 10 minutes go on by the wall clock.
    pub fn export(self) -> String {
        let begun = self.begun.wall.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        [VERSION, &self.state, &self.nonce, &self.verifier, &begun, &self.plan.binding()].join(".")
    }

    pub(super) fn import(plan: Arc<Plan>, exported: &str) -> Result<Pending, TokenError> {
        let unreadable = || refused("the login that was to be resumed cannot be read");
        let parts: Vec<&str> = exported.split('.').collect();
        let [VERSION, state, nonce, verifier, begun, binding] = parts[..] else {
            return Err(unreadable());
        };
        if ![state, nonce, verifier].into_iter().all(is_secret) {
            return Err(unreadable());
        }
        if binding != plan.binding() {
            return Err(refused("the login that was to be resumed was begun with another server, client or redirect URI"));
        }
        let begun = begun.parse().ok().and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let (begun, now) = (begun.ok_or_else(unreadable)?, Moment::now(&*plan.clock));
        if begun.duration_since(now.wall).is_ok_and(|ahead| ahead > SKEW) {
            return Err(refused("the login that was to be resumed begins in the future"));
        }
        let [state, nonce, verifier] = [state, nonce, verifier].map(|text| Zeroizing::new(text.to_owned()));
        Ok(Pending { plan, state, nonce, verifier, begun: Moment { mono: now.mono, wall: begun } })
    }
}

fn refused(text: &'static str) -> TokenError {
    TokenError::new(ErrorKind::Refused, text)
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("begun", &self.begun.wall).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use http::Uri;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::{
        super::{
            AuthorizationCode, Client, Server,
            error_code::codes,
            played::{Played, Sent, played, reply},
        },
        *,
    };
    use crate::clock::{Clock, ManualClock};

    const REDIRECT: &str = "https://app.test/cb?x=1";

    fn server() -> Server {
        let server = Server::new("https://as.test/token").unwrap();
        server.with_authorization_endpoint("https://as.test/authorize?tenant=a%20b").unwrap()
    }

    fn over(server: &Server, replies: impl IntoIterator<Item = Played>) -> (AuthorizationCode, Sent) {
        let (transport, sent) = played(replies);
        (AuthorizationCode::new(server, Client::public("my app").unwrap(), REDIRECT, transport).unwrap(), sent)
    }

    fn grant() -> AuthorizationCode {
        over(&server(), [reply(200, r#"{"access_token":"at"}"#)]).0
    }

    fn parameters(query: &str) -> HashMap<String, String> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let map: HashMap<_, _> = pairs.iter().cloned().collect();
        assert_eq!(map.len(), pairs.len(), "a parameter is there twice: {query}");
        map
    }

    fn of_url(url: &Uri) -> HashMap<String, String> {
        parameters(url.query().unwrap())
    }

    /// RFC 6749 section 4.1.1, RFC 7636 section 4.3, OpenID Connect Core 3.1.2.1.
    #[tokio::test]
    async fn a_login() {
        let body = r#"{"access_token":"at","refresh_token":"rt","expires_in":60,"id_token":"x","token_type":"bearer"}"#;
        let (grant, sent) = over(&server(), [reply(200, body)]);
        let grant = grant.scopes(["openid", "b:read"]).unwrap().resource("urn:r").unwrap().param("prompt", "a&state=x").unwrap();
        let (url, pending) = grant.begin().unwrap();
        assert!(url.to_string().starts_with("https://as.test/authorize?tenant=a%20b&response_type=code&"), "{url}");
        let asked = of_url(&url);
        let expected = [
            ("tenant", "a b"),
            ("response_type", "code"),
            ("client_id", "my app"),
            ("redirect_uri", REDIRECT),
            ("state", pending.state()),
            ("nonce", pending.nonce()),
            ("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(pending.verifier()))),
            ("code_challenge_method", "S256"),
            ("scope", "openid b:read"),
            ("resource", "urn:r"),
            ("prompt", "a&state=x"),
        ];
        assert_eq!(asked, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());

        let (state, verifier) = (pending.state().to_owned(), pending.verifier().to_owned());
        let before = std::time::SystemTime::now();
        let login = pending.finish(&format!("https://app.test/cb?x=1&code=c%2B1&state={state}")).await.unwrap();
        assert_eq!(login.access_token().expose_secret(), "at");
        assert!(login.access_token().expiry().is_some_and(|at| at >= before + Duration::from_secs(60)));
        assert_eq!(login.refresh_token().map(|token| token.expose_secret()), Some("rt"));
        assert_eq!((login.scopes(), login.id_token()), (&["openid".to_owned(), "b:read".into()][..], Some("x")));
        let (url, _, body) = sent.lock().unwrap()[0].clone();
        assert_eq!(url, "https://as.test/token");
        let expected = [
            ("grant_type", "authorization_code"),
            ("code", "c+1"),
            ("redirect_uri", REDIRECT),
            ("code_verifier", &verifier),
            ("resource", "urn:r"),
            ("client_id", "my app"),
        ];
        assert_eq!(parameters(&body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    /// G11: nothing is used twice.
    #[test]
    fn logins_have_nothing_in_common() {
        let grant = grant();
        let seen: std::collections::HashSet<String> = (0..50)
            .flat_map(|_| {
                let (url, _pending) = grant.begin().unwrap();
                let mut asked = of_url(&url);
                ["state", "nonce", "code_challenge"].map(|name| asked.remove(name).unwrap())
            })
            .collect();
        assert_eq!(seen.len(), 150);
    }

    /// G11, G12, S8: what a callback may hold, and what comes of it. `S` stands for the state of the login.
    #[tokio::test]
    async fn callbacks() {
        use ErrorKind::{Misconfigured, Refused, Transient};
        let known = server().with_issuer("https://as.test/t").unwrap();
        let named = known.clone().with_iss_in_callbacks(true);
        let (none, known, named) = (&server(), &known, &named);
        let iss = "iss=https%3A%2F%2Fas.test%2Ft";
        let with = |rest: &str| format!("code=c&state=S&{rest}");
        for (server, callback, kind, code) in [
            (none, with(""), None, None),
            (none, "https://app.test/cb?code=c&state=S#_=_".to_owned(), None, None),
            (none, "/cb?x=1&x=2&state=S&code=c".to_owned(), None, None),
            (none, "?code=c&state=S".to_owned(), None, None),
            // `state`: missing, empty, another, part of it, in another case, twice.
            (none, "code=c".to_owned(), Some(Refused), None),
            (none, "code=c&state=".to_owned(), Some(Refused), None),
            (none, "code=c&state=x".to_owned(), Some(Refused), None),
            (none, "code=c&state=Sx".to_owned(), Some(Refused), None),
            (none, "code=c&State=S".to_owned(), Some(Refused), None),
            (none, "code=c&state=S&state=S".to_owned(), Some(Refused), None),
            (none, "code=c#state=S".to_owned(), Some(Refused), None),
            (none, "error=access_denied&state=x".to_owned(), Some(Refused), None),
            // `code`: missing, empty, twice, no code.
            (none, "state=S".to_owned(), Some(Refused), None),
            (none, "code=&state=S".to_owned(), Some(Refused), None),
            (none, with("code=c"), Some(Refused), None),
            (none, with("code=d"), Some(Refused), None),
            (none, "code=a%0d%0ab&state=S".to_owned(), Some(Refused), None),
            (none, "code=%C3%A4&state=S".to_owned(), Some(Refused), None),
            (none, "code=%ff&state=S".to_owned(), Some(Refused), None),
            (none, "code=a%00&state=S".to_owned(), Some(Refused), None),
            (none, String::new(), Some(Refused), None),
            // `iss` (RFC 9207 section 2.4).
            (none, with(iss), None, None),
            (known, with(""), None, None),
            (known, with(iss), None, None),
            (known, with("iss=https%3A%2F%2Fas.test%2Ft%2F"), Some(Refused), None),
            (known, with("iss=https%3A%2F%2FAS.test%2Ft"), Some(Refused), None),
            (known, with("iss=https%3A%2F%2Fevil.test"), Some(Refused), None),
            (known, with(&format!("{iss}&{iss}")), Some(Refused), None),
            (known, "error=server_error&state=S&iss=https%3A%2F%2Fevil.test".to_owned(), Some(Refused), None),
            (named, with(iss), None, None),
            (named, with(""), Some(Refused), None),
            (named, with("iss="), Some(Refused), None),
            (named, with("iss=evil"), Some(Refused), None),
            (named, "error=server_error&state=S".to_owned(), Some(Refused), None),
            (named, format!("error=server_error&state=S&{iss}"), Some(Transient), Some("server_error")),
            // `error` (RFC 6749 section 4.1.2.1).
            (none, "error=access_denied&state=S".to_owned(), Some(Refused), Some("access_denied")),
            (none, "error=access_denied&state=S&code=c".to_owned(), Some(Refused), Some("access_denied")),
            (none, "error=temporarily_unavailable&state=S".to_owned(), Some(Transient), Some("temporarily_unavailable")),
            (none, "error=invalid_scope&state=S".to_owned(), Some(Misconfigured), Some("invalid_scope")),
            (none, "error=CANARY&state=S&error_description=CANARY".to_owned(), Some(Refused), Some("CANARY")),
            (none, "error=CANARY+two&state=S".to_owned(), Some(Refused), None),
            (none, "error=%1b%5b31mCANARY&state=S".to_owned(), Some(Refused), None),
            (none, "error=S&state=S".to_owned(), Some(Refused), None),
            (none, "error=access_denied&error=x&state=S".to_owned(), Some(Refused), None),
        ] {
            let (grant, sent) = over(server, [reply(200, r#"{"access_token":"at"}"#)]);
            let (_, pending) = grant.begin().unwrap();
            let own = callback.replace("=S", &format!("={}", pending.state()));
            let result = pending.finish(&own).await;
            assert_eq!(sent.lock().unwrap().len(), usize::from(kind.is_none()), "{callback}: no code is exchanged in vain");
            match (result, kind) {
                (Ok(_), None) => {}
                (Err(error), Some(kind)) => {
                    assert_eq!((error.kind(), error.code()), (kind, code), "{callback}");
                    let shown = format!("{error} {error:?}");
                    assert!(!shown.contains("CANARY") && !shown.contains("evil"), "{shown}");
                }
                (result, _) => panic!("{callback}: {result:?}"),
            }
        }
    }

    #[tokio::test]
    async fn every_code_of_the_table_is_one_in_a_callback_too() {
        for (code, class) in codes() {
            let (_, pending) = grant().begin().unwrap();
            let callback = format!("error={code}&state={}", pending.state());
            let error = pending.finish(&callback).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (class.kind(), Some(code)));
        }
    }

    #[test]
    fn a_listener_may_ask_first() {
        let (_, pending) = grant().begin().unwrap();
        let state = pending.state().to_owned();
        for (callback, is) in [
            (format!("/cb?state={state}&error=access_denied"), true),
            (format!("/cb?state={state}&state={state}"), false),
            (format!("/cb?state={}", &state[1..]), false),
            ("/cb?state=".to_owned(), false),
            ("/favicon.ico".to_owned(), false),
        ] {
            assert_eq!(pending.is_answered_by(&callback), is, "{callback}");
        }
    }

    /// G11: 10 minutes, by whichever clock says more.
    #[tokio::test]
    async fn a_login_is_waited_for_ten_minutes() {
        let second = Duration::from_secs(1);
        for (advance, suspend, is_good) in [
            (PATIENCE, Duration::ZERO, true),
            (PATIENCE + second, Duration::ZERO, false),
            (Duration::ZERO, PATIENCE + second, false),
        ] {
            let clock = Arc::new(ManualClock::new());
            let (_, pending) = grant().clock(Shared(clock.clone())).begin().unwrap();
            clock.advance(advance);
            clock.suspend(suspend);
            let callback = format!("code=c&state={}", pending.state());
            assert_eq!(pending.finish(&callback).await.is_ok(), is_good, "{advance:?} {suspend:?}");
        }
    }

    /// What one process begins, another finishes, with the same settings only, in the same time, and once as far as it can see.
    #[tokio::test]
    async fn a_login_in_another_process() {
        let clock = Arc::new(ManualClock::new());
        let (url, pending) = grant().clock(Shared(clock.clone())).begin().unwrap();
        let exported = pending.export();

        let other =
            over(&Server::new("https://as.test/other").unwrap().with_authorization_endpoint("https://as.test/a").unwrap(), []).0;
        assert_eq!(other.resume(&exported).unwrap_err().kind(), ErrorKind::Refused);
        for broken in [
            "",
            "v1",
            "v2.a.b.c.1.d",
            &exported[1..],
            &exported[..40],
            &format!("{exported}.x"),
            &exported.replacen('.', "..", 1),
        ] {
            assert_eq!(grant().resume(broken).unwrap_err().kind(), ErrorKind::Refused, "{broken}");
        }

        let resumed = || grant().clock(Shared(clock.clone())).resume(&exported);
        let callback = format!("code=c&state={}", of_url(&url)["state"]);
        assert!(resumed().unwrap().finish(&callback).await.is_ok());
        assert!(resumed().unwrap().finish("code=c&state=x").await.is_err());
        clock.set_wall(clock.wall() - 2 * SKEW);
        assert_eq!(resumed().unwrap_err().kind(), ErrorKind::Refused, "it has not begun yet");
        clock.set_wall(clock.wall() + 2 * SKEW + PATIENCE + Duration::from_secs(1));
        let late = resumed().unwrap().finish(&callback).await.unwrap_err();
        assert_eq!(late.kind(), ErrorKind::Refused);
    }

    /// V5: the check has what it needs, and without an id_token there is no login.
    #[tokio::test]
    async fn on_id_token() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let seen_by_check = Arc::clone(&seen);
        let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(r#"{"sub":"u-1"}"#));
        let good = format!(r#"{{"access_token":"at","id_token":"{jwt}"}}"#);
        let (grant, _) = over(&server(), [reply(200, good.clone()), reply(200, good), reply(200, r#"{"access_token":"at"}"#)]);
        let grant = grant.on_id_token(move |token| {
            let mut seen = seen_by_check.lock().unwrap();
            seen.push((
                token.raw().to_owned(),
                token.nonce().map(str::to_owned),
                token.access_token().expose_secret().to_owned(),
            ));
            let verdict = if seen.len() == 1 { Ok(()) } else { Err(TokenError::refused("no").with_code("bad_signature")) };
            async move { verdict }
        });
        let finish = async || {
            let (url, pending) = grant.begin().unwrap();
            let callback = format!("code=c&state={}", pending.state());
            (of_url(&url)["nonce"].clone(), pending.finish(&callback).await)
        };
        let (nonce, login) = finish().await;
        assert_eq!(login.unwrap().subject(), Some("u-1"));
        assert_eq!(*seen.lock().unwrap(), [(jwt, Some(nonce), "at".to_owned())]);
        assert_eq!(finish().await.1.unwrap_err().code(), Some("bad_signature"));
        assert_eq!(finish().await.1.unwrap_err().kind(), ErrorKind::Refused, "without an id_token");
        assert_eq!(seen.lock().unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_begun() {
        let failed = |server: &Server, redirect: &str| {
            let client = Client::public("id").unwrap();
            AuthorizationCode::new(server, client, redirect, played([]).0).unwrap_err().to_string()
        };
        let twice = server().with_authorization_endpoint("https://as.test/a?client_id=CANARY").unwrap();
        for (error, named) in [
            (failed(&Server::new("https://as.test/t").unwrap(), REDIRECT), "`authorization_endpoint` is not known"),
            (failed(&twice, REDIRECT), "`authorization_endpoint` has a parameter"),
            (failed(&server().with_iss_in_callbacks(true), REDIRECT), "`issuer` is not known"),
            (failed(&server(), "http://app.test/CANARY"), "`redirect_uri` must be https"),
            (failed(&server(), "https://app.test/CANARY#x"), "`redirect_uri` must not have a fragment"),
        ] {
            assert!(error.contains(named) && !error.contains("CANARY"), "{error}");
        }
    }

    /// S3, S5.
    #[tokio::test]
    async fn debug_shows_no_secret() {
        let body = r#"{"access_token":"CANARY","refresh_token":"CANARY","id_token":"CANARY"}"#;
        let (grant, _) = over(&server().with_authorization_endpoint("https://as.test/a?k=CANARY").unwrap(), [reply(200, body)]);
        let grant = grant.param("hint", "CANARY").unwrap();
        let (_, pending) = grant.begin().unwrap();
        let state = pending.state().to_owned();
        let shown = format!("{grant:?} {pending:?} {:?}", grant.refresh_grant());
        for secret in ["CANARY", &state, pending.nonce(), pending.verifier()] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let login = pending.finish(&format!("code=c&state={state}")).await.unwrap();
        assert!(!format!("{login:?}").contains("CANARY"));
    }

    #[test]
    fn futures_can_be_sent() {
        fn send<T: Send>(_: T) {}
        let (_, pending) = grant().begin().unwrap();
        send(pending.finish(""));
        send(Server::discover("https://as.test", played([]).0, &super::super::played::clock()));
    }

    proptest! {
        /// Total, and no text but one with the state gets through.
        #[test]
        fn any_callback(text in "[a-z/:?#&=%]{0,60}|.*", with_state: bool) {
            let (_, pending) = grant().begin().unwrap();
            let callback = if with_state { format!("?state={}&{text}", pending.state()) } else { text };
            prop_assert!(with_state || !pending.is_answered_by(&callback));
            let _ = pending.code(&callback);
            let _ = grant().resume(&callback);
        }
    }

    /// A clock that the test keeps a hold of.
    #[derive(Debug)]
    struct Shared(Arc<ManualClock>);

    impl Clock for Shared {
        fn now(&self) -> std::time::Instant {
            self.0.now()
        }

        fn wall(&self) -> std::time::SystemTime {
            self.0.wall()
        }

        fn sleep(&self, duration: Duration) -> Result<crate::clock::Sleep, TokenError> {
            self.0.sleep(duration)
        }

        fn spawn(&self, task: crate::clock::Task) -> Result<(), TokenError> {
            self.0.spawn(task)
        }
    }
}
