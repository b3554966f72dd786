use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Classes of watchers. An act is armed for each class by itself, since each can be fooled in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatcherClass {
    /// File operations on this machine.
    Guard,
    /// A file share looked at from outside, with nothing installed on its server.
    Share,
    /// Packets.
    Sensor,
    /// Logs.
    Logs,
    /// Mail.
    Mail,
    /// Another program that prints OCSF or Suricata eve.json.
    External,
}

impl WatcherClass {
    /// All of them.
    pub const ALL: [WatcherClass; 6] = [
        WatcherClass::Guard,
        WatcherClass::Share,
        WatcherClass::Sensor,
        WatcherClass::Logs,
        WatcherClass::Mail,
        WatcherClass::External,
    ];

    /// As it stands in the configuration, on the command line and in JSON.
    pub fn id(self) -> &'static str {
        match self {
            WatcherClass::Guard => "guard",
            WatcherClass::Share => "share",
            WatcherClass::Sensor => "sensor",
            WatcherClass::Logs => "logs",
            WatcherClass::Mail => "mail",
            WatcherClass::External => "external",
        }
    }

    /// The class with that id.
    pub fn from_id(id: &str) -> Option<WatcherClass> {
        WatcherClass::ALL.into_iter().find(|class| class.id() == id)
    }
}

/// One watcher as the hub sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatcherHealth {
    /// Its name in the configuration.
    pub name: String,
    /// Its class.
    pub class: WatcherClass,
    /// Where it stands.
    pub state: WatcherState,
    /// Process id while it runs.
    pub pid: Option<i32>,
    /// When it last said `{"type":"ready"}`.
    pub ready_at: Option<Timestamp>,
    /// When its last line came.
    pub last_line_at: Option<Timestamp>,
    /// Lines taken in since the hub started.
    pub lines: u64,
    /// Of those, lines that were no JSON of a known shape, or too long; the first bytes of the last one stand in `trouble`.
    pub garbage: u64,
    /// Lines thrown away because it sent more than its share.
    pub dropped: u64,
    /// Times it was started again.
    pub restarts: u64,
    /// What went wrong last, in words; empty when nothing did.
    pub trouble: String,
    /// What it can hold, undo and not see, from its ready line, in English.
    pub blind_spots: Vec<String>,
    /// The same in Japanese; in English where the watcher says it in English alone.
    #[serde(default)]
    pub blind_spots_ja: Vec<String>,
    /// What a sensor says of the packets; `None` for other watchers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packets: Option<PacketHealth>,
}

/// How a sensor stands, in numbers since its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PacketHealth {
    /// Packets that were read.
    pub packets: u64,
    /// Packets that the kernel dropped before they were read.
    pub dropped: u64,
    /// Flows.
    pub flows: u64,
    /// Of TCP flows with data, in percent, those of which one direction alone was seen.
    pub one_way_percent: f64,
    /// Whether that is most of them.
    #[serde(default)]
    pub one_way_mirror: bool,
    /// The interfaces.
    #[serde(default)]
    pub interfaces: Vec<InterfaceHealth>,
}

/// An interface of a sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceHealth {
    /// Its name.
    pub name: String,
    /// `up`, `no_carrier`, `down` or `gone`.
    pub state: String,
    /// Packets that were read.
    #[serde(default)]
    pub packets: u64,
    /// Packets that the kernel dropped.
    #[serde(default)]
    pub dropped: u64,
}

/// Where a watcher stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatcherState {
    /// Started, and not ready yet.
    Starting,
    /// It protects.
    Ready,
    /// It ended or was ended, and is started again after a pause.
    BackingOff,
    /// It ended and is not started again.
    Stopped,
}
