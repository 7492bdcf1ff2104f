use std::{collections::HashMap, io};

use http::{HeaderMap, StatusCode, header};

use crate::testing::{
    ApiOutcome,
    api_call::ApiCalls,
    message::Unread,
    opaque_tokens::OpaqueTokens,
    params::{self, Params},
    random,
};

/// "In the Redirect URI field, enter this URL".
const REDIRECT_URI: &str = "https://oauth.yandex.com/verification_code";

/// What the server knows, and its rules: no I/O, so that each answer is one look under one lock.
pub(super) struct Book {
    pub(super) client_id: String,
    pub(super) restricted: bool,
    pub(super) denial: Option<String>,
    pub(super) administrator: bool,
    /// What a redirect says of a token's lifetime, in seconds.
    pub(super) expires_in: Option<u64>,
    pub(super) tokens: OpaqueTokens<Token>,
    pub(super) calls: ApiCalls,
    refusals: HashMap<String, u64>,
}

pub(super) struct Token {
    administrator: bool,
    revoked: bool,
}

/// A call that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
}

impl Book {
    pub(super) fn new() -> io::Result<Book> {
        Ok(Book {
            client_id: random::hex::<16>()?,
            restricted: false,
            denial: None,
            administrator: true,
            expires_in: Some(31_536_000),
            tokens: OpaqueTokens::new("OAuth"),
            calls: ApiCalls::new(),
            refusals: HashMap::new(),
        })
    }

    /// Where the browser goes next, by RFC 6749 section 4.2; an error is shown to the user instead.
    pub(super) fn authorize(&mut self, query: &str) -> Result<String, &'static str> {
        let params = Params::parse(query.as_bytes());
        if params.get("client_id") != Some(&self.client_id) || params.repeats("client_id") {
            return Err("No such client_id");
        }
        if params.get("redirect_uri").is_some_and(|uri| uri != REDIRECT_URI) || params.repeats("redirect_uri") {
            return Err("The redirect_uri is not registered");
        }
        let state = params.get("state");
        let fragment = match self.grant(&params) {
            Ok(token) => params::encode(&[
                ("access_token", Some(&token)),
                ("token_type", Some("bearer")),
                ("expires_in", self.expires_in.map(|seconds| seconds.to_string()).as_deref()),
                ("state", state),
            ]),
            Err(error) => {
                *self.refusals.entry(error.clone()).or_default() += 1;
                params::encode(&[("error", Some(&error)), ("state", state)])
            }
        };
        Ok(format!("{REDIRECT_URI}#{fragment}"))
    }

    fn grant(&mut self, params: &Params) -> Result<String, String> {
        match params.get("response_type") {
            _ if params.any_repeats() => Err("invalid_request".to_owned()),
            Some("token") if self.restricted => Err("unauthorized_client".to_owned()),
            Some("token") => match &self.denial {
                Some(denial) => Err(denial.clone()),
                None => self.mint().map_err(|_| "server_error".to_owned()),
            },
            Some(_) => Err("unsupported_response_type".to_owned()),
            None => Err("invalid_request".to_owned()),
        }
    }

    pub(super) fn mint(&mut self) -> io::Result<String> {
        let token = format!("yandex_{}", random::hex::<24>()?);
        self.tokens.insert(token.clone(), Token { administrator: self.administrator, revoked: false });
        Ok(token)
    }

    /// "add it to the request header: `Authorization: OAuth <your-OAuth-token>`"
    pub(super) fn admit(&mut self, headers: &HeaderMap) -> Result<(), (Refusal, ApiOutcome)> {
        let unauthorized = |message, outcome| (Refusal { status: StatusCode::UNAUTHORIZED, message }, outcome);
        let invalid = |message| unauthorized(message, ApiOutcome::TokenInvalid);
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or_else(|| unauthorized("There is no Authorization header", ApiOutcome::TokenMissing))?;
        let token = self.tokens.presented_in(value).ok_or_else(|| invalid("The scheme is not OAuth"))?;
        // Which of two headers counts differs from server to server: this one makes such a client fail here already.
        if values.next().is_some() {
            return Err(invalid("There are two Authorization headers"));
        }
        match self.tokens.get(token) {
            None => Err(invalid("The token is unknown")),
            Some(token) if token.revoked => Err(unauthorized("The token is not valid any more", ApiOutcome::TokenRevoked)),
            Some(token) if !token.administrator => {
                let message = "The token is not that of an administrator of the company";
                Err((Refusal { status: StatusCode::FORBIDDEN, message }, ApiOutcome::Forbidden))
            }
            Some(_) => Ok(()),
        }
    }

    /// Says whether the token is one of this server's.
    pub(super) fn revoke(&mut self, token: &str) -> bool {
        self.tokens.get_mut(token).map(|token| token.revoked = true).is_some()
    }

    pub(super) fn revoke_all(&mut self) {
        self.tokens.values_mut().for_each(|token| token.revoked = true);
    }

    pub(super) fn refusals(&self, error: &str) -> u64 {
        self.refusals.get(error).copied().unwrap_or_default()
    }
}

impl Refusal {
    pub(super) const TOO_MANY: Refusal = Refusal { status: StatusCode::TOO_MANY_REQUESTS, message: "Too many calls" };
    pub(super) const NOT_GET: Refusal = Refusal { status: StatusCode::METHOD_NOT_ALLOWED, message: "Only GET is allowed" };
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Refusal {
        Refusal { status: unread.status(), message: unread.message() }
    }
}
