use std::fmt;

/// A passphrase. It is never printed, and overwritten when dropped.
#[derive(Clone)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes the bytes as they are, without a line feed that a file may end with.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Password {
        Password(bytes.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}
