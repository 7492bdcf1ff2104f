//! What does a 401 or a 403 say?
//!
//! A 401 mostly means that the token is no longer good, but not always: the `WWW-Authenticate` field (RFC 9110 section 11.6.1)
//! may ask for more scope, a fresh login or another request altogether, and then a new token of the same kind is useless. The
//! field is a list of lists with one separator for both, servers get it wrong in many ways, and it comes from outside: so the
//! parser here reads what it can, skips what it cannot, and takes one pass over at most 16 KiB.
//!
//! What it forgives, beyond the grammar: a missing comma, commas too many, white space around `=`, unquoted values with any
//! bytes but white space and commas, bytes outside ASCII. A parameter belongs to the challenge before it in the same field; a
//! quoted string that never ends takes the rest of its field with it. Of a parameter given twice, the first counts.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE};

/// What a server asks for when a new token of the same kind would not do: more scope, or a login of another kind.
///
/// The layer refreshes nothing then. It hands the response back as it came, with this in its extensions: for a 401 or 403 whose
/// challenge says `insufficient_scope` (RFC 6750 section 3.1), `insufficient_user_authentication` (RFC 9470 section 3) or
/// `insufficient_claims`.
///
/// All text was chosen by the server. It is cut to visible ASCII and spaces, any other byte becoming a `?`, and to 2 KiB, of
/// which a last word that does not fit is left out.
///
/// # Examples
///
/// ```
/// use http::Response;
/// use tower_token::middleware::Challenge;
///
/// fn missing_scope<B>(response: &Response<B>) -> Option<&str> {
///     let challenge = response.extensions().get::<Challenge>()?;
///     challenge.scope.as_deref()
/// }
/// # assert_eq!(missing_scope(&Response::new(())), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Challenge {
    /// The authentication scheme, such as `Bearer`, as the server wrote it.
    pub scheme: String,
    /// The code, such as `insufficient_scope`.
    pub error: Option<String>,
    /// The scopes that are needed, separated by spaces.
    pub scope: Option<String>,
    /// The authentication contexts of which one is needed, separated by spaces, the preferred one first.
    pub acr_values: Option<String>,
    /// How long ago the last login may have been. The field is in whole seconds; anything else is `None`.
    pub max_age: Option<Duration>,
}

/// What a response means for the token that its request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: the response is handed back.
    Accepted,
    /// It is no longer good, or not for this server: a new one may be.
    Rejected,
    /// A new one would be no better: the response is handed back with this in its extensions.
    Challenged(Challenge),
}

/// Of all fields together, in bytes: what follows is not read.
const MAX_BYTES: usize = 16 * 1024;
/// Of all fields together: what follows is not read.
const MAX_CHALLENGES: usize = 64;
/// Of one value in a [`Challenge`], in bytes.
const MAX_TEXT: usize = 2 * 1024;

/// The default predicate of a layer that sends tokens under `scheme`.
///
/// The challenges of that scheme count; without one, those of Bearer; if all are of DPoP, those. Of a 401:
///
/// | what the challenges that count say | verdict |
/// |---|---|
/// | there is none: no challenge at all, or of other schemes only | rejected |
/// | they are of DPoP, which is not the layer's | accepted, or challenged |
/// | one says `invalid_token` | rejected |
/// | one says `insufficient_scope`, `insufficient_user_authentication`, `insufficient_claims` | challenged, by the first of them |
/// | one says `invalid_request`, `invalid_dpop_proof`, `use_dpop_nonce` | accepted |
/// | no code, or unknown ones | rejected |
///
/// A 403 is challenged by the fourth row's codes, else accepted, and so is any other status without a look at its fields.
#[inline]
pub(crate) fn verdict(scheme: &str, status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status.as_u16() {
        401 | 403 => judge(scheme, status, headers),
        _ => Verdict::Accepted,
    }
}

#[cold]
fn judge(scheme: &str, status: StatusCode, headers: &HeaderMap) -> Verdict {
    let (mut own, mut bearer, mut dpop, mut others) = (Tally::default(), Tally::default(), Tally::default(), false);
    for challenge in challenges(headers) {
        match challenge.scheme {
            name if name.eq_ignore_ascii_case(scheme.as_bytes()) => own.count(challenge),
            name if name.eq_ignore_ascii_case(b"Bearer") => bearer.count(challenge),
            name if name.eq_ignore_ascii_case(b"DPoP") => dpop.count(challenge),
            _ => others = true,
        }
    }
    let (tally, usable) = if own.any {
        (own, true)
    } else if bearer.any {
        (bearer, true)
    } else if dpop.any && !others {
        // Our token cannot become what is asked for here, so that no new one helps either.
        (dpop, false)
    } else {
        (Tally::default(), true)
    };
    let may_reject = usable && status == StatusCode::UNAUTHORIZED;
    match tally.asks {
        _ if may_reject && tally.invalid_token => Verdict::Rejected,
        Some(challenge) => Verdict::Challenged(challenge.owned()),
        None if may_reject && !tally.pointless => Verdict::Rejected,
        None => Verdict::Accepted,
    }
}

