//! The configuration as values. Everything that has a default is filled in; what was left out is `None` or empty.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use act::notify::Method;
use act::playbook::Template;
use jiff::tz::TimeZone;
use schema::{Lang, RecoveryStep, WatcherClass};
use serde::Deserialize;

use super::defaults;
use super::logins::Logins;
use super::logs::Logs;
use super::raw;
use super::sensor::Sensor;
use super::value::{Level, Network, Period, Sample, Secret, Size, TimeOfDay, Zone};
pub(crate) use super::wall::Wall;
use crate::wiring::mail::policy::{Action, OnFailure, Policy};

/// The whole of `chartward.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// State folder; `None`: the default one.
    pub(crate) state: Option<PathBuf>,
    /// Language of notices, and of the console until somebody chooses another one.
    #[serde(default = "defaults::lang")]
    pub(crate) lang: Lang,
    /// Name of the hospital, as people read it.
    #[serde(default)]
    pub(crate) hospital: String,
    /// Time zone of times of the day; `None`: the machine's.
    timezone: Option<Zone>,
    #[serde(default)]
    pub(crate) console: Console,
    pub(crate) vault: Option<Vault>,
    #[serde(default)]
    pub(crate) protect: Vec<Protect>,
    #[serde(default)]
    pub(crate) watch: Vec<Watch>,
    #[serde(default)]
    pub(crate) playbook: Vec<Playbook>,
    #[serde(default)]
    pub(crate) never_touch: NeverTouch,
    #[serde(default)]
    pub(crate) wall: Wall,
    #[serde(default)]
    pub(crate) notify: Vec<Notify>,
    #[serde(default)]
    pub(crate) lake: Lake,
    #[serde(default)]
    pub(crate) schedule: Schedule,
    /// `None`: nothing is ever forgotten.
    pub(crate) retention: Option<Retention>,
    #[serde(default)]
    pub(crate) viewer: Viewer,
    /// How everything is started again, sealed with every snapshot.
    #[serde(default)]
    pub(crate) recovery: Vec<RecoveryStep>,
    #[serde(default)]
    pub(crate) media: Vec<Media>,
    /// Charts on a stick, renewed after each proof; `None`: nowhere.
    pub(crate) bundle: Option<Bundle>,
    /// The mail gateway; `None`: there is none.
    pub(crate) mail: Option<Mail>,
    /// The network sensor; `None`: there is none.
    pub(crate) sensor: Option<Sensor>,
    /// Who logs in where.
    #[serde(default)]
    pub(crate) logins: Logins,
    /// The watcher of logs; `None`: there is none.
    pub(crate) logs: Option<Logs>,
}

impl Config {
    /// The zone that times of the day are meant in.
    pub(crate) fn zone(&self) -> TimeZone {
        self.timezone.as_ref().map_or_else(TimeZone::system, |zone| zone.0.clone())
    }
}

/// The web console.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Console {
    pub(crate) listen: SocketAddr,
    /// Names and addresses under which browsers reach it, for the certificate that is made.
    pub(crate) names: Vec<String>,
    /// PEM files of a certificate of the hospital's own; `None`: one is made.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// `false` only on loopback.
    pub(crate) tls: bool,
}

/// The vault that everything is backed up into.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vault {
    /// A folder, or `rest:https://HOST:PORT/NAME/` for a vault host.
    pub(crate) dir: PathBuf,
    /// File with the key for the vault host.
    pub(crate) key_file: Option<PathBuf>,
    /// SHA-256 of the vault host's certificate.
    pub(crate) fingerprint: Option<String>,
    /// PEM file of that certificate or its authority.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) passphrase: Secret,
    /// How long before a vault host stops protecting what is still needed it is an alarm.
    #[serde(default = "defaults::lock_lead")]
    pub(crate) lock_lead: Period,
    /// Address of the machine that holds it: an isolated host still reaches it.
    pub(crate) address: Option<IpAddr>,
}

