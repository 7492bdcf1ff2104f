use zeroize::Zeroizing;

/// A growing buffer for secrets: a `Vec` that grows leaves its old bytes behind in freed memory, this one wipes them.
#[derive(Default)]
pub(crate) struct SecretBuffer(Zeroizing<Vec<u8>>);

impl SecretBuffer {
    pub(crate) fn with_capacity(capacity: usize) -> SecretBuffer {
        SecretBuffer(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity().saturating_mul(2))));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn into_vec(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// The content as a body: wiped when its last clone goes.
    #[cfg(feature = "grant")]
    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        bytes::Bytes::from_owner(self.0)
    }
}

#[cfg(feature = "grant")]
impl std::io::Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order_across_growth() {
        let mut buffer = SecretBuffer::with_capacity(1);
        for part in [b"ab".as_slice(), b"", b"cdefgh", b"i"] {
            buffer.extend(part);
        }
        assert_eq!(buffer.into_vec().as_slice(), b"abcdefghi");
    }
}