/// What the challenges of one scheme say together.
#[derive(Default)]
struct Tally<'a> {
    any: bool,
    /// One says `invalid_token`.
    invalid_token: bool,
    /// One names a fault of the request that no new token mends.
    pointless: bool,
    /// The first that asks for scope or step-up.
    asks: Option<Borrowed<'a>>,
}

impl<'a> Tally<'a> {
    fn count(&mut self, challenge: Borrowed<'a>) {
        self.any = true;
        let Some(error) = challenge.error else { return };
        let says = |code: &&str| error.is(code);
        if says(&"invalid_token") {
            self.invalid_token = true;
        } else if ["invalid_request", "invalid_dpop_proof", "use_dpop_nonce"].iter().any(says) {
            self.pointless = true;
        } else if ["insufficient_scope", "insufficient_user_authentication", "insufficient_claims"].iter().any(says) {
            self.asks.get_or_insert(challenge);
        }
    }
}

/// The challenges of all fields, within the bounds.
fn challenges(headers: &HeaderMap) -> impl Iterator<Item = Borrowed<'_>> {
    let mut left = MAX_BYTES;
    let fields = headers.get_all(WWW_AUTHENTICATE).iter().map_while(move |field| {
        let field = field.as_bytes();
        let within = &field[..field.len().min(left)];
        // An empty field costs something too.
        let more = left > 0;
        left = left.saturating_sub(field.len() + 1);
        more.then_some(within)
    });
    fields.flat_map(|field| Challenges { parser: Parser::new(field), next: None }).take(MAX_CHALLENGES)
}

/// The challenges of one field.
struct Challenges<'a> {
    parser: Parser<'a>,
    /// A challenge ends where the next one starts.
    next: Option<&'a [u8]>,
}

impl<'a> Iterator for Challenges<'a> {
    type Item = Borrowed<'a>;

    fn next(&mut self) -> Option<Borrowed<'a>> {
        let mut challenge = self.next.take().map(Borrowed::new);
        for part in self.parser.by_ref() {
            match (part, &mut challenge) {
                (Part::Scheme(name), None) => challenge = Some(Borrowed::new(name)),
                (Part::Scheme(name), Some(_)) => {
                    self.next = Some(name);
                    break;
                }
                (Part::Param(name, value), Some(challenge)) => challenge.set(name, value),
                (Part::Param(..), None) => {}
            }
        }
        challenge
    }
}

/// The parts of a challenge that matter here, where they are in the field.
#[derive(Clone, Copy)]
struct Borrowed<'a> {
    scheme: &'a [u8],
    error: Option<Value<'a>>,
    scope: Option<Value<'a>>,
    acr_values: Option<Value<'a>>,
    max_age: Option<Value<'a>>,
}

impl<'a> Borrowed<'a> {
    fn new(scheme: &'a [u8]) -> Borrowed<'a> {
        Borrowed { scheme, error: None, scope: None, acr_values: None, max_age: None }
    }

    fn set(&mut self, name: &[u8], value: Value<'a>) {
        let slot = match name {
            _ if name.eq_ignore_ascii_case(b"error") => &mut self.error,
            _ if name.eq_ignore_ascii_case(b"scope") => &mut self.scope,
            _ if name.eq_ignore_ascii_case(b"acr_values") => &mut self.acr_values,
            _ if name.eq_ignore_ascii_case(b"max_age") => &mut self.max_age,
            _ => return,
        };
        slot.get_or_insert(value);
    }

    fn owned(&self) -> Challenge {
        Challenge {
            scheme: Value { raw: self.scheme, quoted: false }.text().unwrap_or_default(),
            error: self.error.and_then(Value::text),
            scope: self.scope.and_then(Value::text),
            acr_values: self.acr_values.and_then(Value::text),
            max_age: self.max_age.and_then(Value::seconds),
        }
    }
}

/// A parameter's value as it is in the field.
#[derive(Clone, Copy)]
struct Value<'a> {
    /// Without its quotes, with its escapes.
    raw: &'a [u8],
    quoted: bool,
}