/// Something that is backed up and drilled.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Protect")]
pub(crate) struct Protect {
    pub(crate) name: String,
    /// Name of the host whose records these are, as findings have it.
    pub(crate) host: Option<String>,
    /// Address of that host: what is isolated.
    pub(crate) address: Option<IpAddr>,
    pub(crate) source: Source,
    pub(crate) exclude: Vec<PathBuf>,
    pub(crate) backup: Timing,
    pub(crate) drill: Timing,
    /// Drills of a part, between those of everything.
    pub(crate) sample: Option<Sampled>,
    pub(crate) moment: Moment,
    /// Where a drill restores to; `None`: in memory where it fits.
    pub(crate) sandbox: Option<PathBuf>,
}

/// Where the records are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// On this machine.
    Paths(Vec<PathBuf>),
    /// On a server where nothing of ours runs.
    Share(Share),
    /// In stores that are captured by means of their own, and in files of the same group.
    Stores(Stores),
}

/// Stores that are captured by means of their own, such as a database server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stores {
    /// As `backup --source` takes them.
    pub(crate) sources: Vec<String>,
    /// Folders and files of this machine, captured right after them.
    pub(crate) files: Vec<PathBuf>,
}

impl Source {
    /// The folders to read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        match self {
            Source::Paths(paths) => paths.clone(),
            Source::Share(share) => vec![share.mirror.clone()],
            Source::Stores(stores) => stores.files.clone(),
        }
    }

    /// The stores that are captured by means of their own.
    pub(crate) fn stores(&self) -> &[String] {
        match self {
            Source::Paths(_) | Source::Share(_) => &[],
            Source::Stores(stores) => &stores.sources,
        }
    }
}

/// A file share of a server where nothing of ours runs, copied here before each backup.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// `//server/share`.
    pub(crate) path: String,
    /// Folders of the share; empty for all of it.
    #[serde(default)]
    pub(crate) folders: Vec<String>,
    #[serde(default = "defaults::smb")]
    pub(crate) port: u16,
    /// File with the account; `None`: as a guest.
    pub(crate) credentials: Option<PathBuf>,
    /// Where the copy lies that is backed up.
    pub(crate) mirror: PathBuf,
    /// A previous version of the share that is older is not read.
    #[serde(default = "defaults::shadow_max_age")]
    pub(crate) shadow_max_age: Period,
}

/// When a part is drilled, and how much of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Sampled")]
pub(crate) struct Sampled {
    pub(crate) timing: Timing,
    pub(crate) size: Sample,
}

/// How files that change meanwhile become of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Moment {
    /// By a snapshot of the file system where there can be one.
    #[default]
    Auto,
    /// By such a snapshot, or not at all.
    Snapshot,
    /// By reading until everything holds still.
    ReRead,
}

impl Moment {
    /// As `backup --moment` has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Moment::Auto => "auto",
            Moment::Snapshot => "snapshot",
            Moment::ReRead => "re-read",
        }
    }
}

/// A file share that is looked at from outside.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchedShare {
    /// See [`Share::path`]; or the folder where it is mounted.
    pub(crate) path: String,
    /// Of the server of a mounted share.
    pub(crate) address: Option<IpAddr>,
    /// See [`Share::folders`].
    #[serde(default)]
    pub(crate) folders: Vec<String>,
    #[serde(default = "defaults::smb")]
    pub(crate) port: u16,
    /// See [`Share::credentials`].
    pub(crate) credentials: Option<PathBuf>,
    /// How often decoys and standing files are read.
    #[serde(default = "defaults::canary_every")]
    pub(crate) canary_every: Period,
    /// How often everything is listed.
    #[serde(default = "defaults::look_every")]
    pub(crate) look_every: Period,
    /// Whether decoys are written to it; the only thing that ever is.
    #[serde(default)]
    pub(crate) plant: bool,
}

