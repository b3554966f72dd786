//! What holds where the file says nothing. The table of fields repeats these in words; a test compares both.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::{SignedDuration, civil};
use schema::{Lang, Severity};

use super::types::{Check, Console, Lake, Mail, Retention, Schedule, Timing, Viewer, When};
use super::value::{Level, Period, Size, TimeOfDay};
use crate::wiring::mail::policy::{Action, OnFailure};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) fn lang() -> Lang {
    Lang::Ja
}

pub(crate) fn smb() -> u16 {
    445
}

pub(crate) fn canary_every() -> Period {
    Period(SignedDuration::from_secs(5))
}

pub(crate) fn look_every() -> Period {
    Period(SignedDuration::from_secs(30))
}

pub(crate) fn guard_store_max() -> Size {
    Size(2 << 30)
}

pub(crate) fn snapshot_every() -> Period {
    Period(SignedDuration::from_mins(5))
}

pub(crate) fn removed_keep() -> Period {
    Period(SignedDuration::from_hours(7 * 24))
}

pub(crate) fn all_detectors() -> Vec<String> {
    vec!["*".to_owned()]
}

pub(crate) fn high() -> Level {
    Level(Severity::High)
}

pub(crate) fn deadline() -> Period {
    Period(SignedDuration::from_mins(10))
}

pub(crate) fn lasts() -> Period {
    Period(SignedDuration::from_hours(4))
}

pub(crate) fn submission() -> u16 {
    587
}

/// Red, yellow, green, blue, white and the buzzer of a Patlite NH: 0 off, 1 on, 2 blinking.
pub(crate) fn lights() -> [String; 5] {
    ["001000", "001000", "010000", "100000", "200001"].map(str::to_owned)
}

pub(crate) fn lines_per_second_max() -> u32 {
    2_000
}

pub(crate) fn retry() -> Period {
    Period(SignedDuration::from_mins(5))
}

pub(crate) fn retries() -> u32 {
    3
}

pub(crate) fn read_data() -> bool {
    true
}

pub(crate) fn lock_lead() -> Period {
    days(3)
}

pub(crate) fn turn_days() -> u32 {
    7
}

pub(crate) fn change_at() -> TimeOfDay {
    TimeOfDay(civil::time(9, 0, 0, 0))
}

pub(crate) fn overdue() -> Period {
    Period(SignedDuration::from_hours(24))
}

pub(crate) fn bundle_stale_after() -> Period {
    Period(SignedDuration::from_hours(50))
}

pub(crate) fn bundle_lock_after() -> Period {
    Period(SignedDuration::from_mins(10))
}

pub(crate) fn media_every() -> Period {
    Period(SignedDuration::from_mins(15))
}

pub(crate) fn backup() -> Timing {
    timing(When::Every(Period(SignedDuration::from_mins(15))))
}

pub(crate) fn drill() -> Timing {
    timing(When::DailyAt(TimeOfDay(civil::time(2, 14, 0, 0))))
}

pub(crate) fn check() -> When {
    When::Every(days(1))
}

fn days(days: i64) -> Period {
    Period(SignedDuration::from_hours(days * 24))
}

pub(crate) fn shadow_max_age() -> Period {
    Period(SignedDuration::from_hours(1))
}

pub(crate) fn export() -> When {
    When::Every(Period(SignedDuration::from_hours(24)))
}

fn timing(when: When) -> Timing {
    Timing { when, timeout: None, retry: retry(), retries: retries() }
}

impl Default for Console {
    fn default() -> Self {
        let listen = SocketAddr::new(LOOPBACK, 8443);
        Console { listen, names: Vec::new(), certificate: None, key: None, tls: true }
    }
}

impl Default for Lake {
    fn default() -> Self {
        Lake { dir: None, retention_days: 400, region: "local".to_owned(), account: "chartward".to_owned() }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        let timing = timing(check());
        Schedule {
            check: Check { timing, read_data: read_data(), read_within: Some(days(28)) },
            export: None,
        }
    }
}

/// The generations are what the Japanese guideline for systems with medical records gives as its example: five, the third and
/// older write-protected.
impl Default for Retention {
    fn default() -> Self {
        let at = |hour, minute| timing(When::DailyAt(TimeOfDay(civil::time(hour, minute, 0, 0))));
        let generations = recover::vault::Generations::default();
        Retention {
            forget: at(3, 40),
            prune: at(4, 10),
            keep_within: days(3),
            keep_daily: 14,
            keep_weekly: 8,
            keep_monthly: 12,
            keep_yearly: 0,
            generations: generations.keep,
            protected_from: generations.protected_from,
            delay: days(3),
            repack_max: Size(20 << 30),
        }
    }
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            listen: "inet:8891@127.0.0.1".to_owned(),
            unreadable: Action::Watch,
            suspicious: Action::Watch,
            phishing: Action::Watch,
            malicious: Action::Watch,
            on_failure: OnFailure::Accept,
            dns: "system".to_owned(),
            relays: Vec::new(),
            quarantine_keep: Period(SignedDuration::from_hours(30 * 24)),
            quarantine_max: Size(2 << 30),
            release_to: "127.0.0.1:25".to_owned(),
            banner: false,
            subject_prefix: String::new(),
            contact: String::new(),
            departments: BTreeMap::new(),
            message_max: Size(64 << 20),
            trust_authserv_ids: Vec::new(),
            brands: None,
            weighing: None,
            clamd: None,
        }
    }
}

impl Default for Viewer {
    fn default() -> Self {
        Viewer { listen: SocketAddr::new(LOOPBACK, 8444) }
    }
}
