use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Finding, Proof};

/// One incident from the first sign to the end, as the report tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Name that people use for it.
    pub title: String,
    /// What is synthetic or simulated about it; `None` for a real incident.
    pub synthetic: Option<String>,
    /// What happened, in order of time.
    pub timeline: Vec<Moment>,
    /// What detectors said.
    pub findings: Vec<Finding>,
    /// What it did to records and files.
    pub effect: Effect,
    /// The proof that recovery rested on.
    pub proof: Option<Proof>,
    /// What was watched, with its coverage: "file operations below DIR, by fanotify".
    pub observed: Vec<String>,
    /// What nobody looked at. Nothing is called absent that stands here.
    pub not_observed: Vec<String>,
}

/// One line of a timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// Which part of the story it belongs to.
    pub stage: Stage,
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// Parts of the story of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything happened: backup and drill.
    Prepare,
    /// What the attacker did.
    Attack,
    /// What was seen.
    Detect,
    /// What was done against it.
    Contain,
    /// Care that went on meanwhile.
    Continue,
    /// Putting back.
    Restore,
    /// Checking and reporting.
    Prove,
}

/// What an incident did, counted by record and by file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// Patients in the store.
    pub patients_total: u64,
    /// Patients of whom at least one record was changed, renamed or removed.
    pub patients_affected: u64,
    /// Patients whose every record is in the end as it was before.
    pub patients_intact: u64,
    /// Files that were changed, renamed or removed.
    pub files_touched: u64,
    /// Of those, files put back by the guard from its pre-images.
    pub files_put_back: u64,
    /// Of those, files restored from the vault.
    pub files_restored: u64,
    /// Of those, files that are lost for good.
    pub files_irrecoverable: u64,
    /// Milliseconds from the first harmful act to the attacker standing still.
    pub time_to_stop_ms: Option<u64>,
    /// Seconds from declaring the incident to reading a chart.
    pub first_chart_seconds: Option<f64>,
    /// Seconds until every file was back.
    pub restore_seconds: Option<f64>,
}
