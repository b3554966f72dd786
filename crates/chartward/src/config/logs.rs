//! `[logs]`: what the watcher of logs reads and listens at.

use std::path::PathBuf;

use serde::Deserialize;

/// The watcher of logs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Logs {
    /// Files and folders that are followed.
    pub(crate) files: Vec<PathBuf>,
    /// Files that are met for the first time are read from their beginnings.
    pub(crate) from_start: bool,
    /// `udp://ADDR`, `tcp://ADDR`, `tls://ADDR`.
    pub(crate) syslog: Vec<String>,
    /// `http://127.0.0.1:PORT`, `https://ADDR`.
    pub(crate) http: Vec<String>,
    pub(crate) journal: bool,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) client_ca: Option<PathBuf>,
    /// Folders of Sigma rules.
    pub(crate) rules: Vec<PathBuf>,
    /// Whether the rules that come with the product are used too.
    pub(crate) own_rules: bool,
    pub(crate) level: Option<String>,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            from_start: false,
            syslog: Vec::new(),
            http: Vec::new(),
            journal: false,
            certificate: None,
            key: None,
            client_ca: None,
            rules: Vec::new(),
            own_rules: true,
            level: None,
        }
    }
}
