//! How a detector says something: once for each actor, target and episode, again when it has grown, always with what it rests on.

use std::net::IpAddr;

use schema::{Attack, Entity, Finding, FindingClass, Lang, Micros, Severity, Subject, SubjectRole};

use super::rules::Rules;
use super::view::{HOUR, Trail, fnv};
use crate::Entry;
use crate::episodes::Standing;
pub(super) use crate::episodes::{Episodes, attack, timestamp};

const SUBJECTS_MAX: usize = 16;

/// What a detector has to say, before anybody writes a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    pub(super) entry: &'static Entry,
    /// Who it is told of: the one who acts, unless `role` says that it suffers.
    pub(super) actor: IpAddr,
    pub(super) role: SubjectRole,
    pub(super) target: Option<IpAddr>,
    /// What else tells it from others of the same actor and target: a port, a name's hash.
    pub(super) about: u64,
    pub(super) severity: Severity,
    pub(super) size: u64,
    pub(super) trail: Trail,
    /// Silence of this long ends the episode.
    pub(super) pause: Micros,
    pub(super) class: FindingClass,
}

impl Saying {
    pub(super) fn new(entry: &'static Entry, actor: IpAddr, target: Option<IpAddr>, trail: Trail) -> Self {
        Self {
            entry,
            actor,
            role: SubjectRole::Actor,
            target,
            about: 0,
            severity: Severity::Medium,
            size: trail.count,
            trail,
            pause: HOUR,
            class: FindingClass::Detection,
        }
    }

    /// It is told of somebody who does no harm but suffers it, or has a weak spot.
    pub(super) fn victim(self) -> Self {
        Self { role: SubjectRole::Target, ..self }
    }

    pub(super) fn about(self, about: u64) -> Self {
        Self { about, ..self }
    }

    pub(super) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    pub(super) fn size(self, size: u64) -> Self {
        Self { size, ..self }
    }

    pub(super) fn pause(self, pause: Micros) -> Self {
        Self { pause, ..self }
    }

    pub(super) fn class(self, class: FindingClass) -> Self {
        Self { class, ..self }
    }

    fn standing(&self) -> Standing {
        let Self { trail, pause, size, severity, .. } = *self;
        Standing { first: trail.first, last: trail.last, pause, size, severity }
    }
}

/// The sentences of a finding.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) title: [String; 2],
    pub(super) reasons: Vec<[String; 2]>,
    /// More targets than the one of the key.
    pub(super) targets: Vec<IpAddr>,
    /// A name on the Internet that it is about.
    pub(super) name: Option<String>,
    pub(super) attacks: Vec<Attack>,
}

impl Words {
    pub(super) fn new(title: [String; 2], attacks: Vec<Attack>) -> Self {
        Self { title, attacks, ..Self::default() }
    }

    pub(super) fn because(mut self, en: String, ja: String) -> Self {
        self.reasons.push([en, ja]);
        self
    }

    pub(super) fn because_if(self, holds: bool, en: &str, ja: &str) -> Self {
        if holds { self.because(en.to_owned(), ja.to_owned()) } else { self }
    }

    /// What is no name of a host (RFC 952, with the underscores that occur) is left out.
    pub(super) fn name(self, name: &str) -> Self {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = !name.is_empty() && name.len() <= 253 && name.bytes().all(fits);
        Self { name: is_name.then(|| name.to_ascii_lowercase()), ..self }
    }

    pub(super) fn targets(self, targets: Vec<IpAddr>) -> Self {
        Self { targets, ..self }
    }
}

/// Where detectors say it.
pub(crate) struct Tell<'a> {
    pub(super) rules: &'a Rules,
    pub(super) episodes: &'a mut Episodes,
    pub(super) out: &'a mut Vec<Finding>,
}

impl Tell<'_> {
    /// Says it, unless it was said in this episode and is hardly larger since. `words` is called only when it is said.
    pub(super) fn say(&mut self, saying: Saying, words: impl FnOnce() -> Words) {
        if self.rules.is_exempt(saying.entry.id, saying.actor, saying.target) {
            return;
        }
        let key = key_of(&saying);
        let Some(began) = self.episodes.tell(key, saying.standing()) else {
            return;
        };
        let uid = format!("net-{:016x}", fnv(&[&key.to_le_bytes(), &began.to_le_bytes()]));
        self.out.push(finding(&saying, words(), uid, self.rules));
    }
}

fn key_of(saying: &Saying) -> u64 {
    let target = saying.target.map(|target| target.to_string()).unwrap_or_default();
    let actor = saying.actor.to_string();
    fnv(&[saying.entry.id.as_bytes(), actor.as_bytes(), target.as_bytes(), &saying.about.to_le_bytes()])
}

fn finding(saying: &Saying, words: Words, uid: String, rules: &Rules) -> Finding {
    let address = |role, address| Subject { role, entity: Entity::Address { address } };
    let mut subjects = Vec::new();
    if !saying.actor.is_unspecified() {
        subjects.push(address(saying.role, saying.actor));
    }
    for target in saying.target.into_iter().chain(words.targets) {
        let subject = address(SubjectRole::Target, target);
        if subjects.len() < SUBJECTS_MAX && !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    if let Some(name) = words.name {
        subjects.push(Subject { role: SubjectRole::Target, entity: Entity::Host { name } });
    }
    let (mut reasons, mut reasons_ja) = (Vec::new(), Vec::new());
    for [en, ja] in words.reasons {
        reasons.push(en);
        reasons_ja.push(ja);
    }
    let [en, ja] = place_in_capture(&saying.trail, rules);
    reasons.push(en);
    reasons_ja.push(ja);
    let [title, title_ja] = words.title;
    Finding {
        time: timestamp(saying.trail.last),
        class: saying.class,
        detector: saying.entry.id.to_owned(),
        title,
        title_ja,
        severity_id: saying.severity,
        attacks: words.attacks,
        actor: if saying.role == SubjectRole::Actor { saying.actor.to_string() } else { String::new() },
        reasons,
        reasons_ja,
        uid,
        subjects,
    }
}

/// Packet numbers and times, in the hospital's zone.
fn place_in_capture(trail: &Trail, rules: &Rules) -> [String; 2] {
    let local = |at| timestamp(at).to_zoned(rules.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
    let (first, last) = (local(trail.first), local(trail.last));
    if trail.first_packet == trail.last_packet {
        let packet = trail.last_packet;
        return [format!("Packet {packet}, {last}"), format!("パケット{packet}番（{last}）")];
    }
    let (from, to) = (trail.first_packet, trail.last_packet);
    [
        format!("Packets {from} to {to}, {first} to {last}"),
        format!("パケット{from}番から{to}番（{first}～{last}）"),
    ]
}

/// A span of time in words.
pub(super) fn span(micros: Micros, lang: Lang) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..120 => lang.pick(format!("{seconds} s"), format!("{seconds}秒")),
        120..7200 => lang.pick(format!("{} min", seconds / 60), format!("{}分", seconds / 60)),
        _ => lang.pick(format!("{} h", seconds / 3600), format!("{}時間", seconds / 3600)),
    }
}

/// Addresses in a row, the first of many.
pub(super) fn listed(addresses: &[IpAddr], lang: Lang) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = addresses.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = addresses.len().saturating_sub(SHOWN);
    let text = shown.join(lang.pick(", ", "、"));
    if more == 0 { text } else { text + &lang.pick(format!(" and {more} more"), format!("ほか{more}台")) }
}
