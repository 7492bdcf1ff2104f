/// How the id_tokens of a [`YocoEmulator`](super::YocoEmulator) are signed: properly, or as somebody would who has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum YocoSignature {
    /// RSASSA-PKCS1-v1_5 with SHA-256, by the published key of 2048 bits: what OpenID Connect Core 1.0 section 15.1 makes
    /// every server know.
    #[default]
    Rs256,
    /// ECDSA on P-256 with SHA-256, by a key that is published beside the other from then on.
    Es256,
    /// As [`Rs256`](Self::Rs256), without a `kid` to say by which key.
    WithoutKid,
    /// Forged: `"alg": "none"` and no signature (RFC 7515 appendix A.5).
    Unsigned,
    /// Forged: HS256, with the published RSA key as the secret (RFC 8725 section 2.1).
    PublicKeyAsSecret,
    /// Forged: RS256 under the `kid` of the published key, by another key.
    Stranger,
    /// RS256 by a key that is not published, under a `kid` of its own.
    UnknownKey,
}