impl<'a> Value<'a> {
    /// The bytes that are meant: RFC 9110 section 5.6.4.
    fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let mut bytes = self.raw.iter().copied();
        std::iter::from_fn(move || match bytes.next()? {
            b'\\' if self.quoted => bytes.next(),
            byte => Some(byte),
        })
    }

    fn trimmed(self) -> Value<'a> {
        Value { raw: self.raw.trim_ascii(), ..self }
    }

    /// Codes are compared without case: a server that shouts means the same.
    fn is(self, code: &str) -> bool {
        self.trimmed().bytes().map(|byte| byte.to_ascii_lowercase()).eq(code.bytes())
    }

    /// What may be shown and logged; `None` if nothing is left.
    fn text(self) -> Option<String> {
        let shown = self.trimmed().bytes().map(|byte| match byte {
            b' '..=b'~' => char::from(byte),
            b'\t' => ' ',
            _ => '?',
        });
        let mut text: String = shown.take(MAX_TEXT + 1).collect();
        if text.len() > MAX_TEXT {
            // Half a scope would be another scope.
            text.truncate(text.rfind(' ').unwrap_or(0));
        }
        (!text.is_empty()).then_some(text)
    }

    fn seconds(self) -> Option<Duration> {
        let text = self.text()?;
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        text.parse().ok().map(Duration::from_secs)
    }
}

/// What a field is made of. A parameter belongs to the last scheme before it.
enum Part<'a> {
    Scheme(&'a [u8]),
    Param(&'a [u8], Value<'a>),
}

/// Reads the parts of one field, of any bytes, in one pass.
///
/// It looks ahead past one word at most, and each word is looked at so only once: that keeps it linear.
struct Parser<'a> {
    field: &'a [u8],
    at: usize,
    /// At the start, or after a comma: where the grammar has a scheme start.
    fresh: bool,
    /// Right after a scheme: where the grammar has a token68.
    opened: bool,
    /// Within a challenge that could be read.
    within: bool,
}

impl<'a> Iterator for Parser<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        loop {
            self.skip_separators();
            self.peek()?;
            if std::mem::take(&mut self.opened) && self.skip_token68() {
                continue;
            }
            let name = self.take_while(is_tchar);
            let after_space = self.past_space(self.at);
            if !name.is_empty() && self.byte(after_space) == Some(b'=') {
                self.at = self.past_space(after_space + 1);
                self.fresh = false;
                match self.take_value() {
                    Some(value) if self.within => return Some(Part::Param(name, value)),
                    _ => continue,
                }
            }
            let whole = !name.is_empty() && matches!(self.peek(), None | Some(b',' | b' ' | b'\t'));
            if whole && (self.fresh || self.starts_param(after_space)) {
                (self.fresh, self.opened, self.within) = (false, true, true);
                return Some(Part::Scheme(name));
            }
            self.skip_word();
            // What could not be read where a scheme belongs, with more after a space, was one: its parameters are not ours.
            if self.fresh && self.peek().is_some_and(is_space) {
                self.within = false;
            }
            self.fresh = false;
        }
    }
}

impl<'a> Parser<'a> {
    fn new(field: &'a [u8]) -> Parser<'a> {
        Parser { field, at: 0, fresh: true, opened: false, within: false }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.field.get(at).copied()
    }

    fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    fn past(&self, mut at: usize, class: impl Fn(u8) -> bool) -> usize {
        while self.byte(at).is_some_and(&class) {
            at += 1;
        }
        at
    }

    fn past_space(&self, at: usize) -> usize {
        self.past(at, is_space)
    }

    fn take_while(&mut self, class: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.at;
        self.at = self.past(start, class);
        &self.field[start..self.at]
    }

    fn skip_separators(&mut self) {
        if self.take_while(|byte| is_space(byte) || byte == b',').contains(&b',') {
            (self.fresh, self.opened) = (true, false);
        }
    }

    /// Skips the token68 that is here, if one is. What follows tells it from a parameter (`a=b`) and from a scheme after a
    /// missing comma: the end of the challenge, or at least no token of an `auth-param` could look so.
    fn skip_token68(&mut self) -> bool {
        let start = self.at;
        let padding = self.past(start, is_token68);
        let end = self.past(padding, |byte| byte == b'=');
        let closed = matches!(self.byte(self.past_space(end)), None | Some(b','));
        let unmistakable = end - padding > 1 || self.field[start..padding].contains(&b'/');
        let is_one = start < padding && (closed || unmistakable && self.byte(end).is_some_and(is_space));
        if is_one {
            self.at = end;
        }
        is_one
    }

    /// Whether a parameter starts at `at`: a word before it is a scheme even if the comma between challenges is missing, while
    /// other words are the rest of a value that lacks its quotes.
    fn starts_param(&self, at: usize) -> bool {
        let end = self.past(at, is_tchar);
        end > at && self.byte(self.past_space(end)) == Some(b'=')
    }

    /// The value that is here; `None` for a string that never ends.
    fn take_value(&mut self) -> Option<Value<'a>> {
        if self.peek() == Some(b'"') {
            return self.take_string().map(|raw| Value { raw, quoted: true });
        }
        Some(Value { raw: self.take_while(|byte| !is_space(byte) && byte != b','), quoted: false })
    }