impl WatchedShare {
    /// Whether it is looked at where it is mounted, rather than over a session of our own.
    pub(crate) fn is_mounted(&self) -> bool {
        self.path.starts_with('/') && !self.path.starts_with("//")
    }
}

/// When a job runs and how long it may take.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Timing")]
pub(crate) struct Timing {
    pub(crate) when: When,
    /// A run that takes longer is ended and has failed; `None`: the default of its kind.
    pub(crate) timeout: Option<Period>,
    /// After a run that failed it is tried again after this, at most [`Timing::retries`] times; then at the next time.
    pub(crate) retry: Period,
    pub(crate) retries: u32,
}

/// When a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Every(Period),
    DailyAt(TimeOfDay),
}

/// A watcher: a program whose lines the hub takes in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Watch")]
pub(crate) struct Watch {
    pub(crate) name: String,
    pub(crate) class: WatcherClass,
    pub(crate) program: Program,
    /// The user it runs as; `None`: the hub chooses by what it is.
    pub(crate) user: Option<String>,
    /// Files and folders that it may read besides what it watches.
    pub(crate) read: Vec<PathBuf>,
    /// Whether it may open connections.
    pub(crate) network: bool,
    /// Lines above this are dropped and counted.
    pub(crate) lines_per_second_max: u32,
}

/// What a watcher runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Program {
    Guard(Guard),
    Share(WatchedShare),
    /// `chartward mail serve`, as `[mail]` says.
    Mail,
    /// `chartward sensor`, as `[sensor]` says.
    Sensor,
    /// `chartward logs`, as `[logs]` says.
    Logs,
    /// Program and arguments; no shell.
    Exec(Vec<String>),
}

/// `chartward guard`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guard {
    pub(crate) dirs: Vec<PathBuf>,
    /// Where pre-images lie; `None`: below the state folder.
    pub(crate) store: Option<PathBuf>,
    /// The most that pre-images take.
    #[serde(default = "defaults::guard_store_max")]
    pub(crate) store_max: Size,
    /// Databases of sorts that are not found by themselves.
    #[serde(default)]
    pub(crate) databases: Vec<PathBuf>,
    #[serde(default = "defaults::snapshot_every")]
    pub(crate) snapshot_every: Period,
    /// The most that the contents of removed files take; 0 keeps none.
    #[serde(default = "defaults::guard_store_max")]
    pub(crate) removed_max: Size,
    #[serde(default = "defaults::removed_keep")]
    pub(crate) removed_keep: Period,
    #[serde(default)]
    pub(crate) allow: Vec<Allow>,
}

/// A program that may encrypt for good.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allow {
    pub(crate) tool: PathBuf,
    pub(crate) sha256: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    #[serde(rename = "in")]
    pub(crate) dir: PathBuf,
    pub(crate) reason: String,
}

/// Which findings cause which acts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Playbook {
    pub(crate) name: String,
    pub(crate) watchers: Vec<WatcherClass>,
    /// Globs of detector ids, such as `encryption.*`.
    #[serde(default = "defaults::all_detectors")]
    pub(crate) detectors: Vec<String>,
    #[serde(default = "defaults::high")]
    pub(crate) severity_min: Level,
    /// Each a name, or a table with what a finding does not say.
    pub(crate) acts: Vec<Template>,
    #[serde(default)]
    pub(crate) approval: Approval,
    /// How long a plan may wait for approval.
    #[serde(default = "defaults::deadline")]
    pub(crate) deadline: Period,
    /// How long an act holds before it is taken back by itself.
    #[serde(default = "defaults::lasts")]
    pub(crate) lasts: Period,
    /// Who is told, for the act `notify`.
    #[serde(default)]
    pub(crate) channels: Vec<String>,
}

/// Who must agree before an act is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Approval {
    /// Nobody, once the act is armed for the class of watcher.
    None,
    /// A person.
    #[default]
    Person,
}

