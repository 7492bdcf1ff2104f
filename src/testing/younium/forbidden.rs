/// Why a call with a good token gets a 403: Younium's page, "Common Authentication Errors".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum YouniumForbidden {
    /// The tenant has several legal entities, and there is no `legal-entity` header.
    MissingLegalEntity,
    /// The `legal-entity` header is neither the id nor the name of one of the tenant's legal entities, or there are two.
    InvalidLegalEntity,
    /// The user's permissions are insufficient.
    Permissions,
    /// Access to the integration or service is restricted.
    Restricted,
}

impl YouniumForbidden {
    pub(super) fn message(self) -> &'static str {
        match self {
            YouniumForbidden::MissingLegalEntity => "Missing legal-entity header",
            YouniumForbidden::InvalidLegalEntity => "Invalid legal-entity header",
            YouniumForbidden::Permissions => "Insufficient user permissions",
            YouniumForbidden::Restricted => "Restricted access to integrations or services",
        }
    }
}
