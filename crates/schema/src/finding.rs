use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Lang, Severity};

/// OCSF finding, category 2: what a detector says, in the shape that leaves the process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// When the detector said it.
    pub time: Timestamp,
    /// What sort of finding it is.
    pub class: FindingClass,
    /// The detector's ENTRY id, `family.name`.
    pub detector: String,
    /// One sentence without patient data.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: String,
    /// How bad it is.
    pub severity_id: Severity,
    /// ATT&CK techniques.
    pub attacks: Vec<Attack>,
    /// The process, account or address that did it, in words.
    pub actor: String,
    /// What the verdict rests on, one sentence each, without patient data.
    pub reasons: Vec<String>,
    /// The same in Japanese.
    pub reasons_ja: Vec<String>,
    /// Id that its watcher gave it: OCSF `finding_info.uid`. Two lines with one uid are one finding.
    #[serde(default)]
    pub uid: String,
    /// Who did it and what it was done to, for correlation and countermeasures.
    #[serde(default)]
    pub subjects: Vec<Subject>,
}

/// Someone or something that a finding names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Whether it did harm or suffered it.
    pub role: SubjectRole,
    /// Who or what it is.
    #[serde(flatten)]
    pub entity: Entity,
}

/// The part a subject plays in a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectRole {
    /// It did it: OCSF `actor`, `src_endpoint`.
    Actor,
    /// It was done to it: OCSF `dst_endpoint`, `device`, `resources`.
    Target,
}

/// What findings are about. No patient is ever one of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "entity", rename_all = "snake_case")]
pub enum Entity {
    /// A machine by its name.
    Host {
        /// Host name, lower case.
        name: String,
    },
    /// A machine by its address.
    Address {
        /// The address; an IPv4-mapped IPv6 address is written as IPv4.
        address: IpAddr,
    },
    /// A user account.
    Account {
        /// `name`, or `domain\name` in lower case.
        name: String,
    },
    /// A process on the machine of the watcher.
    Process {
        /// Process id.
        pid: i32,
        /// Start time in clock ticks since boot; 0 when the watcher did not say.
        start_ticks: u64,
    },
    /// A control group on the machine of the watcher.
    Cgroup {
        /// Path below the cgroup mount.
        path: String,
    },
    /// A protected store: a folder or a share.
    Store {
        /// The folder, or `//server/share`. Never a path below it.
        name: String,
    },
}

/// The three OCSF classes that Chartward prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingClass {
    /// 2004: an attack.
    Detection,
    /// 2002: a weak spot.
    Vulnerability,
    /// 2003: a rule that is not kept.
    Compliance,
}

impl FindingClass {
    /// OCSF `class_uid`.
    pub fn uid(self) -> u32 {
        match self {
            FindingClass::Vulnerability => 2002,
            FindingClass::Compliance => 2003,
            FindingClass::Detection => 2004,
        }
    }
}

/// A technique of MITRE ATT&CK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attack {
    /// Technique id, such as `T1486`.
    pub technique: String,
    /// Its name, such as `Data Encrypted for Impact`.
    pub name: String,
    /// The tactic it serves here.
    pub tactic: Tactic,
}

/// Tactics of MITRE ATT&CK (enterprise, version 15), in the order in which an attack goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Tactic {
    /// TA0043.
    Reconnaissance,
    /// TA0042.
    ResourceDevelopment,
    /// TA0001.
    InitialAccess,
    /// TA0002.
    Execution,
    /// TA0003.
    Persistence,
    /// TA0004.
    PrivilegeEscalation,
    /// TA0005.
    DefenseEvasion,
    /// TA0006.
    CredentialAccess,
    /// TA0007.
    Discovery,
    /// TA0008.
    LateralMovement,
    /// TA0009.
    Collection,
    /// TA0011.
    CommandAndControl,
    /// TA0010.
    Exfiltration,
    /// TA0040.
    Impact,
}

impl Tactic {
    /// All of them, in order.
    pub const ALL: [Tactic; 14] = [
        Tactic::Reconnaissance,
        Tactic::ResourceDevelopment,
        Tactic::InitialAccess,
        Tactic::Execution,
        Tactic::Persistence,
        Tactic::PrivilegeEscalation,
        Tactic::DefenseEvasion,
        Tactic::CredentialAccess,
        Tactic::Discovery,
        Tactic::LateralMovement,
        Tactic::Collection,
        Tactic::CommandAndControl,
        Tactic::Exfiltration,
        Tactic::Impact,
    ];

    /// Its id and its name in English and Japanese.
    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Tactic::Reconnaissance => ("TA0043", "Reconnaissance", "偵察"),
            Tactic::ResourceDevelopment => ("TA0042", "Resource Development", "攻撃準備"),
            Tactic::InitialAccess => ("TA0001", "Initial Access", "侵入"),
            Tactic::Execution => ("TA0002", "Execution", "実行"),
            Tactic::Persistence => ("TA0003", "Persistence", "永続化"),
            Tactic::PrivilegeEscalation => ("TA0004", "Privilege Escalation", "権限昇格"),
            Tactic::DefenseEvasion => ("TA0005", "Defense Evasion", "防御回避"),
            Tactic::CredentialAccess => ("TA0006", "Credential Access", "認証情報の窃取"),
            Tactic::Discovery => ("TA0007", "Discovery", "探索"),
            Tactic::LateralMovement => ("TA0008", "Lateral Movement", "横展開"),
            Tactic::Collection => ("TA0009", "Collection", "収集"),
            Tactic::CommandAndControl => ("TA0011", "Command and Control", "遠隔操作"),
            Tactic::Exfiltration => ("TA0010", "Exfiltration", "持ち出し"),
            Tactic::Impact => ("TA0040", "Impact", "破壊・暗号化"),
        }
    }

    /// ATT&CK id, such as `TA0040`.
    pub fn id(self) -> &'static str {
        self.row().0
    }

    /// Its name.
    pub fn name(self, lang: Lang) -> &'static str {
        let (_, en, ja) = self.row();
        lang.pick(en, ja)
    }

    /// The tactic with that id.
    pub fn from_id(id: &str) -> Option<Tactic> {
        Tactic::ALL.into_iter().find(|tactic| tactic.id() == id)
    }
}
