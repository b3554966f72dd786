//! What the watcher of logs is told, as the configuration and the hub hand it over.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::tz::TimeZone;
use judge::logins;
use judge::sigma::{Engine, Filter, NotLoaded, own_rules};
use schema::Severity;
use serde::{Deserialize, Serialize};

use super::rules::{self, RuleFiles};
use crate::config::Config;

/// Everything that the watcher needs, without its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Files and folders that are followed.
    pub(crate) files: Vec<PathBuf>,
    /// Whether files that are met for the first time are read from their beginning.
    pub(crate) from_start: bool,
    /// `udp://ADDR`, `tcp://ADDR`, `tls://ADDR`.
    pub(crate) syslog: Vec<Door>,
    /// Where collectors post JSON lines: loopback, or TLS.
    pub(crate) http: Vec<Door>,
    pub(crate) journal: bool,
    /// Certificate and key of TLS doors; `None`: one is made.
    pub(crate) certificate: Option<(PathBuf, PathBuf)>,
    /// Who may come through them: certificates of this authority only.
    pub(crate) client_ca: Option<PathBuf>,
    /// Folders of Sigma rules.
    pub(crate) rules: Vec<PathBuf>,
    /// Whether the rules that come with the product are used too.
    pub(crate) own_rules: bool,
    pub(crate) level_min: Level,
    pub(crate) tags: Vec<String>,
    /// Of lines that do not say it.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub(crate) zone: TimeZone,
    pub(crate) logins: logins::Rules,
}

/// How and where somebody is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Door {
    pub(crate) scheme: Scheme,
    pub(crate) at: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Udp,
    Tcp,
    Tls,
    Http,
    Https,
}

/// Sigma's levels by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            from_start: false,
            syslog: Vec::new(),
            http: Vec::new(),
            journal: false,
            certificate: None,
            client_ca: None,
            rules: Vec::new(),
            own_rules: true,
            level_min: Level::Low,
            tags: Vec::new(),
            zone: TimeZone::UTC,
            logins: logins::Rules::default(),
        }
    }
}

impl Settings {
    /// As the configuration says.
    pub(crate) fn of(config: Option<&Config>, zone: TimeZone) -> Self {
        // One that has no name, such as a machine's own rules, cannot be handed over.
        let zone =
            if zone.iana_name().is_some() || zone.to_fixed_offset().is_ok() { zone } else { TimeZone::UTC };
        let logins = config.map(|config| config.logins.clone()).unwrap_or_default().rules(zone.clone());
        let Some(logs) = config.and_then(|config| config.logs.clone()) else {
            return Self { zone, logins, ..Self::default() };
        };
        // The check of the configuration says which doors are wrong.
        let doors = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        let level =
            logs.level.as_deref().and_then(|name| <Level as clap::ValueEnum>::from_str(name, true).ok());
        Self {
            syslog: doors(&logs.syslog),
            http: doors(&logs.http),
            files: logs.files,
            from_start: logs.from_start,
            journal: logs.journal,
            certificate: logs.certificate.zip(logs.key),
            client_ca: logs.client_ca,
            rules: logs.rules,
            own_rules: logs.own_rules,
            level_min: level.unwrap_or(Level::Low),
            tags: Vec::new(),
            zone,
            logins,
        }
    }

    /// Ports that it listens at.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.syslog.iter().chain(&self.http).map(|door| door.at.port())
    }

    /// What it has to be able to read: a log's folder, since a rotation leaves the rest beside it.
    pub(crate) fn readable(&self) -> impl Iterator<Item = PathBuf> {
        let beside = |path: &PathBuf| {
            let folder = path.parent().filter(|dir| dir.components().count() > 1);
            if path.is_dir() { path.clone() } else { folder.unwrap_or(path).to_owned() }
        };
        let certificate =
            self.certificate.iter().flat_map(|(certificate, key)| [certificate.clone(), key.clone()]);
        let journal = self
            .journal
            .then(|| ["/var/log/journal", "/run/log/journal", "/etc/machine-id"].map(PathBuf::from));
        let all = self.files.iter().map(beside).chain(self.rules.iter().cloned()).chain(certificate);
        all.chain(self.client_ca.clone()).chain(journal.into_iter().flatten())
    }

    /// Whether there is anything to watch.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.syslog.is_empty() && self.http.is_empty() && !self.journal
    }

    fn filter(&self) -> Filter {
        let level_min = match self.level_min {
            Level::Informational => Severity::Informational,
            Level::Low => Severity::Low,
            Level::Medium => Severity::Medium,
            Level::High => Severity::High,
            Level::Critical => Severity::Critical,
        };
        Filter { level_min, tags: self.tags.clone(), ..Filter::default() }
    }

    /// The rules at work, and which are not.
    pub(crate) fn engine(&self) -> anyhow::Result<(Engine, Vec<NotLoaded>)> {
        let read = self.rule_files()?;
        let (engine, mut not_loaded) = Engine::load(read.files, &self.filter());
        not_loaded.extend(read.unread);
        Ok((engine, not_loaded))
    }

    /// The same rules read anew; correlations go on.
    pub(crate) fn reload(&self, engine: &mut Engine) -> anyhow::Result<Vec<NotLoaded>> {
        let read = self.rule_files()?;
        let mut not_loaded = engine.reload(read.files, &self.filter());
        not_loaded.extend(read.unread);
        Ok(not_loaded)
    }

    fn rule_files(&self) -> anyhow::Result<RuleFiles> {
        let mut read = RuleFiles::read(&self.rules)?;
        if self.own_rules {
            read.files.extend(own_rules(true));
        }
        Ok(read)
    }

    /// What changes when a file of the rules does.
    pub(crate) fn rules_mark(&self) -> (u64, usize) {
        rules::mark(&self.rules)
    }
}

impl FromStr for Door {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "write udp://, tcp://, tls://, http:// or https:// with an address and a port, such as udp://0.0.0.0:514";
        let (scheme, at) = text.split_once("://").ok_or(hint)?;
        let scheme = match scheme {
            "udp" => Scheme::Udp,
            "tcp" => Scheme::Tcp,
            "tls" => Scheme::Tls,
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(hint.into()),
        };
        let at: SocketAddr = at.trim_end_matches('/').parse().map_err(|_| hint.to_owned())?;
        if scheme == Scheme::Http && !at.ip().is_loopback() {
            return Err("over http:// only this machine itself is listened to; use https://".into());
        }
        Ok(Self { scheme, at })
    }
}

impl From<Door> for String {
    fn from(door: Door) -> String {
        let scheme = match door.scheme {
            Scheme::Udp => "udp",
            Scheme::Tcp => "tcp",
            Scheme::Tls => "tls",
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        format!("{scheme}://{}", door.at)
    }
}

impl TryFrom<String> for Door {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
