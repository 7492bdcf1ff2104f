use std::{collections::HashMap, io, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::{
    id_token::{self, Login, Notary},
    refusal::Refusal,
    user::User,
};
use crate::{
    clock::Moment,
    testing::{
        ApiOutcome, RefreshReuse,
        api_call::ApiCalls,
        message,
        opaque_tokens::OpaqueTokens,
        params::{self, Params},
        random,
        refresh_tokens::{Family, RefreshTokens, Spending},
        setting::Setting,
    },
};

pub(super) const AUTHORIZATION: &str = "/oauth2/auth";
pub(super) const TOKEN: &str = "/oauth2/token";
pub(super) const REVOCATION: &str = "/oauth2/revoke";
pub(super) const KEYS: &str = "/.well-known/jwks.json";
pub(super) const METADATA: &str = "/.well-known/openid-configuration";

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    /// Where the server is; told when it knows.
    pub(super) base_url: String,
    /// Another issuer than `base_url`.
    pub(super) issuer: Option<String>,
    pub(super) setting: Setting,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) client_disabled: bool,
    pub(super) redirect_uris: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) basic: bool,
    pub(super) pkce_required: bool,
    pub(super) user: User,
    /// The scopes that the user consents to; all that are asked for, if none.
    pub(super) consent: Option<String>,
    /// The error that an authorization request is answered with, whatever it asks.
    pub(super) denial: Option<String>,
    pub(super) callback_issuer: Option<String>,
    pub(super) callback_state: Option<String>,
    pub(super) code_lifetime: Duration,
    pub(super) access_lifetime: Duration,
    pub(super) refresh_lifetime: Duration,
    pub(super) reuse: RefreshReuse,
    pub(super) rotates: bool,
    pub(super) id_token_on_refresh: bool,
    pub(super) needed_scope: Option<String>,
    pub(super) notary: Notary,
    codes: HashMap<String, Code>,
    grants: HashMap<Family, Grant>,
    pub(super) access_tokens: OpaqueTokens<Access>,
    pub(super) refresh_tokens: RefreshTokens,
    pub(super) calls: ApiCalls,
    grant_types: HashMap<String, u64>,
    refusals: HashMap<String, u64>,
}

/// An authorization code (RFC 6749 section 4.1.2).
struct Code {
    since: Moment,
    lifetime: Duration,
    redirect_uri: String,
    scope: String,
    nonce: Option<String>,
    challenge: Option<String>,
    user: User,
    /// What it gave: it gives nothing again.
    grant: Option<Family>,
}

/// What an id_token says of a login.
struct IdToken {
    user: User,
    nonce: Option<String>,
}

/// A login, from which tokens come until it is over.
struct Grant {
    scope: String,
    user: User,
    over: bool,
}

pub(super) struct Access {
    grant: Family,
    scope: String,
    since: Moment,
    lifetime: Duration,
    revoked: bool,
}

impl Book {
    pub(super) fn new(setting: Setting) -> io::Result<Book> {
        Ok(Book {
            base_url: String::new(),
            issuer: None,
            setting,
            client_id: random::hex::<12>()?,
            client_secret: client_secret()?,
            client_disabled: false,
            redirect_uris: vec!["https://client.example/callback".to_owned()],
            scopes: ["offline_access", "openid", "business/orders:read"].map(str::to_owned).to_vec(),
            basic: false,
            pkce_required: false,
            user: User::new()?,
            consent: None,
            denial: None,
            callback_issuer: None,
            callback_state: None,
            code_lifetime: Duration::from_secs(600),
            access_lifetime: Duration::from_secs(1_209_599),
            refresh_lifetime: Duration::MAX,
            reuse: RefreshReuse::KillsFamily,
            rotates: true,
            id_token_on_refresh: true,
            needed_scope: None,
            notary: Notary::new()?,
            codes: HashMap::new(),
            grants: HashMap::new(),
            access_tokens: OpaqueTokens::new("Bearer"),
            refresh_tokens: RefreshTokens::with_prefix("yoco_rt_"),
            calls: ApiCalls::new(),
            grant_types: HashMap::new(),
            refusals: HashMap::new(),
        })
    }

    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_deref().unwrap_or(&self.base_url)
    }

    pub(super) fn count_refusal(&mut self, code: &str) {
        *self.refusals.entry(code.to_owned()).or_default() += 1;
    }

    pub(super) fn refusals(&self, code: &str) -> u64 {
        self.refusals.get(code).copied().unwrap_or_default()
    }

    pub(super) fn token_calls(&self, grant_type: &str) -> u64 {
        self.grant_types.get(grant_type).copied().unwrap_or_default()
    }
}

