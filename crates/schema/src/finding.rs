use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Severity;

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

/// Tactics of MITRE ATT&CK that findings name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tactic {
    /// TA0040.
    Impact,
    /// TA0005.
    DefenseEvasion,
}
