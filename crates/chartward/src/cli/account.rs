//! Whose command this is, for the ledger.

/// Who typed it, as far as the environment says: sudo names the one behind root.
pub(super) fn by_whom() -> String {
    let name =
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).or_else(|_| std::env::var("LOGNAME"));
    name.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}