/// The authorization endpoint: RFC 6749 sections 4.1.1 and 4.1.2.
impl Book {
    /// Where the browser goes next. An error is shown to the user instead: section 4.1.2.1 forbids to go on to a redirect URI
    /// that nobody vouches for.
    pub(super) fn authorize(&mut self, query: &str) -> Result<String, &'static str> {
        let params = Params::parse(query.as_bytes());
        if params.get("client_id") != Some(&self.client_id) || params.repeats("client_id") || self.client_disabled {
            return Err("No such client_id");
        }
        let redirect_uri = params.get("redirect_uri").ok_or("The redirect_uri is missing")?;
        if params.repeats("redirect_uri") || !self.redirect_uris.iter().any(|known| is_registered(known, redirect_uri)) {
            return Err("The redirect_uri is not registered");
        }
        let (code, error) = match self.issue_code(&params, redirect_uri) {
            Ok(code) => (Some(code), None),
            Err(error) => (None, Some(error)),
        };
        if let Some(error) = &error {
            self.count_refusal(error);
        }
        let answer = params::encode(&[
            ("code", code.as_deref()),
            ("error", error.as_deref()),
            ("state", self.callback_state.as_deref().or(params.get("state"))),
            ("iss", self.callback_issuer.as_deref()),
        ]);
        let separator = if redirect_uri.contains('?') { '&' } else { '?' };
        Ok(format!("{redirect_uri}{separator}{answer}"))
    }

    fn issue_code(&mut self, params: &Params, redirect_uri: &str) -> Result<String, String> {
        if params.any_repeats() {
            return Err("invalid_request".to_owned());
        }
        match params.get("response_type") {
            Some("code") => {}
            Some(_) => return Err("unsupported_response_type".to_owned()),
            None => return Err("invalid_request".to_owned()),
        }
        let asked = params.get("scope").unwrap_or_default();
        if asked.is_empty() || !asked.split(' ').all(|scope| self.scopes.iter().any(|known| known == scope)) {
            return Err("invalid_scope".to_owned());
        }
        let challenge = self.challenge(params).ok_or("invalid_request")?;
        if let Some(denial) = &self.denial {
            return Err(denial.clone());
        }
        let code = secret("yoco_ac").map_err(|_| "server_error")?;
        let scope = match &self.consent {
            Some(consent) => common(asked, consent),
            None => asked.to_owned(),
        };
        let record = Code {
            since: self.setting.now(),
            lifetime: self.code_lifetime,
            redirect_uri: redirect_uri.to_owned(),
            scope,
            nonce: params.get("nonce").map(str::to_owned),
            challenge,
            user: self.user.clone(),
            grant: None,
        };
        self.codes.insert(code.clone(), record);
        Ok(code)
    }

    /// RFC 7636 section 4.3, S256 alone: a request without a method asks for `plain`, and `plain` is not to be had.
    fn challenge(&self, params: &Params) -> Option<Option<String>> {
        match (params.get("code_challenge"), params.get("code_challenge_method")) {
            (None, None) => (!self.pkce_required).then_some(None),
            (Some(challenge), Some("S256")) if is_s256(challenge) => Some(Some(challenge.to_owned())),
            _ => None,
        }
    }
}

/// The token endpoint: RFC 6749 sections 4.1.3, 5 and 6.
impl Book {
    /// Notes a call that has arrived, whatever becomes of it.
    pub(super) fn note(&mut self, form: &Params) {
        let grant_type = form.get("grant_type").unwrap_or_default();
        *self.grant_types.entry(grant_type.to_owned()).or_default() += 1;
        if let ("refresh_token", Some(token)) = (grant_type, form.get("refresh_token")) {
            self.refresh_tokens.present(token);
        }
    }

    pub(super) fn exchange(&mut self, headers: &HeaderMap, form: &Params) -> Result<Value, Refusal> {
        self.admit_client(headers, form)?;
        match form.get("grant_type") {
            Some("authorization_code") => self.redeem(form),
            Some("refresh_token") => self.renew(form),
            Some(_) => Err(Refusal::new("unsupported_grant_type", "authorization_code and refresh_token are supported")),
            None => Err(Refusal::new("invalid_request", "The grant_type is missing")),
        }
    }

