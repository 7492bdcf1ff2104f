/// Where Younium's API lives: each has credentials, tenants and tokens of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Environment {
    /// `https://api.younium.com`.
    Production,
    /// `https://api.sandbox.younium.com`.
    Sandbox,
    /// `https://api.us.younium.com`.
    UsProduction,
    /// `https://api.us.sandbox.younium.com`.
    UsSandbox,
}

impl Environment {
    /// The URL that all paths are appended to, without a slash at its end.
    pub const fn base_url(self) -> &'static str {
        match self {
            Environment::Production => "https://api.younium.com",
            Environment::Sandbox => "https://api.sandbox.younium.com",
            Environment::UsProduction => "https://api.us.younium.com",
            Environment::UsSandbox => "https://api.us.sandbox.younium.com",
        }
    }
}
