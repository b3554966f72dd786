//! Until accounts land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Viewer,
    Operator,
    Clinician,
    Admin,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    See,
    Report,
    Approve,
    Undo,
    Plan,
    Arm,
    MarkIncident,
    RunJob,
    Reconnect,
    RestartWatcher,
    ExportLedger,
    Metrics,
    ApiDocs,
    OwnAccount,
    Settings,
}
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) role: Role,
}
impl Who {
    pub(crate) fn may(&self, _: Permission) -> bool {
        self.role != Role::Viewer
    }
}
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) who: Who,
    pub(crate) csrf: String,
}
