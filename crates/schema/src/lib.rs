//! The values that cross from one room of Chartward to another.
//!
//! Names and fields follow OCSF, MITRE ATT&CK and restic. There is no behaviour here beyond small
//! constructors, no trait and no input or output: a room that wants to do something does it itself.
#![forbid(unsafe_code)]

mod action;
mod alarm;
mod circle;
mod event;
mod finding;
mod gate;
mod id;
mod incident;
mod lang;
mod login;
mod mail;
mod net;
mod proof;
mod record;
mod removal;
mod share;
mod snapshot;
pub mod telescope;
mod watcher;

pub use action::{
    Act, ActKind, Action, Countermeasure, CountermeasureId, CountermeasureState, Outcome, Plan,
};
pub use alarm::{Alarm, Remark, Severity, Status};
pub use circle::Circle;
pub use event::Event;
pub use finding::{Attack, Entity, Finding, FindingClass, Subject, SubjectRole, Tactic};
pub use gate::{FileEvidence, GateInput, Reason, Verdict};
pub use id::{PatientId, SnapshotId};
pub use incident::{
    Chapter, Effect, Incident, IncidentId, IncidentReport, IncidentStatus, Moment, Stage, Unknown,
};
pub use lang::Lang;
pub use login::{AuthEvent, AuthOutcome, AuthProtocol, AuthReason};
pub use mail::{AuthResult, Authentication, MailJudgement, MailReason, MailVerdict};
pub use net::{
    Contact, Endpoint, FlowEnd, KerberosSight, Micros, NameSource, NetCoverage, NetEvent, NtlmSight,
    NtlmStep, RdpSight, RpcInterface, RpcSight, Service, Side, Sight, SmbDialect, SmbSight, SmbVerb,
    SynFamily, SystemVersion, Traffic, Transport,
};
pub use proof::{Activity, Coverage, Drill, Evidence, GroupTimes, Proof, Shortfall, ShortfallKind};
pub use record::{LogRecord, ValueKind};
pub use removal::{Lapse, Removal};
pub use share::ShareLook;
pub use snapshot::{
    Census, DatabaseCensus, Exception, ExceptionKind, Instant, Manifest, RecoveryRole, RecoveryStep,
    RootMoment, SourceCapture, Ssmix2Census, in_order,
};
pub use watcher::{InterfaceHealth, PacketHealth, WatcherClass, WatcherHealth, WatcherState};
