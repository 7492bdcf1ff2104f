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

/// A random UUID (RFC 9562 section 5.4).
pub(super) fn uuid() -> io::Result<String> {
    let mut value = u128::from_be_bytes(bytes::<16>()?);
    value = value & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{value:032x}");
    Ok(format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]))
}
