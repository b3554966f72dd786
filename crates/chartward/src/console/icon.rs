//! Signs that stand beside words, never in their place. Drawn here, so that no font has to know them.

use maud::PreEscaped;
use schema::{CountermeasureState, IncidentStatus, Severity, WatcherState};

pub(super) type Icon = PreEscaped<&'static str>;

macro_rules! icon {
    ($name:ident, $drawing:literal) => {
        pub(super) const $name: Icon = PreEscaped(concat!(
            r#"<svg class="icon" viewBox="0 0 20 20" width="20" height="20" aria-hidden="true" focusable="false">"#,
            $drawing,
            "</svg>"
        ));
    };
}

icon!(
    SHIELD,
    r#"<path d="M10 1.5 17 4v6c0 4.2-2.9 7.2-7 8.5C5.9 17.2 3 14.2 3 10V4z" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M5.5 10.500h2.200l1.3-3.5 2 6 1.3-2.500h2.2" fill="none" stroke="currentColor" stroke-width="1.5"/>"#
);
icon!(
    PERSON,
    r#"<circle cx="10" cy="6.5" r="3.5" fill="currentColor"/><path d="M3 18c0-4 3-6.5 7-6.500s7 2.5 7 6.500z" fill="currentColor"/>"#
);
// An octagon, as of a stop sign.
icon!(
    STOP,
    r#"<path d="M6 1h8l5 5v8l-5 5H6l-5-5V6z" fill="currentColor"/><path d="M10 5v6m0 2.500v1.5" class="cut"/>"#
);
icon!(WARN, r#"<path d="M10 1.5 19.5 18H.5z" fill="currentColor"/><path d="M10 7v5m0 2v1.5" class="cut"/>"#);
icon!(
    DIAMOND,
    r#"<path d="M10 1 19 10 10 19 1 10z" fill="none" stroke="currentColor" stroke-width="2"/><path d="M10 6v5m0 1.500v1.5" stroke="currentColor" stroke-width="2"/>"#
);
icon!(
    RING,
    r#"<circle cx="10" cy="10" r="7.5" fill="none" stroke="currentColor" stroke-width="2"/><path d="M10 9v5m0-8v1.5" stroke="currentColor" stroke-width="2"/>"#
);
icon!(
    CHECK,
    r#"<circle cx="10" cy="10" r="9" fill="currentColor"/><path d="M5.5 10.5 9 14l6-7.5" class="cut"/>"#
);
icon!(
    CROSS,
    r#"<circle cx="10" cy="10" r="9" fill="currentColor"/><path d="M6.5 6.500l7 7m0-7l-7 7" class="cut"/>"#
);
icon!(
    CLOCK,
    r#"<circle cx="10" cy="10" r="8" fill="none" stroke="currentColor" stroke-width="2"/><path d="M10 5v5l3.5 2.5" fill="none" stroke="currentColor" stroke-width="2"/>"#
);
icon!(
    DASH,
    r#"<circle cx="10" cy="10" r="8" fill="none" stroke="currentColor" stroke-width="2"/><path d="M6 10h8" stroke="currentColor" stroke-width="2"/>"#
);
icon!(
    BACK,
    r#"<path d="M8 4 3 9l5 5M3 9h9a5 5 0 0 1 0 10" transform="translate(0 -1.5)" fill="none" stroke="currentColor" stroke-width="2"/>"#
);

/// How grave a sign is; the class of its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Bad,
    Warn,
    Good,
    Calm,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Tone::Bad => "bad",
            Tone::Warn => "warn",
            Tone::Good => "good",
            Tone::Calm => "calm",
        }
    }
}

pub(super) fn severity(severity: Severity) -> (Icon, Tone) {
    match severity {
        Severity::Critical => (STOP, Tone::Bad),
        Severity::High => (WARN, Tone::Bad),
        Severity::Medium => (DIAMOND, Tone::Warn),
        Severity::Low | Severity::Informational => (RING, Tone::Calm),
    }
}

pub(super) fn incident_status(status: IncidentStatus) -> (Icon, Tone) {
    match status {
        IncidentStatus::Open => (WARN, Tone::Bad),
        IncidentStatus::Contained => (SHIELD, Tone::Warn),
        IncidentStatus::Closed => (CHECK, Tone::Good),
        IncidentStatus::FalseAlarm => (DASH, Tone::Calm),
    }
}

pub(super) fn countermeasure_state(state: CountermeasureState) -> (Icon, Tone) {
    match state {
        CountermeasureState::Proposed => (CLOCK, Tone::Warn),
        CountermeasureState::Approved => (CLOCK, Tone::Calm),
        CountermeasureState::Applied => (CHECK, Tone::Good),
        CountermeasureState::Failed => (CROSS, Tone::Bad),
        CountermeasureState::Undone | CountermeasureState::Expired => (BACK, Tone::Calm),
        CountermeasureState::ObserveOnly
        | CountermeasureState::Rejected
        | CountermeasureState::NeverTouch => (DASH, Tone::Calm),
    }
}

pub(super) fn watcher_state(state: WatcherState) -> (Icon, Tone) {
    match state {
        WatcherState::Ready => (CHECK, Tone::Good),
        WatcherState::Starting => (CLOCK, Tone::Calm),
        WatcherState::BackingOff => (WARN, Tone::Warn),
        WatcherState::Stopped => (CROSS, Tone::Bad),
    }
}