    /// The string whose opening quote is here.
    fn take_string(&mut self) -> Option<&'a [u8]> {
        let start = self.at + 1;
        self.at = start;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => {
                    // An escape may have led past the end.
                    self.at = self.field.len();
                    return None;
                }
            }
        }
        self.at += 1;
        Some(&self.field[start..self.at - 1])
    }

    fn skip_word(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => _ = self.take_string(),
                b',' | b' ' | b'\t' => return,
                _ => self.at += 1,
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 section 11.2, without the padding.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    type Read = Vec<(String, Vec<(String, String)>)>;

    fn headers<F: AsRef<[u8]>>(fields: &[F]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(field.as_ref()).unwrap());
        }
        headers
    }

    fn judged(scheme: &str, status: u16, fields: &[&str]) -> Verdict {
        verdict(scheme, StatusCode::from_u16(status).unwrap(), &headers(fields))
    }

    /// The verdict in a word, or the code of the challenge.
    fn word(verdict: Verdict) -> String {
        match verdict {
            Verdict::Accepted => "accepted".to_owned(),
            Verdict::Rejected => "rejected".to_owned(),
            Verdict::Challenged(challenge) => challenge.error.unwrap(),
        }
    }

    fn read(field: &[u8]) -> Read {
        let mut challenges = Read::new();
        for part in Parser::new(field) {
            match part {
                Part::Scheme(name) => challenges.push((String::from_utf8(name.to_vec()).unwrap(), Vec::new())),
                Part::Param(name, value) => {
                    let value = value.bytes().map(char::from).collect();
                    challenges.last_mut().unwrap().1.push((String::from_utf8(name.to_vec()).unwrap(), value));
                }
            }
        }
        challenges
    }

    /// R8, R9: what each status and each code means.
    #[test]
    fn verdicts() {
        for (status, fields, expected) in [
            // No challenge, or none that counts.
            (401, &[][..], "rejected"),
            (401, &[""], "rejected"),
            (401, &[",, ,"], "rejected"),
            (401, &["Basic realm=\"x\""], "rejected"),
            (401, &["Negotiate"], "rejected"),
            (401, &["Basic error=\"invalid_request\""], "rejected"),
            (401, &["Basic error=\"insufficient_scope\""], "rejected"),
            (401, &["error=\"invalid_request\""], "rejected"),
            // Each code.
            (401, &["Bearer"], "rejected"),
            (401, &["Bearer realm=\"x\""], "rejected"),
            (401, &["Bearer error=\"invalid_token\""], "rejected"),
            (401, &["Bearer error=\"whatever\""], "rejected"),
            (401, &["Bearer error=\"\""], "rejected"),
            (401, &["Bearer error="], "rejected"),
            (401, &["Bearer error=\"not_invalid_request\""], "rejected"),
            (401, &["Bearer error=\"invalid_requests\""], "rejected"),
            (401, &["Bearer realm=\"invalid_request\""], "rejected"),
            (401, &["Bearer error_description=\"invalid_request\""], "rejected"),
            (401, &["Bearer error=\"invalid_request\""], "accepted"),
            (401, &["Bearer error=\"invalid_dpop_proof\""], "accepted"),
            (401, &["Bearer error=\"use_dpop_nonce\""], "accepted"),
            (401, &["Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            (401, &["Bearer error=\"insufficient_user_authentication\""], "insufficient_user_authentication"),
            (401, &["Bearer error=\"insufficient_claims\", claims=\"e30=\""], "insufficient_claims"),
            // Each other status.
            (403, &[], "accepted"),
            (403, &["Bearer"], "accepted"),
            (403, &["Bearer error=\"invalid_token\""], "accepted"),
            (403, &["Bearer error=\"invalid_request\""], "accepted"),
            (403, &["Basic error=\"insufficient_scope\""], "accepted"),
            (403, &["Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            (403, &["Bearer error=\"insufficient_user_authentication\""], "insufficient_user_authentication"),
            (403, &["Bearer error=\"insufficient_claims\""], "insufficient_claims"),
            (403, &["Bearer error=\"invalid_token\", Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            (403, &["DPoP error=\"insufficient_scope\""], "insufficient_scope"),
            (200, &["Bearer error=\"insufficient_scope\""], "accepted"),
            (400, &["Bearer error=\"invalid_token\""], "accepted"),
            (407, &["Bearer error=\"invalid_token\""], "accepted"),
            (419, &[], "accepted"),
            (498, &["Bearer error=\"invalid_token\""], "accepted"),
            (500, &["Bearer error=\"insufficient_scope\""], "accepted"),
            // DPoP, which this layer does not speak.
            (401, &["DPoP"], "accepted"),
            (401, &["DPoP error=\"use_dpop_nonce\""], "accepted"),
            (401, &["DPoP error=\"invalid_token\", algs=\"ES256\""], "accepted"),
            (401, &["DPoP, dpop error=\"whatever\""], "accepted"),
            (401, &["DPoP error=\"insufficient_user_authentication\""], "insufficient_user_authentication"),
            (401, &["DPoP, Basic"], "rejected"),
            (401, &["DPoP error=\"use_dpop_nonce\", Bearer"], "rejected"),
            (401, &["Bearer, DPoP error=\"insufficient_scope\""], "rejected"),
            (401, &["DPoP algs=\"ES256\", Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            // Several of one scheme.
            (401, &["Bearer, Bearer error=\"invalid_request\""], "accepted"),
            (401, &["Bearer error=\"invalid_request\"", "Bearer error=\"whatever\""], "accepted"),
            (401, &["Bearer error=\"invalid_request\"", "Bearer error=\"invalid_token\""], "rejected"),
            (401, &["Bearer error=\"invalid_token\"", "Bearer error=\"insufficient_scope\""], "rejected"),
            (401, &["Bearer error=\"insufficient_scope\", Bearer error=\"invalid_token\""], "rejected"),
            (401, &["Bearer error=\"invalid_request\", Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            (401, &["Bearer error=\"insufficient_claims\", Bearer error=\"insufficient_scope\""], "insufficient_claims"),
            (401, &["Basic error=\"invalid_token\", Bearer error=\"invalid_request\""], "accepted"),
            // Case, spelling, duplicates.
            (401, &["bearer ERROR=\"Invalid_Request\""], "accepted"),
            (401, &["BEARER Error=invalid_request"], "accepted"),
            (401, &["Bearer error=\" invalid_request \""], "accepted"),
            (401, &["Bearer error=\"invalid\\_request\""], "accepted"),
            (401, &["Bearer error=\"invalid_request\", error=\"invalid_token\""], "accepted"),
            (401, &["Bearer error=\"invalid_token\", error=\"invalid_request\""], "rejected"),
        ] {
            assert_eq!(word(judged("Bearer", status, fields)), expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn the_challenge_of_the_layers_own_scheme_counts_before_bearers() {
        for (scheme, fields, expected) in [
            ("OAuth", &["OAuth, Bearer error=\"invalid_request\""][..], "rejected"),
            ("OAuth", &["Bearer error=\"invalid_token\", oauth error=\"invalid_request\""], "accepted"),
            ("OAuth", &["Bearer error=\"invalid_request\""], "accepted"),
            ("OAuth", &["Basic", "Bearer error=\"insufficient_scope\""], "insufficient_scope"),
            ("OAuth", &["DPoP"], "accepted"),
            ("DPoP", &["DPoP"], "rejected"),
            ("DPoP", &["DPoP error=\"use_dpop_nonce\", Bearer error=\"invalid_token\""], "accepted"),
            ("Bearer", &["OAuth error=\"invalid_request\""], "rejected"),
        ] {
            assert_eq!(word(judged(scheme, 401, fields)), expected, "{scheme} {fields:?}");
        }
    }

    #[test]
    fn a_challenge_is_parsed_for_the_caller() {
        let fields = [
            "Basic realm=\"x\"",
            "bearer realm=\"a, b\", error=\"insufficient_user_authentication\", error_description=\"A \\\"fresh\\\" login, please\", \
             acr_values=\"myACR  other\", max_age=\"5\", scope=read",
        ];
        let expected = Challenge {
            scheme: "bearer".to_owned(),
            error: Some("insufficient_user_authentication".to_owned()),
            scope: Some("read".to_owned()),
            acr_values: Some("myACR  other".to_owned()),
            max_age: Some(Duration::from_secs(5)),
        };
        assert_eq!(judged("Bearer", 401, &fields), Verdict::Challenged(expected.clone()));
        assert_eq!(judged("Bearer", 403, &fields), Verdict::Challenged(expected));
    }

    #[test]
    fn max_age_is_whole_seconds() {
        for (given, expected) in [
            ("0", Some(0)),
            ("\"3600\"", Some(3600)),
            ("\" 7 \"", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1h", None),
            ("\"\"", None),
            ("", None),
        ] {
            let Verdict::Challenged(challenge) =
                judged("Bearer", 403, &[&format!("Bearer error=insufficient_scope, max_age={given}")])
            else {
                panic!("{given}")
            };
            assert_eq!(challenge.max_age, expected.map(Duration::from_secs), "{given}");
        }
    }

    #[test]
    fn text_for_the_caller_is_ascii_and_short() {
        let text = |raw: &[u8]| Value { raw, quoted: true }.text();
        for (given, expected) in [
            (&b" read  write "[..], Some("read  write")),
            (b"r\\\"\\\\d", Some("r\"\\d")),
            (b"a\tb\xc3\xa9\x1b[31m\x7f", Some("a b???[31m?")),
            (b"", None),
            (b"  ", None),
        ] {
            assert_eq!(text(given).as_deref(), expected, "{given:?}");
        }
        let word = vec![b'a'; MAX_TEXT];
        assert_eq!(text(&word).unwrap().len(), MAX_TEXT);
        assert_eq!(text(&[&word[..], b" b"].concat()).unwrap().len(), MAX_TEXT);
        assert_eq!(text(&[&word[..], b"b"].concat()), None);
        assert_eq!(text(&[b"first ", &word[..]].concat()).as_deref(), Some("first"));
    }

    /// R9, X7: what is read from fields good and bad.
    #[test]
    fn fields() {
        fn owned(expected: &[(&str, &[(&str, &str)])]) -> Read {
            let params = |params: &[(&str, &str)]| {
                params.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
            };
            expected.iter().map(|(scheme, list)| (String::from(*scheme), params(list))).collect()
        }
        let bearer = |params| owned(&[("Bearer", params)]);
        for (field, expected) in [
            ("", owned(&[])),
            (" ,\t, ", owned(&[])),
            ("Bearer", bearer(&[])),
            ("Bearer ", bearer(&[])),
            ("Bearer a=b", bearer(&[("a", "b")])),
            ("Bearer   a=b", bearer(&[("a", "b")])),
            (",Bearer a=b,", bearer(&[("a", "b")])),
            ("Bearer a=\"b, c=d\"", bearer(&[("a", "b, c=d")])),
            (r#"Bearer a="\"b\\", c="\,""#, bearer(&[("a", r#""b\"#), ("c", ",")])),
            ("Bearer a=\"\"", bearer(&[("a", "")])),
            ("Bearer a=b, a=c", bearer(&[("a", "b"), ("a", "c")])),
            ("Bearer a=b, Basic, DPoP c=d", owned(&[("Bearer", &[("a", "b")]), ("Basic", &[]), ("DPoP", &[("c", "d")])])),
            ("Basic,Bearer", owned(&[("Basic", &[]), ("Bearer", &[])])),
            // White space around `=`, and commas.
            ("Bearer a = b ,c\t=\t\"d\"", bearer(&[("a", "b"), ("c", "d")])),
            ("Bearer a= \"b\"", bearer(&[("a", "b")])),
            ("Bearer, a=b", bearer(&[("a", "b")])),
            ("Bearer a=b,,, c=d", bearer(&[("a", "b"), ("c", "d")])),
            ("Bearer a=b c=d", bearer(&[("a", "b"), ("c", "d")])),
            ("Bearer a=\"b\"c=d", bearer(&[("a", "b"), ("c", "d")])),
            ("Basic a=\"b\" Bearer c=d", owned(&[("Basic", &[("a", "b")]), ("Bearer", &[("c", "d")])])),
            ("Basic Bearer c=d", owned(&[("Basic", &[]), ("Bearer", &[("c", "d")])])),
            // token68.
            ("Negotiate abc==, Bearer a=b", owned(&[("Negotiate", &[]), ("Bearer", &[("a", "b")])])),
            ("Negotiate abc=", owned(&[("Negotiate", &[])])),
            ("Negotiate abc , Bearer", owned(&[("Negotiate", &[]), ("Bearer", &[])])),
            ("Negotiate a/b+c==", owned(&[("Negotiate", &[])])),
            ("Negotiate abc== Bearer a=b", owned(&[("Negotiate", &[]), ("Bearer", &[("a", "b")])])),
            ("Negotiate a/b Bearer a=b", owned(&[("Negotiate", &[]), ("Bearer", &[("a", "b")])])),
            ("Bearer a=/b/c", bearer(&[("a", "/b/c")])),
            // Values without their quotes.
            ("Bearer a=https://x.test/?b=c&d==, e=f", bearer(&[("a", "https://x.test/?b=c&d=="), ("e", "f")])),
            ("Bearer a=My Realm, c=d", bearer(&[("a", "My"), ("c", "d")])),
            ("Bearer a=My Very Own Realm, c=d", bearer(&[("a", "My"), ("c", "d")])),
            ("Bearer a=, c=d", bearer(&[("c", "d")])),
            ("Bearer c=d, a=, e=f", bearer(&[("c", "d"), ("a", ""), ("e", "f")])),
            ("Bearer a=\u{e9}\u{ff}, c=d", bearer(&[("a", "\u{c3}\u{a9}\u{c3}\u{bf}"), ("c", "d")])),
            ("Bearer a=\"\u{e9}\", c=d", bearer(&[("a", "\u{c3}\u{a9}"), ("c", "d")])),
            // What cannot be read is skipped, and what belongs to it.
            ("a=b, Bearer c=d", bearer(&[("c", "d")])),
            ("=, Bearer c=d", bearer(&[("c", "d")])),
            ("\"Basic, Bearer\", Bearer c=d", bearer(&[("c", "d")])),
            ("Bearer a=b, =x, c=d", bearer(&[("a", "b"), ("c", "d")])),
            ("Bearer a=b, \u{e9}, c=d", bearer(&[("a", "b"), ("c", "d")])),
            ("Bearer a=b, B@d c=d, e=f, Basic g=h", owned(&[("Bearer", &[("a", "b")]), ("Basic", &[("g", "h")])])),
            ("B@d c=d, Bearer a=b", bearer(&[("a", "b")])),
            ("Bearer a=b, c=\"d, Basic e=f", bearer(&[("a", "b")])),
            ("Bearer a=b, c=\"d\\", bearer(&[("a", "b")])),
            ("Bearer a=b, \"\\", bearer(&[("a", "b")])),
            ("Bearer@a=b, Basic", owned(&[("Basic", &[])])),
        ] {
            assert_eq!(read(field.as_bytes()), expected, "{field}");
        }
    }

    #[test]
    fn a_parameter_belongs_to_its_own_field() {
        assert_eq!(word(judged("Bearer", 401, &["Bearer", "error=\"invalid_request\""])), "rejected");
    }

    #[test]
    fn what_exceeds_the_bounds_is_not_read() {
        let last = "Bearer error=\"invalid_request\"";
        let judged = |fields: &[String]| word(verdict("Bearer", StatusCode::UNAUTHORIZED, &headers(fields)));
        let padded = |bytes: usize| format!("Basic a=\"{}\"", "b".repeat(bytes - "Basic a=\"\"".len()));

        assert_eq!(judged(&[padded(MAX_BYTES - last.len() - 1), last.to_owned()]), "accepted");
        assert_eq!(judged(&[padded(MAX_BYTES - last.len()), last.to_owned()]), "rejected");
        assert_eq!(judged(&[format!("{}, {last}", padded(MAX_BYTES - last.len() - 2))]), "accepted");
        assert_eq!(judged(&[format!("{}, {last}", padded(MAX_BYTES - last.len() - 1))]), "rejected");

        assert_eq!(judged(&["Basic, ".repeat(MAX_CHALLENGES - 1) + last]), "accepted");
        assert_eq!(judged(&["Basic, ".repeat(MAX_CHALLENGES) + last]), "rejected");

        let mut empty = vec![String::new(); MAX_BYTES];
        empty.push(last.to_owned());
        assert_eq!(judged(&empty), "rejected");
    }

    /// R9: nothing is looked at again and again. A parser that is not linear takes minutes here.
    #[test]
    fn a_long_field_is_read_in_one_pass() {
        let begun = Instant::now();
        for unit in [
            "a", "a ", " ", ",", "=", "\"", "\\", "\\\"", "\\\",", "a=", "a =", "a=\"", "a=\"\\", "a b ", "a, ", "a/", "a / ",
            "a==", "a b=", "S a/ ", "S a ", "S a=b, ", "\"a\"b ", "@", "@ ", "\u{e9}", "\"\\\"", ",\"\\\"",
        ] {
            for start in ["", "Bearer ", "Bearer a=\"", "Bearer a=b \""] {
                let field = start.to_owned() + &unit.repeat(256 * 1024 / unit.len());
                assert!(Parser::new(field.as_bytes()).count() <= field.len());
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    /// As the grammar of RFC 9110 has it, less token68: what `http-auth` reads.
    fn by_the_grammar() -> impl Strategy<Value = String> {
        let param = "(a|error|Scope|x-y)[ \t]{0,2}=[ \t]{0,2}([a-zA-Z0-9!#_.-]{1,4}|\"([ -!#-\\[\\]-~\t]|\\\\[ -~]){0,6}\")";
        let params = proptest::collection::vec(param, 0..4);
        let challenge = ("[a-zA-Z!1-]{1,4}", params, "[ \t]{0,2}").prop_map(|(scheme, params, space)| {
            match params.join(&format!("{space},{space}")) {
                params if params.is_empty() => scheme,
                params => format!("{scheme} {params}"),
            }
        });
        proptest::collection::vec(challenge, 1..4).prop_map(|challenges| challenges.join(" , "))
    }

    /// What `http-auth` makes of a field, if it can read all of it.
    fn oracle(field: &str) -> Option<Read> {
        let params = |list: &[(&str, http_auth::ParamValue<'_>)]| {
            list.iter().map(|(name, value)| (String::from(*name), value.to_unescaped())).collect()
        };
        let challenges = http_auth::parse_challenges(field).ok()?;
        Some(challenges.iter().map(|challenge| (challenge.scheme.to_owned(), params(&challenge.params))).collect())
    }

    /// Any, but mostly those that mean something.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"aS=,\"\\ \t/"[..])], 0..64)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        /// X7: what the grammar allows is read as another parser reads it.
        #[test]
        fn the_grammar_is_read_as_http_auth_reads_it(field in by_the_grammar()) {
            let expected = oracle(&field);
            prop_assert!(expected.is_some(), "http-auth cannot read {field:?}");
            prop_assert_eq!(Some(read(field.as_bytes())), expected);
        }

        /// Leniency changes nothing about what is right.
        #[test]
        fn whatever_http_auth_reads_is_read_alike(field in "([Sab=,\"\\\\ \t/]|[ab]=|, |a=\"b\"|S a=b){0,8}") {
            if let Some(expected) = oracle(&field) {
                prop_assert_eq!(read(field.as_bytes()), expected);
            }
        }

        /// R9: total over any bytes, and each step moves on.
        #[test]
        fn any_bytes_are_read(field in any_bytes()) {
            let mut parser = Parser::new(&field);
            let mut at = 0;
            while let Some(part) = parser.next() {
                prop_assert!(parser.at > at && parser.at <= field.len());
                at = parser.at;
                if let Part::Param(_, value) = part {
                    let text = value.text().unwrap_or_default();
                    prop_assert!(text.len() <= MAX_TEXT && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                    value.seconds();
                }
            }
            prop_assert_eq!(parser.at, field.len());
        }

        #[test]
        fn any_fields_have_a_verdict(
            fields in proptest::collection::vec("[\t -~\u{e9}]{0,32}", 0..4),
            status in prop_oneof![Just(401u16), Just(403), 100..600u16],
        ) {
            let verdict = verdict("Bearer", StatusCode::from_u16(status).unwrap(), &headers(&fields));
            prop_assert!(verdict == Verdict::Accepted || status == 401 || status == 403);
            prop_assert!(verdict != Verdict::Rejected || status == 401);
        }

        /// A bad challenge hides no good one behind the next comma, unless it leaves a string open.
        #[test]
        fn a_good_challenge_after_a_bad_one_is_read(bad in "[Sab=\\\\ \t/@\u{e9},]{0,16}") {
            let field = format!("{bad}, Bearer a=\"b\"");
            let expected = Some(("Bearer".to_owned(), vec![("a".to_owned(), "b".to_owned())]));
            prop_assert_eq!(read(field.as_bytes()).pop(), expected);
        }
    }
}
