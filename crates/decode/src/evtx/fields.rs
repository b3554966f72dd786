//! The tables of flattening: what becomes of the names of a Windows record.

/// Fields of `System` that rules ask for. A field of the event's own data with the same name goes before: event 104 names the log that was
/// cleared in `Channel`, while the record itself lies in the channel `System`.
pub(super) const SYSTEM: &[&str] = &[
    "EventID",
    "Provider_Name",
    "Channel",
    "Computer",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "Version",
    "EventRecordID",
    "UserID",
    "Qualifiers",
    "Execution_ProcessID",
];

/// Which of [`SYSTEM`] an element of `System`, or an attribute of it, fills.
const ELEMENTS: &[(&str, &str, usize)] = &[
    ("EventID", "", EVENT_ID),
    ("Provider", "Name", PROVIDER),
    ("Channel", "", CHANNEL),
    ("Computer", "", COMPUTER),
    ("Level", "", 4),
    ("Task", "", 5),
    ("Opcode", "", 6),
    ("Keywords", "", 7),
    ("Version", "", 8),
    ("EventRecordID", "", RECORD_ID),
    ("Security", "UserID", 10),
    ("EventID", "Qualifiers", 11),
    ("Execution", "ProcessID", 12),
    ("TimeCreated", "SystemTime", TIME),
];

pub(super) const EVENT_ID: usize = 0;
pub(super) const PROVIDER: usize = 1;
pub(super) const CHANNEL: usize = 2;
pub(super) const COMPUTER: usize = 3;
pub(super) const RECORD_ID: usize = 9;
/// It becomes the record's instant and no field.
pub(super) const TIME: usize = 13;
/// Slots that the elements of `System` fill.
pub(super) const SLOTS: usize = 14;

/// The slot that an element of `System` fills; the attribute is empty for its text.
pub(super) fn slot(element: &str, attribute: &str) -> Option<usize> {
    ELEMENTS.iter().find(|(name, of, _)| *name == element && *of == attribute).map(|(_, _, slot)| *slot)
}

/// The slot whose field a field of the event's data hides.
pub(super) fn hidden(name: &str) -> Option<usize> {
    // Few names begin with these; the others are told apart by one byte.
    if !matches!(
        name.as_bytes().first(),
        Some(b'C' | b'E' | b'K' | b'L' | b'O' | b'P' | b'Q' | b'T' | b'U' | b'V')
    ) {
        return None;
    }
    SYSTEM.iter().position(|other| *other == name)
}

/// How a value is changed on its way to Sigma's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is not.
    Same,
    /// `S-1-16-12288` becomes `High`; what was written is kept under the same name, as rules ask for either.
    Integrity,
    /// `0x1f4` becomes `500`.
    Decimal,
    /// `\REGISTRY\MACHINE\…` becomes `HKLM\…`, with the value's name behind the key's.
    Registry,
    /// The domain before the name: `OFFICE\sato`.
    Account,
    /// `%%14593` (out) becomes `true`, `%%14592` (in) `false`.
    Initiated,
    /// The part before the port of `203.0.113.7:50011` or `[2001:db8::7]:50011`.
    Address,
    /// The port of such a value.
    Port,
    /// A machine's name, lower case; nothing for `localhost`.
    Host,
}

/// Sigma's names for what an event says in its own words; the words are kept beside them.
pub(super) struct Alias {
    /// The record's name of the field.
    pub(super) from: &'static str,
    /// A second field that belongs to it, for the turns that join two.
    pub(super) with: &'static str,
    /// Sigma's name.
    pub(super) to: &'static str,
    pub(super) turn: Turn,
}

const fn same(from: &'static str, to: &'static str) -> Alias {
    Alias { from, with: "", to, turn: Turn::Same }
}

const fn turned(from: &'static str, with: &'static str, to: &'static str, turn: Turn) -> Alias {
    Alias { from, with, to, turn }
}

/// 4688: a process began, told in the names that Sysmon's event 1 has.
const PROCESS: &[Alias] = &[
    same("NewProcessName", "Image"),
    same("ParentProcessName", "ParentImage"),
    turned("MandatoryLabel", "", "IntegrityLevel", Turn::Integrity),
    turned("SubjectUserName", "SubjectDomainName", "User", Turn::Account),
    same("SubjectLogonId", "LogonId"),
    turned("ProcessId", "", "ParentProcessId", Turn::Decimal),
];

/// 4657: a value of the registry was changed, as Sysmon's event 13 tells it.
const REGISTRY: &[Alias] = &[
    turned("ObjectName", "ObjectValueName", "TargetObject", Turn::Registry),
    same("NewValue", "Details"),
    same("ProcessName", "Image"),
];

/// 5156: a connection, as Sysmon's event 3 tells it.
const CONNECTION: &[Alias] = &[
    same("Application", "Image"),
    same("SourceAddress", "SourceIp"),
    same("DestAddress", "DestinationIp"),
    same("DestPort", "DestinationPort"),
    turned("Direction", "", "Initiated", Turn::Initiated),
];

/// What an antivirus found, as Sigma's category `antivirus` calls it.
const ANTIVIRUS: &[Alias] = &[same("ThreatName", "Signature"), same("Path", "Filename")];

/// RdpCoreTS 131: an address with its port.
const RDP_REACHED: &[Alias] = &[
    turned("ClientIP", "", "ClientAddress", Turn::Address),
    turned("ClientIP", "", "ClientPort", Turn::Port),
];

/// 4648: the machine that another account's secret was given for.
const EXPLICIT: &[Alias] = &[turned("TargetServerName", "", "TargetHost", Turn::Host)];

/// Which aliases an event has, by its channel and its number.
pub(super) const ALIASES: &[(&str, &[u32], &[Alias])] = &[
    ("Security", &[4688], PROCESS),
    ("Security", &[4648], EXPLICIT),
    ("Security", &[4657], REGISTRY),
    ("Security", &[5156], CONNECTION),
    (
        "Microsoft-Windows-Windows Defender/Operational",
        &[1006, 1007, 1008, 1015, 1116, 1117, 1118, 1119],
        ANTIVIRUS,
    ),
    ("Microsoft-Windows-RemoteDesktopServices-RdpCoreTS/Operational", &[131], RDP_REACHED),
];

/// The names of integrity levels (winnt.h, `SECURITY_MANDATORY_…_RID`).
pub(super) const INTEGRITY: &[(&str, &str)] = &[
    ("S-1-16-0", "Untrusted"),
    ("S-1-16-4096", "Low"),
    ("S-1-16-8192", "Medium"),
    ("S-1-16-8448", "Medium"),
    ("S-1-16-12288", "High"),
    ("S-1-16-16384", "System"),
    ("S-1-16-20480", "System"),
];

/// The roots of the registry, as the kernel calls them and as people do.
pub(super) const ROOTS: &[(&str, &str)] = &[("\\REGISTRY\\MACHINE", "HKLM"), ("\\REGISTRY\\USER", "HKU")];
