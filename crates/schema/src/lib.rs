//! The values that cross from one room of Chartward to another.
//!
//! Names and fields follow OCSF, MITRE ATT&CK and restic. There is no behaviour here beyond small
//! constructors, no trait and no input or output: a room that wants to do something does it itself.
#![forbid(unsafe_code)]

mod action;
mod alarm;
mod finding;
mod gate;
mod id;
mod incident;
mod lang;
mod proof;
mod snapshot;

pub use action::{Act, Action, Outcome, Plan};
pub use alarm::{Alarm, Severity, Status};
pub use finding::{Attack, Finding, FindingClass, Tactic};
pub use gate::{FileEvidence, GateInput, Reason, Verdict};
pub use id::{PatientId, SnapshotId};
pub use incident::{Effect, Incident, Moment, Stage};
pub use lang::Lang;
pub use proof::{Drill, Proof, Shortfall, ShortfallKind};
pub use snapshot::{Census, DatabaseCensus, Exception, ExceptionKind, Manifest, Ssmix2Census};