    /// A form, and the client's credentials in it: section 2.3.1.
    fn admit_client(&self, headers: &HeaderMap, form: &Params) -> Result<(), Refusal> {
        if !message::is_form(headers) {
            return Err(Refusal::new("invalid_request", "The body is not application/x-www-form-urlencoded"));
        }
        if form.any_repeats() {
            return Err(Refusal::new("invalid_request", "A parameter comes twice"));
        }
        let (client_id, client_secret) = match (headers.get(header::AUTHORIZATION), form.get("client_secret")) {
            (Some(_), Some(_)) => return Err(Refusal::new("invalid_request", "The client authenticates in two ways")),
            (Some(_), None) if !self.basic => return Err(Refusal::client("The credentials belong in the body")),
            (Some(value), None) => basic(value).ok_or_else(|| Refusal::client("The header is not Basic"))?,
            (None, Some(secret)) => (form.get("client_id").unwrap_or_default().to_owned(), secret.to_owned()),
            (None, None) => return Err(Refusal::client("The client does not authenticate")),
        };
        let same = form.get("client_id").is_none_or(|also| also == client_id);
        if !same || client_id != self.client_id || client_secret != self.client_secret || self.client_disabled {
            return Err(Refusal::client("Unknown client_id or wrong client_secret"));
        }
        Ok(())
    }

    /// `grant_type=authorization_code`
    fn redeem(&mut self, form: &Params) -> Result<Value, Refusal> {
        let (code, redirect_uri) = (required(form, "code")?, required(form, "redirect_uri")?);
        let now = self.setting.now();
        let Some(code) = self.codes.get_mut(code) else {
            return Err(Refusal::new("invalid_grant", "The code is unknown"));
        };
        // "If an authorization code is used more than once, the authorization server MUST deny the request and SHOULD revoke
        // (when possible) all tokens previously issued based on that authorization code."
        if let Some(grant) = code.grant {
            self.end(grant);
            return Err(Refusal::new("invalid_grant", "The code was used before"));
        }
        if code.since.age(now) >= code.lifetime {
            return Err(Refusal::new("invalid_grant", "The code has expired"));
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refusal::new("invalid_grant", "The redirect_uri is not that of the authorization request"));
        }
        // RFC 7636 section 4.6; a verifier without a challenge is a downgrade (RFC 9700 section 4.8.2).
        match (&code.challenge, form.get("code_verifier")) {
            (None, None) => {}
            (Some(challenge), Some(verifier)) if is_verifier(verifier) && *challenge == id_token::challenge(verifier) => {}
            _ => return Err(Refusal::new("invalid_grant", "The code_verifier does not match the code_challenge")),
        }
        let grant = self.refresh_tokens.new_family();
        code.grant = Some(grant);
        let (scope, nonce) = (code.scope.clone(), code.nonce.clone());
        let user = code.user.clone();
        self.grants.insert(grant, Grant { scope: scope.clone(), user: user.clone(), over: false });
        let refresh = has(&scope, "offline_access").then(|| self.issue_refresh(grant)).transpose();
        let id_token = has(&scope, "openid").then_some(IdToken { user, nonce });
        self.reply(grant, scope, refresh, id_token).map_err(|_| Refusal::broken())
    }

    /// `grant_type=refresh_token`
    fn renew(&mut self, form: &Params) -> Result<Value, Refusal> {
        let token = required(form, "refresh_token")?;
        let now = self.setting.now();
        let grant = match (self.refresh_tokens.judge(token, now), self.reuse) {
            (Spending::Good(grant), _) | (Spending::Reused(grant), RefreshReuse::Tolerated) => grant,
            (Spending::Reused(grant), reuse) => {
                if reuse == RefreshReuse::KillsFamily {
                    self.end(grant);
                }
                return Err(Refusal::new("invalid_grant", "The refresh token was used before"));
            }
            (Spending::Dead, _) => {
                return Err(Refusal::new("invalid_grant", "The refresh token is unknown, has expired or was revoked"));
            }
        };
        let Some(Grant { scope: granted, user, .. }) = self.grants.get(&grant) else { return Err(Refusal::broken()) };
        let scope = form.get("scope").unwrap_or(granted).to_owned();
        if !scope.split(' ').all(|scope| has(granted, scope)) {
            return Err(Refusal::new("invalid_scope", "The scope exceeds what was granted"));
        }
        // "It SHOULD NOT have a nonce Claim" (OpenID Connect Core 1.0 section 12.2).
        let id_token = self.id_token_on_refresh && has(&scope, "openid");
        let id_token = id_token.then(|| IdToken { user: user.clone(), nonce: None });
        let next = if self.rotates {
            self.refresh_tokens.spend(token, now);
            self.issue_refresh(grant).map(Some)
        } else {
            Ok(None)
        };
        self.reply(grant, scope, next, id_token).map_err(|_| Refusal::broken())
    }

    /// Ends a login, and with it all tokens that came of it.
    fn end(&mut self, grant: Family) {
        if let Some(grant) = self.grants.get_mut(&grant) {
            grant.over = true;
        }
        self.refresh_tokens.kill(grant);
    }

    fn issue_refresh(&mut self, grant: Family) -> io::Result<String> {
        self.refresh_tokens.issue(grant, None, self.setting.now(), self.refresh_lifetime)
    }

    fn issue_access(&mut self, grant: Family, scope: String) -> io::Result<String> {
        let token = secret("yoco_at")?;
        let access = Access { grant, scope, since: self.setting.now(), lifetime: self.access_lifetime, revoked: false };
        self.access_tokens.insert(token.clone(), access);
        Ok(token)
    }

    /// "Successful token exchange returns".
    fn reply(
        &mut self,
        grant: Family,
        scope: String,
        refresh_token: io::Result<Option<String>>,
        id_token: Option<IdToken>,
    ) -> io::Result<Value> {
        let access_token = self.issue_access(grant, scope.clone())?;
        let mut reply = json!({
            "access_token": access_token,
            "expires_in": message::seconds(self.access_lifetime),
            "scope": scope,
            "token_type": "bearer",
        });
        if let Some(refresh_token) = refresh_token? {
            reply["refresh_token"] = json!(refresh_token);
        }
        if let Some(IdToken { user, nonce }) = id_token {
            let login = Login {
                issuer: self.issuer(),
                client_id: &self.client_id,
                user: user.claims(),
                nonce: nonce.as_deref(),
                access_token: &access_token,
            };
            reply["id_token"] = json!(self.notary.write(login, self.setting.now().wall)?);
        }
        Ok(reply)
    }

    /// RFC 7009 section 2. An unknown token is a success; a refresh token takes all that came of its login with it.
    pub(super) fn revoke_by_client(&mut self, headers: &HeaderMap, form: &Params) -> Result<(), Refusal> {
        self.admit_client(headers, form)?;
        self.revoke(required(form, "token")?);
        Ok(())
    }
}

