//! Keys for what lies beside a vault and is nobody's without its passphrase.

use sha2::{Digest, Sha256};

use super::repository::Vault;

impl Vault {
    /// A key for one purpose that only who can open this repository can derive, and that says nothing about the
    /// repository's own keys or about the key of another purpose. Every passphrase of the repository gives the same.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        let digest = Sha256::new().chain_update(self.key.root()).chain_update(purpose.as_bytes());
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use crate::vault::{KeyCost, Password, Vault};

    #[test]
    fn a_key_belongs_to_one_vault_and_one_purpose() {
        let dir = tempfile::tempdir().unwrap();
        let vault = |name: &str| {
            Vault::init_with_cost(&dir.path().join(name), &Password::new("x"), KeyCost::TEST).unwrap()
        };
        let (vault, other) = (vault("a"), vault("b"));
        let again = Vault::open(dir.path().join("a").as_path(), &Password::new("x")).unwrap();
        assert_eq!(vault.key_for("charts"), again.key_for("charts"));
        assert_ne!(vault.key_for("charts"), vault.key_for("notes"));
        assert_ne!(vault.key_for("charts"), other.key_for("charts"));
    }
}