/// What no act ever touches, whoever asks.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NeverTouch {
    pub(crate) addresses: Vec<Network>,
    /// Never blocked, but isolated where a playbook says so.
    pub(crate) servers: Vec<IpAddr>,
    /// Names of hosts, as the configuration has them.
    pub(crate) hosts: Vec<String>,
    /// Names in `/proc/PID/comm`.
    pub(crate) commands: Vec<String>,
    /// Paths below the cgroup mount.
    pub(crate) cgroups: Vec<String>,
}

/// A channel through which people are told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Notify")]
pub(crate) struct Notify {
    pub(crate) name: String,
    pub(crate) severity_min: Level,
    /// `None`: the language of the configuration.
    pub(crate) lang: Option<Lang>,
    pub(crate) channel: Channel,
}

/// How a notice travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Channel {
    Smtp(Smtp),
    Webhook(Webhook),
    Syslog(Syslog),
    Lamp(Lamp),
}

impl Channel {
    /// What it is called in the configuration.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Channel::Smtp(_) => "smtp",
            Channel::Webhook(_) => "webhook",
            Channel::Syslog(_) => "syslog",
            Channel::Lamp(_) => "lamp",
        }
    }
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smtp {
    pub(crate) server: String,
    #[serde(default = "defaults::submission")]
    pub(crate) port: u16,
    #[serde(default)]
    pub(crate) tls: SmtpTls,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// PEM file of the authority that signed the server's certificate, where it is the hospital's own.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
}

/// How a mail server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SmtpTls {
    /// In the clear first, then STARTTLS or nothing is sent (port 587).
    #[default]
    Starttls,
    /// From the first byte (port 465).
    Tls,
    /// In the clear: a relay inside the hospital.
    None,
}

/// JSON over HTTP.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    /// Signs the body (HMAC-SHA256).
    pub(crate) signing_key: Option<Secret>,
}

/// RFC 5424.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Syslog {
    pub(crate) address: SocketAddr,
    #[serde(default)]
    pub(crate) transport: Transport,
}

/// How syslog travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    #[default]
    Udp,
    Tcp,
}

/// A signal lamp that is switched over HTTP.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lamp {
    /// `{severity}` becomes 1 to 5, `{lights}` the entry of `lights`.
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) method: Method,
    #[serde(default = "defaults::lights")]
    pub(crate) lights: [String; 5],
}

/// The lake of findings, flows and logins.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Lake {
    /// `None`: `lake` in the state folder.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) retention_days: u32,
    /// Partition names, as Amazon Security Lake has them.
    pub(crate) region: String,
    pub(crate) account: String,
}

/// Jobs that belong to no single thing that is protected.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Schedule {
    pub(crate) check: Check,
    /// `None`: the ledger is not given out by itself.
    pub(crate) export: Option<Export>,
}

/// Looking for damage in the vault.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Check")]
pub(crate) struct Check {
    pub(crate) timing: Timing,
    /// Whether every byte is read, not only the structure.
    pub(crate) read_data: bool,
    /// Within which time every byte is read, each run reading a share; `None`: each run reads all of them.
    pub(crate) read_within: Option<Period>,
}

/// What is kept how long. The generations hold whatever the rules say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Retention {
    pub(crate) forget: Timing,
    pub(crate) prune: Timing,
    /// Everything within this time before the newest snapshot.
    pub(crate) keep_within: Period,
    pub(crate) keep_daily: u32,
    pub(crate) keep_weekly: u32,
    pub(crate) keep_monthly: u32,
    pub(crate) keep_yearly: u32,
    /// Daily generations of each store that no rule forgets.
    pub(crate) generations: u32,
    /// The first of them that is write-protected.
    pub(crate) protected_from: u32,
    /// How long after a prune marked it something is removed.
    pub(crate) delay: Period,
    /// The most that one prune copies, since no backup can run meanwhile.
    pub(crate) repack_max: Size,
}

