use http::StatusCode;

/// The codes of Yolcu360's page, "Error Codes".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Yolcu360Code {
    /// 1001, 400: the body is no JSON object, or lacks a field.
    InvalidRequest,
    /// 1002, 401: unknown key, or wrong secret.
    InvalidKey,
    /// 1003: the key is disabled or suspended. The page gives no status; 403 is a guess.
    KeyDisabled,
    /// 1004, 401: the refresh token is unknown, expired, revoked, or spent.
    InvalidRefreshToken,
    /// 1005: too many calls. The page gives no status; 429 is a guess.
    RateLimited,
    /// 1500, 500: internal error.
    Internal,
}

impl Yolcu360Code {
    /// The code as Yolcu360 lists it.
    pub fn number(self) -> u16 {
        self.row().0
    }

    /// The status that goes with it, unless [`set_status`](super::Yolcu360Emulator::set_status) says otherwise.
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// What the page says it means.
    pub(super) fn description(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (u16, StatusCode, &'static str) {
        match self {
            Yolcu360Code::InvalidRequest => (1001, StatusCode::BAD_REQUEST, "Invalid request format"),
            Yolcu360Code::InvalidKey => (1002, StatusCode::UNAUTHORIZED, "Invalid API key or secret key"),
            Yolcu360Code::KeyDisabled => (1003, StatusCode::FORBIDDEN, "API key is disabled or suspended"),
            Yolcu360Code::InvalidRefreshToken => (1004, StatusCode::UNAUTHORIZED, "Invalid or expired refresh token"),
            Yolcu360Code::RateLimited => (1005, StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded"),
            Yolcu360Code::Internal => (1500, StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
        }
    }
}