/// The API: RFC 6750.
impl Book {
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), (Refusal, ApiOutcome)> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or_else(|| (Refusal::bare(), ApiOutcome::TokenMissing))?;
        let token = self.access_tokens.presented_in(value);
        if values.next().is_some() {
            let description = "There are two Authorization headers";
            let refusal = Refusal::bearer(StatusCode::BAD_REQUEST, "invalid_request", description, None);
            return Err((refusal, ApiOutcome::TokenInvalid));
        }
        let token = token.ok_or_else(|| (Refusal::bare(), ApiOutcome::TokenInvalid))?;
        let access = self.good_access(token).map_err(|outcome| {
            let description = "The access token is unknown, has expired or was revoked";
            (Refusal::bearer(StatusCode::UNAUTHORIZED, "invalid_token", description, None), outcome)
        })?;
        match &self.needed_scope {
            Some(needed) if !needed.split(' ').all(|scope| has(&access.scope, scope)) => {
                let description = "The access token is for less";
                let refusal = Refusal::bearer(StatusCode::FORBIDDEN, "insufficient_scope", description, Some(needed));
                Err((refusal, ApiOutcome::Forbidden))
            }
            _ => Ok(()),
        }
    }

    fn good_access(&self, token: &str) -> Result<&Access, ApiOutcome> {
        let access = self.access_tokens.get(token).ok_or(ApiOutcome::TokenInvalid)?;
        if access.revoked || self.grants.get(&access.grant).is_none_or(|grant| grant.over) {
            return Err(ApiOutcome::TokenRevoked);
        }
        if access.since.age(self.setting.now()) >= access.lifetime {
            return Err(ApiOutcome::TokenExpired);
        }
        Ok(access)
    }
}

