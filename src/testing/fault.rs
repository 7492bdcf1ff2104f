use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{
    ErrorShape,
    payload::{Cut, Payload},
};

/// A failure that an emulator is told to have, by [`Endpoint::inject`](super::Endpoint::inject).
///
/// Some answer in place of the emulator, which does nothing then: [`status`](Self::status) and [`cut`](Self::cut). The
/// others spoil an answer after the emulator has acted: what the client asked for has been done, and a refresh token that was
/// spent is spent. [`after_acting`](Self::after_acting) makes the former such.
///
/// It lasts until [`Endpoint::clear_faults`](super::Endpoint::clear_faults), or for so many [`times`](Self::times).
///
/// # Examples
///
/// ```
/// use http::StatusCode;
/// use tower_token::testing::{ErrorShape, Fault, Yolcu360Emulator};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let yolcu360 = Yolcu360Emulator::start().await?;
/// // Twice a proxy's page, then a rotation whose answer gets lost, and then all is well again.
/// let refresh = yolcu360.refresh_endpoint();
/// refresh.inject(Fault::status(StatusCode::BAD_GATEWAY).shape(ErrorShape::Html).times(2));
/// refresh.inject(Fault::lost().times(1));
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fault {
    kind: Kind,
    after_acting: bool,
    /// `None`: until told.
    times: Option<u64>,
}

#[derive(Clone)]
enum Kind {
    Status { status: StatusCode, shape: Option<ErrorShape>, code: Option<Value>, headers: HeaderMap },
    Cut,
    Truncated(usize),
    Shortened(usize),
    Field { name: String, edit: Edit },
}

/// What happens to a field of a JSON object. Values are JSON texts.
#[derive(Clone)]
enum Edit {
    Remove,
    Replace(String),
    Append(String),
}

/// Failures in place of an answer. Nothing is acted upon.
impl Fault {
    /// An answer with this status, as a body the vendor's error without a code: see [`shape`](Self::shape) and
    /// [`code`](Self::code). A 200 is allowed: with [`ErrorShape::Html`] it is what a login page looks like.
    pub fn status(status: StatusCode) -> Fault {
        Fault::before(Kind::Status { status, shape: None, code: None, headers: HeaderMap::new() })
    }

    /// The connection ends without a byte of an answer; over HTTP/2, the stream is reset.
    pub fn cut() -> Fault {
        Fault::before(Kind::Cut)
    }
}

/// Failures on the way back. The emulator has acted.
impl Fault {
    /// As [`cut`](Self::cut), after acting: a rotation whose answer is lost.
    pub fn lost() -> Fault {
        Fault::cut().after_acting()
    }

    /// The head announces all of the body, and the connection ends after its first `sent` bytes.
    pub fn truncated(sent: usize) -> Fault {
        Fault::after(Kind::Truncated(sent))
    }

    /// The body is its own first `kept` bytes, in a well-formed HTTP message: only a parser of the body can tell.
    pub fn shortened(kept: usize) -> Fault {
        Fault::after(Kind::Shortened(kept))
    }

    /// A field at the top of the answer's JSON object is missing. An answer that is no object stays as it is.
    pub fn without(name: impl Into<String>) -> Fault {
        Fault::field(name, Edit::Remove)
    }

    /// A field at the top of the answer's JSON object has another value: any text that stands for it, such as `17`, `null`
    /// or `"abc"` with its quotes; it is not checked. An answer that is no object stays as it is.
    pub fn with(name: impl Into<String>, json: impl Into<String>) -> Fault {
        Fault::field(name, Edit::Replace(json.into()))
    }

    /// A field stands in the answer's JSON object once more, at the end, with this value: any text, as in
    /// [`with`](Self::with). An answer that is no object stays as it is.
    pub fn repeated(name: impl Into<String>, json: impl Into<String>) -> Fault {
        Fault::field(name, Edit::Append(json.into()))
    }
}

