use std::io;

use rustls::crypto::aws_lc_rs;

/// Random bytes, good enough for keys: an emulator's key must not be guessable from another's.
pub(super) fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let random = aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| io::Error::other("the system has no randomness to give"))?;
    Ok(bytes)
}

/// As many random bytes, as twice as many hexadecimal digits.
pub(super) fn hex<const N: usize>() -> io::Result<String> {
    Ok(bytes::<N>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