/// What a test does to tokens.
impl Book {
    /// Tokens of a login that nobody has seen, for all scopes: access and refresh token.
    pub(super) fn mint(&mut self) -> io::Result<(String, String)> {
        let scope = self.scopes.join(" ");
        let grant = self.refresh_tokens.new_family();
        self.grants.insert(grant, Grant { scope: scope.clone(), user: self.user.clone(), over: false });
        Ok((self.issue_access(grant, scope)?, self.issue_refresh(grant)?))
    }

    /// Says whether the token is one of this server's.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        if let Some(access) = self.access_tokens.get_mut(token) {
            access.revoked = true;
            return true;
        }
        self.refresh_tokens.family_of(token).map(|grant| self.end(grant)).is_some()
    }

    pub(super) fn revoke_access(&mut self) {
        self.access_tokens.values_mut().for_each(|access| access.revoked = true);
    }

    pub(super) fn revoke_all(&mut self) {
        self.grants.values_mut().for_each(|grant| grant.over = true);
        self.refresh_tokens.revoke_all();
    }

    pub(super) fn expire_access(&mut self) {
        self.access_tokens.values_mut().for_each(|access| access.lifetime = Duration::ZERO);
    }

    pub(super) fn expire_codes(&mut self) {
        self.codes.values_mut().for_each(|code| code.lifetime = Duration::ZERO);
    }

    /// OpenID Connect Discovery 1.0 section 3, with what RFC 8414 and RFC 9207 add.
    pub(super) fn metadata(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.base_url);
        let methods = if self.basic { vec!["client_secret_post", "client_secret_basic"] } else { vec!["client_secret_post"] };
        json!({
            "issuer": self.issuer(),
            "authorization_endpoint": at(AUTHORIZATION),
            "token_endpoint": at(TOKEN),
            "revocation_endpoint": at(REVOCATION),
            "jwks_uri": at(KEYS),
            "scopes_supported": self.scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": self.notary.keys.algorithms(),
            "token_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.callback_issuer.is_some(),
        })
    }
}

/// Equal character by character; but a loopback address may have any port (RFC 8252 section 7.3).
fn is_registered(known: &str, given: &str) -> bool {
    let loopback = |uri: &str| {
        let uri = uri.parse::<Uri>().ok()?;
        let rest = uri.path_and_query()?.to_string();
        let host = uri.host().filter(|host| matches!(*host, "127.0.0.1" | "[::1]"))?.to_owned();
        (uri.scheme_str() == Some("http")).then_some((host, rest))
    };
    known == given || (!given.contains('#') && loopback(known).is_some_and(|known| loopback(given) == Some(known)))
}

/// RFC 7636 section 4.2: a SHA-256 in base64url, which is 43 characters.
fn is_s256(challenge: &str) -> bool {
    challenge.len() == 43 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// RFC 7636 section 4.1.
fn is_verifier(verifier: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved)
}

/// The client_id and client_secret of a Basic header, each of which is form-encoded (RFC 6749 section 2.3.1).
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let text = STANDARD.decode(message::credentials(value, "Basic")?).ok()?;
    let (id, secret) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    // A name is what the parser decodes like a form; "&" and "=" are encoded in it, or it is none.
    let decode = |text: &str| {
        let mut pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
        pairs.next().filter(|(_, value)| value.is_empty()).map(|(name, _)| name)
    };
    Some((decode(id)?, decode(secret)?))
}

fn required<'a>(form: &'a Params, name: &str) -> Result<&'a str, Refusal> {
    form.get(name).ok_or_else(|| {
        Refusal::new(
            "invalid_request",
            match name {
                "code" => "The code is missing",
                "redirect_uri" => "The redirect_uri is missing",
                "refresh_token" => "The refresh_token is missing",
                _ => "The token is missing",
            },
        )
    })
}

/// Whether a list of scopes (RFC 6749 section 3.3) has this one.
fn has(scopes: &str, scope: &str) -> bool {
    scopes.split(' ').any(|each| each == scope)
}

/// The scopes of the first list that are in the second too.
fn common(scopes: &str, others: &str) -> String {
    scopes.split(' ').filter(|scope| has(others, scope)).collect::<Vec<_>>().join(" ")
}

/// A new one for the client.
pub(super) fn client_secret() -> io::Result<String> {
    secret("yoco_cs")
}

fn secret(prefix: &str) -> io::Result<String> {
    Ok(format!("{prefix}_{}", random::hex::<20>()?))
}
