//! What is known of one watcher, and which of its lines count.

use std::borrow::Cow;
use std::collections::VecDeque;

use jiff::Timestamp;
use schema::{PacketHealth, WatcherClass, WatcherHealth, WatcherState};
use serde::Deserialize;

use super::{Program, Spec};
use crate::output::printable;

const STDERR_KEPT: usize = 4 * 1024;
const QUOTED_CHARS_MAX: usize = 160;
const SPOTS_MAX: usize = 32;
const SPOT_CHARS_MAX: usize = 400;

/// The watcher's health, with what is needed to keep it true.
#[derive(Debug)]
pub(super) struct Intake {
    health: WatcherHealth,
    ready_with_first_line: bool,
    /// What the confinement could not enforce; told with the blind spots. Each is in English and in Japanese.
    not_enforced: [Vec<String>; 2],
    said: [Vec<String>; 2],
    stderr: VecDeque<u8>,
}

/// As much of a line as the supervisor itself looks at.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Ready {
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    undoes: Vec<String>,
    #[serde(default)]
    blind_spots: Vec<String>,
    #[serde(default)]
    holds_ja: Vec<String>,
    #[serde(default)]
    undoes_ja: Vec<String>,
    #[serde(default)]
    blind_spots_ja: Vec<String>,
}

#[derive(Deserialize)]
struct Confined {
    pid: i32,
    #[serde(default)]
    not_enforced: Vec<String>,
}

/// What a line is to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Passed on.
    Line,
    /// Passed on; the watcher has just become ready.
    Ready,
    /// The confinement's own word, not the watcher's.
    Confined,
    /// Counted and thrown away.
    Garbage,
}

impl Ready {
    /// In English, and in Japanese as far as the watcher speaks it.
    fn said(&self) -> [Vec<String>; 2] {
        fn or<'a>(ja: &'a [String], en: &'a [String]) -> &'a [String] {
            if ja.len() == en.len() { ja } else { en }
        }
        let all = |spots: &[String], holds: &[String], undoes: &[String], leads: [&str; 2]| {
            let mut all = self::spots("", spots);
            all.extend(in_a_row(leads[0], holds));
            all.extend(in_a_row(leads[1], undoes));
            all
        };
        [
            all(&self.blind_spots, &self.holds, &self.undoes, ["holds until judged: ", "undoes: "]),
            all(
                or(&self.blind_spots_ja, &self.blind_spots),
                or(&self.holds_ja, &self.holds),
                or(&self.undoes_ja, &self.undoes),
                ["判定まで保留する操作：", "後から元に戻す操作："],
            ),
        ]
    }
}

impl Intake {
    pub(super) fn new(spec: &Spec) -> Self {
        Self {
            health: WatcherHealth {
                name: spec.name.clone(),
                class: spec.class,
                state: WatcherState::Starting,
                pid: None,
                ready_at: None,
                last_line_at: None,
                lines: 0,
                garbage: 0,
                dropped: 0,
                restarts: 0,
                trouble: String::new(),
                blind_spots: Vec::new(),
                blind_spots_ja: Vec::new(),
                packets: None,
            },
            ready_with_first_line: matches!(spec.program, Program::Exec(_)),
            not_enforced: Default::default(),
            said: Default::default(),
            stderr: VecDeque::new(),
        }
    }

    pub(super) fn health(&self) -> WatcherHealth {
        let mut health = self.health.clone();
        let all = |at: usize| self.said[at].iter().chain(&self.not_enforced[at]).cloned().collect();
        (health.blind_spots, health.blind_spots_ja) = (all(0), all(1));
        health
    }

    pub(super) fn begin(&mut self, again: bool) {
        self.health.state = WatcherState::Starting;
        self.health.restarts += u64::from(again);
        self.health.ready_at = None;
        self.health.packets = None;
        self.stderr.clear();
        self.said = Default::default();
        self.not_enforced = Default::default();
    }

