use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SnapshotId;

/// OCSF `severity_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Severity {
    /// 1.
    Informational,
    /// 2.
    Low,
    /// 3.
    Medium,
    /// 4.
    High,
    /// 5.
    Critical,
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> u8 {
        match severity {
            Severity::Informational => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        }
    }
}

impl TryFrom<u8> for Severity {
    type Error = String;

    fn try_from(id: u8) -> Result<Self, String> {
        Ok(match id {
            1 => Severity::Informational,
            2 => Severity::Low,
            3 => Severity::Medium,
            4 => Severity::High,
            5 => Severity::Critical,
            other => return Err(format!("severity_id {other} is not between 1 and 5")),
        })
    }
}

/// Something that makes the promise on the first screen untrue, or soon will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// `family.name`, such as `backup.stale`.
    pub id: String,
    /// How bad it is.
    pub severity_id: Severity,
    /// One sentence for the operator, in English.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: String,
    /// What to do next, in English.
    pub next_step: String,
    /// The same in Japanese.
    pub next_step_ja: String,
}

/// What would be lost and how soon charts would be read again, as proven, with what speaks against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// When this was put together.
    pub at: Timestamp,
    /// Age of the newest record in the newest proven snapshot, in seconds, at `at`.
    pub rpo_seconds: Option<f64>,
    /// Age of that snapshot, in seconds, at `at`.
    pub snapshot_age_seconds: Option<f64>,
    /// Measured by the drill behind that proof.
    pub rto_first_chart_seconds: Option<f64>,
    /// Measured by the drill behind that proof.
    pub rto_full_seconds: Option<f64>,
    /// When that drill ended.
    pub proven_at: Option<Timestamp>,
    /// The proven snapshot.
    pub snapshot: Option<SnapshotId>,
    /// What is wrong, worst first.
    pub alarms: Vec<Alarm>,
    /// What is as it was set up and should be known all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
}

/// Something that bounds the promise without being wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// `family.name`, such as `vault.not_locked`.
    pub id: String,
    /// One sentence for the operator, in English.
    pub title: String,
    /// The same in Japanese.
    pub title_ja: String,
}