/// Giving out copies of the ledger.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "raw::Export")]
pub(crate) struct Export {
    pub(crate) timing: Timing,
    /// Where the copies go: another medium.
    pub(crate) dir: PathBuf,
}

/// Removable media that take turns.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    pub(crate) name: String,
    /// Labels of the sets, in the order of their turns.
    pub(crate) sets: Vec<String>,
    /// Where a medium may be found when it is in.
    pub(crate) paths: Vec<PathBuf>,
    /// How many days a turn takes.
    #[serde(default = "defaults::turn_days")]
    pub(crate) turn_days: u32,
    /// When on the first day of its turn a set is to be put in.
    #[serde(default = "defaults::change_at")]
    pub(crate) at: TimeOfDay,
    /// How long after that its copy must be written.
    #[serde(default = "defaults::overdue")]
    pub(crate) overdue: Period,
    /// How often it is looked whether the set is in.
    #[serde(default = "defaults::media_every")]
    pub(crate) every: Period,
    /// See [`Timing::timeout`].
    pub(crate) timeout: Option<Period>,
    /// Only so many of the newest snapshots of each thing that is protected; `None`: all of them.
    pub(crate) newest: Option<u32>,
    /// Whether everything on the medium is read back, not only what was written now.
    #[serde(default = "defaults::read_data")]
    pub(crate) read_data: bool,
}

/// The static bundle: charts that a browser opens from a stick.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundle {
    /// Its folder, on a stick or on a share of a PC.
    pub(crate) to: PathBuf,
    /// Its own; not the vault's.
    pub(crate) passphrase: Secret,
    /// Older than this it is an alarm, whether there was a proof or not.
    #[serde(default = "defaults::bundle_stale_after")]
    pub(crate) stale_after: Period,
    /// The page locks itself after so long without a key or a touch.
    #[serde(default = "defaults::bundle_lock_after")]
    pub(crate) lock_after: Period,
    /// See [`Timing::timeout`].
    pub(crate) timeout: Option<Period>,
    /// Which language comes first; `None`: as the machine's locale says.
    pub(crate) lang: Option<Lang>,
}

/// The mail gateway.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Mail {
    /// `unix:PATH` or `inet:PORT@127.0.0.1`.
    pub(crate) listen: String,
    pub(crate) unreadable: Action,
    pub(crate) suspicious: Action,
    pub(crate) phishing: Action,
    pub(crate) malicious: Action,
    pub(crate) on_failure: OnFailure,
    /// `system`, `off`, or the address of a name server.
    pub(crate) dns: String,
    /// Machines that pass on others' mail.
    pub(crate) relays: Vec<Network>,
    pub(crate) quarantine_keep: Period,
    pub(crate) quarantine_max: Size,
    /// `ADDRESS:PORT`, or the path of a sendmail program.
    pub(crate) release_to: String,
    pub(crate) banner: bool,
    pub(crate) subject_prefix: String,
    pub(crate) contact: String,
    /// Addresses, `@DOMAIN` or `PREFIX*` of each department.
    pub(crate) departments: BTreeMap<String, Vec<String>>,
    pub(crate) message_max: Size,
    /// Servers whose Authentication-Results are believed for mails that a relay passed on.
    pub(crate) trust_authserv_ids: Vec<String>,
    /// Further protected brands.
    pub(crate) brands: Option<PathBuf>,
    /// Reasons raised, lowered or silenced, senders allowed.
    pub(crate) weighing: Option<PathBuf>,
    /// Where clamd answers; `None`: it is not asked.
    pub(crate) clamd: Option<String>,
}

impl Mail {
    pub(crate) fn policy(&self) -> Policy {
        let Mail { unreadable, suspicious, phishing, malicious, .. } = *self;
        Policy { unreadable, suspicious, phishing, malicious }
    }
}

/// The downtime viewer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Viewer {
    pub(crate) listen: SocketAddr,
}