    /// Takes a line in. Only the very first line of a run is the confinement's, before the watcher's program had its turn.
    pub(super) fn line(&mut self, line: &[u8], first_of_run: bool, now: Timestamp) -> Kind {
        // A list would do for serde as well, so an object is asked for by its first byte.
        let is_object = line.trim_ascii_start().starts_with(b"{");
        let head = serde_json::from_slice::<Head<'_>>(line).ok().filter(|_| is_object);
        let Some(head) = head else {
            self.health.lines += 1;
            self.health.last_line_at = Some(now);
            self.garbage(line);
            return Kind::Garbage;
        };
        if first_of_run
            && head.kind.as_deref() == Some("confined")
            && let Ok(confined) = serde_json::from_slice::<Confined>(line)
        {
            self.health.pid = Some(confined.pid);
            self.not_enforced =
                ["not enforced: ", "適用できなかった制限："].map(|lead| spots(lead, &confined.not_enforced));
            return Kind::Confined;
        }
        self.health.lines += 1;
        self.health.last_line_at = Some(now);
        if self.health.class == WatcherClass::Sensor && head.kind.as_deref() == Some("health") {
            self.packets(line);
        }
        let says_ready = head.kind.as_deref() == Some("ready");
        if says_ready && let Ok(ready) = serde_json::from_slice::<Ready>(line) {
            self.said = ready.said();
        }
        let becomes =
            says_ready || (self.ready_with_first_line && self.health.state == WatcherState::Starting);
        if !becomes {
            return Kind::Line;
        }
        self.health.ready_at = Some(now);
        self.health.state = WatcherState::Ready;
        Kind::Ready
    }

    /// How a sensor stands: its texts are bounded, since a sensor reads what strangers send.
    fn packets(&mut self, line: &[u8]) {
        let Ok(mut said) = serde_json::from_slice::<PacketHealth>(line) else { return };
        said.interfaces.truncate(SPOTS_MAX);
        for interface in &mut said.interfaces {
            interface.name = short(&interface.name);
            interface.state = short(&interface.state);
        }
        self.health.packets = Some(said);
    }

    /// Counts a line that is nothing, and quotes its beginning.
    pub(super) fn garbage(&mut self, line: &[u8]) {
        self.health.garbage += 1;
        self.trouble(format!("it printed a line that is no finding: {}", quoted(line)));
    }

    pub(super) fn too_long(&mut self, start: &[u8], bytes_max: usize, now: Timestamp) {
        self.health.lines += 1;
        self.health.garbage += 1;
        self.health.last_line_at = Some(now);
        self.trouble(format!("it printed a line of more than {bytes_max} bytes: {}", quoted(start)));
    }

    pub(super) fn dropped(&mut self, why: &str, now: Timestamp) {
        self.health.lines += 1;
        self.health.dropped += 1;
        self.health.last_line_at = Some(now);
        if !self.health.trouble.ends_with(why) {
            self.trouble(format!("lines were thrown away: {why}"));
        }
    }

    /// A line that had been taken in and then found no room.
    pub(super) fn lost(&mut self, why: &str) {
        self.health.dropped += 1;
        if !self.health.trouble.ends_with(why) {
            self.trouble(format!("lines were thrown away: {why}"));
        }
    }

    pub(super) fn heard_on_stderr(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(bytes.len().saturating_sub(STDERR_KEPT)..).unwrap_or(bytes);
        let surplus = (self.stderr.len() + bytes.len()).saturating_sub(STDERR_KEPT);
        self.stderr.drain(..surplus.min(self.stderr.len()));
        self.stderr.extend(bytes);
    }

    /// The run has ended; the last line on stderr is part of the cause.
    pub(super) fn ended(&mut self, state: WatcherState, how: &str) {
        self.health.state = state;
        self.health.pid = None;
        self.health.ready_at = None;
        let said = self.last_words();
        self.trouble(if said.is_empty() { how.to_owned() } else { format!("{how}; its last words: {said}") });
    }

    /// It was asked to end and did: no trouble.
    pub(super) fn ended_well(&mut self) {
        self.health.state = WatcherState::Stopped;
        self.health.pid = None;
        self.health.ready_at = None;
    }

    pub(super) fn trouble(&mut self, words: String) {
        self.health.trouble = words;
    }

    fn last_words(&self) -> String {
        let text: Vec<u8> = self.stderr.iter().copied().collect();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(short).unwrap_or_default()
    }
}

fn short(text: &str) -> String {
    printable(&text.chars().take(QUOTED_CHARS_MAX).collect::<String>())
}

fn quoted(line: &[u8]) -> String {
    let start = line.get(..4 * QUOTED_CHARS_MAX).unwrap_or(line);
    format!("\"{}\"", short(&String::from_utf8_lossy(start)))
}

fn spots(lead: &str, words: &[String]) -> Vec<String> {
    let spot = |words: &String| {
        format!("{lead}{}", printable(&words.chars().take(SPOT_CHARS_MAX).collect::<String>()))
    };
    words.iter().take(SPOTS_MAX).map(spot).collect()
}

fn in_a_row(lead: &str, words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| format!("{lead}{}", spots("", words).join(", ")))
}