/// What it looks like, and for how long.
impl Fault {
    /// How the body of [`status`](Self::status) is written; without meaning for others.
    ///
    /// # Defaults
    ///
    /// As the emulator writes its own errors.
    #[must_use]
    pub fn shape(mut self, error_shape: ErrorShape) -> Fault {
        if let Kind::Status { shape, .. } = &mut self.kind {
            *shape = Some(error_shape);
        }
        self
    }

    /// The code in the body of [`status`](Self::status), for shapes that have one: a number if it is nothing but digits.
    /// Without meaning for others.
    #[must_use]
    pub fn code(mut self, text: &str) -> Fault {
        if let Kind::Status { code, .. } = &mut self.kind {
            *code = Some(text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from));
        }
        self
    }

    /// Adds a header to the answer of [`status`](Self::status), such as `Retry-After`; without meaning for others.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Fault {
        if let Kind::Status { headers, .. } = &mut self.kind {
            headers.append(name, value);
        }
        self
    }

    /// The emulator acts first, and this stands in place of the answer that it had.
    #[must_use]
    pub fn after_acting(mut self) -> Fault {
        self.after_acting = true;
        self
    }

    /// It is over after so many calls.
    ///
    /// # Defaults
    ///
    /// Until told.
    #[must_use]
    pub fn times(mut self, times: u64) -> Fault {
        self.times = Some(times);
        self
    }

    fn before(kind: Kind) -> Fault {
        Fault { kind, after_acting: false, times: None }
    }

    fn after(kind: Kind) -> Fault {
        Fault { kind, after_acting: true, times: None }
    }

    fn field(name: impl Into<String>, edit: Edit) -> Fault {
        Fault::after(Kind::Field { name: name.into(), edit })
    }

    /// One of its times is taken from it; `None` if it had none left.
    pub(super) fn take(&mut self) -> Option<Fault> {
        match &mut self.times {
            Some(0) => return None,
            Some(times) => *times -= 1,
            None => {}
        }
        Some(self.clone())
    }

    pub(super) fn is_after_acting(&self) -> bool {
        self.after_acting
    }

    /// What becomes of an answer; `own_shape` is the emulator's.
    pub(super) fn spoil(&self, response: Response<Bytes>, own_shape: ErrorShape) -> Result<Response<Payload>, Cut> {
        Ok(match &self.kind {
            Kind::Status { status, shape, code, headers } => {
                let mut response = shape.unwrap_or(own_shape).response(*status, code.as_ref(), "Injected fault");
                response.headers_mut().extend(headers.clone());
                response.map(Payload::from)
            }
            Kind::Cut => return Err(Cut),
            Kind::Truncated(sent) => response.map(|body| Payload::truncated(body, *sent)),
            Kind::Shortened(kept) => response.map(|body| Payload::from(body.slice(..body.len().min(*kept)))),
            Kind::Field { name, edit } => response.map(|body| Payload::from(edit.apply(name, body))),
        })
    }
}

/// Values are not shown: they may be meant to be tokens.
impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Fault");
        match &self.kind {
            Kind::Status { status, shape, .. } => shown.field("status", &status.as_u16()).field("shape", shape),
            Kind::Cut => shown.field("kind", &"cut"),
            Kind::Truncated(sent) => shown.field("truncated", sent),
            Kind::Shortened(kept) => shown.field("shortened", kept),
            Kind::Field { name, edit: Edit::Remove } => shown.field("without", name),
            Kind::Field { name, edit: Edit::Replace(_) } => shown.field("with", name),
            Kind::Field { name, edit: Edit::Append(_) } => shown.field("repeated", name),
        };
        shown.field("after_acting", &self.after_acting).field("times", &self.times).finish_non_exhaustive()
    }
}

