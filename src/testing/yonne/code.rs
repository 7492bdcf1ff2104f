use http::StatusCode;

/// The codes of Yonne's page, "Authentication errors".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum YonneCode {
    /// `TOKEN_MISSING`, 401: no `Authorization` header.
    TokenMissing,
    /// `TOKEN_EXPIRED`, 401: the token has outlived its lifetime.
    TokenExpired,
    /// `TOKEN_INVALID`, 401: bad signature, wrong token type, or revoked.
    TokenInvalid,
    /// `COURIER_NOT_FOUND`, 404: the courier of the token no longer exists.
    CourierNotFound,
    /// `S2S_DISABLED`, 403: the integration was turned off. The credentials are still intact.
    S2sDisabled,
    /// `DB_ERROR`, 503: the platform's database cannot be reached.
    DbError,
}

impl YonneCode {
    /// The code as Yonne writes it.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status that goes with it.
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// What the page says it means.
    pub(super) fn meaning(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            YonneCode::TokenMissing => ("TOKEN_MISSING", StatusCode::UNAUTHORIZED, "No Authorization header"),
            YonneCode::TokenExpired => ("TOKEN_EXPIRED", StatusCode::UNAUTHORIZED, "Token is older than 24 hours"),
            YonneCode::TokenInvalid => ("TOKEN_INVALID", StatusCode::UNAUTHORIZED, "Bad signature or wrong token type"),
            YonneCode::CourierNotFound => {
                ("COURIER_NOT_FOUND", StatusCode::NOT_FOUND, "The courier_id in the token no longer exists")
            }
            YonneCode::S2sDisabled => ("S2S_DISABLED", StatusCode::FORBIDDEN, "Integration has been disabled by admin"),
            YonneCode::DbError => ("DB_ERROR", StatusCode::SERVICE_UNAVAILABLE, "Platform database unreachable"),
        }
    }
}
