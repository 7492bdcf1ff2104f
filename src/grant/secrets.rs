use std::fmt;

use zeroize::Zeroizing;

/// The secrets that a request carries, kept to be recognised should a server echo them.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<Zeroizing<String>>);

/// So many bytes in common with a secret are no coincidence.
const TELLING: usize = 8;

impl Secrets {
    pub(super) fn new(secrets: impl IntoIterator<Item = Zeroizing<String>>) -> Secrets {
        Secrets(secrets.into_iter().filter(|secret| !secret.is_empty()).collect())
    }

    /// Whether a text holds a secret or a telling part of one, in whatever case.
    pub(super) fn leak_into(&self, text: &str) -> bool {
        self.0.iter().any(|secret| leaks_into(secret, text))
    }
}

/// Whether a text holds this secret or a telling part of it, in whatever case.
pub(super) fn leaks_into(secret: &str, text: &str) -> bool {
    let part = secret.len().min(TELLING);
    part > 0 && secret.as_bytes().windows(part).any(|part| holds(text.as_bytes(), part))
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