impl Edit {
    fn apply(&self, name: &str, body: Bytes) -> Bytes {
        let Ok(Fields(fields)) = serde_json::from_slice(&body) else { return body };
        let mut written = Vec::new();
        for (key, value) in &fields {
            match self {
                Edit::Remove if key == name => {}
                Edit::Replace(json) if key == name => written.push((key.as_str(), json.as_str())),
                _ => written.push((key.as_str(), value.get())),
            }
        }
        if let Edit::Append(json) = self {
            written.push((name, json.as_str()));
        }
        let written: Vec<_> = written.into_iter().map(|(key, json)| format!("{}:{json}", Value::from(key))).collect();
        Bytes::from(format!("{{{}}}", written.join(",")))
    }
}

/// The fields of an object in their order, which `serde_json::Map` would not keep.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio_test::block_on;

    use super::*;
    use crate::testing::message;

    const REPLY: &str = r#"{"b":"x","a":[1, 2],"b2":null}"#;

    fn spoilt(fault: &Fault) -> (u16, String) {
        let reply = message::response(StatusCode::CREATED, Some(HeaderValue::from_static("application/json")), REPLY);
        let response = fault.spoil(reply, ErrorShape::Nested).unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(block_on(response.into_body().collect()).unwrap().to_bytes().to_vec()).unwrap())
    }

    /// Each fault, by what it makes of one answer; G3 and G4 want all of them.
    #[test]
    fn faults() {
        let status = || Fault::status(StatusCode::BAD_GATEWAY);
        for (fault, code, body) in [
            (status(), 502, r#"{"error":{"message":"Injected fault"}}"#),
            (status().code("1005"), 502, r#"{"error":{"code":1005,"message":"Injected fault"}}"#),
            (status().code("slow").shape(ErrorShape::Word), 502, r#"{"error":"slow","message":"Injected fault"}"#),
            (status().shape(ErrorShape::Empty).after_acting(), 502, ""),
            (Fault::shortened(4), 201, r#"{"b""#),
            (Fault::shortened(0), 201, ""),
            (Fault::shortened(1000), 201, REPLY),
            (Fault::without("b"), 201, r#"{"a":[1, 2],"b2":null}"#),
            (Fault::without("c"), 201, r#"{"b":"x","a":[1, 2],"b2":null}"#),
            (Fault::with("b", "17"), 201, r#"{"b":17,"a":[1, 2],"b2":null}"#),
            (Fault::repeated("b", "\"y\""), 201, r#"{"b":"x","a":[1, 2],"b2":null,"b":"y"}"#),
        ] {
            assert_eq!(spoilt(&fault), (code, body.to_owned()), "{fault:?}");
        }
        assert!(Fault::lost().spoil(Response::default(), ErrorShape::Flat).is_err());
        let list = Fault::without("b").spoil(Response::new(Bytes::from("[1]")), ErrorShape::Flat).unwrap();
        assert_eq!(block_on(list.into_body().collect()).unwrap().to_bytes(), "[1]");
    }

    /// Only what stands in place of the answer keeps the emulator from acting.
    #[test]
    fn who_acts() {
        for (fault, acts) in [
            (Fault::status(StatusCode::OK), false),
            (Fault::status(StatusCode::OK).after_acting(), true),
            (Fault::cut(), false),
            (Fault::lost(), true),
            (Fault::truncated(1), true),
            (Fault::shortened(1), true),
            (Fault::without("a"), true),
            (Fault::with("a", "1"), true),
            (Fault::repeated("a", "1"), true),
        ] {
            assert_eq!(fault.is_after_acting(), acts, "{fault:?}");
        }
    }

    /// It is taken as often as it says, or for ever.
    #[test]
    fn it_is_over_in_time() {
        let mut twice = Fault::cut().times(2);
        assert_eq!([twice.take().is_some(), twice.take().is_some(), twice.take().is_some()], [true, true, false]);
        let mut ever = Fault::cut();
        assert!((0..100).all(|_| ever.take().is_some()));
    }
}
