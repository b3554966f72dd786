//! How a detector says something: once for each episode, again when it has grown or become worse, always with what it rests on.

use schema::{Attack, Entity, Finding, FindingClass, Lang, Micros, Severity, Subject, SubjectRole};

use super::marks::Trail;
use super::rules::Rules;
use super::view::{DAY, Key, Source, View, joined, kept};
use crate::Entry;
use crate::episodes::Standing;
pub(super) use crate::episodes::{Episodes, attack, timestamp};

const SUBJECTS_MAX: usize = 16;

/// What a detector has to say, before anybody writes a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saying {
    pub(super) entry: &'static Entry,
    /// What tells it from others of the same detector.
    pub(super) about: Key,
    pub(super) severity: Severity,
    pub(super) size: u64,
    pub(super) trail: Trail,
    /// Silence of this long ends the episode.
    pub(super) pause: Micros,
    pub(super) class: FindingClass,
}

impl Saying {
    pub(super) fn new(entry: &'static Entry, about: &[Key], trail: Trail) -> Self {
        Self {
            entry,
            about: joined(about),
            severity: Severity::Medium,
            size: trail.count,
            trail,
            pause: DAY,
            class: FindingClass::Detection,
        }
    }

    pub(super) fn severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// About exactly that.
    pub(super) fn of(self, trail: Trail) -> Self {
        Self { size: trail.count, trail, ..self }
    }

    /// It is told once, however long it goes on.
    pub(super) fn once(self) -> Self {
        Self { size: 1, pause: 30 * DAY, ..self }
    }

    pub(super) fn class(self, class: FindingClass) -> Self {
        Self { class, ..self }
    }

    /// What tells its episodes apart.
    fn key(&self) -> Key {
        joined(&[key_of_id(self.entry.id), self.about])
    }

    fn standing(&self) -> Standing {
        let Self { trail, pause, size, severity, .. } = *self;
        Standing { first: trail.first, last: trail.last, pause, size, severity }
    }
}

/// The sentences of a finding, and whom it names.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    title: [String; 2],
    reasons: Vec<[String; 2]>,
    subjects: Vec<Subject>,
    actor: String,
    attacks: Vec<Attack>,
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

    fn with(mut self, role: SubjectRole, entity: Entity) -> Self {
        let subject = Subject { role, entity };
        if self.subjects.len() < SUBJECTS_MAX && !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
        self
    }

    /// Who did it, by where it came from.
    pub(super) fn from(mut self, source: Option<&Source>) -> Self {
        let Some(source) = source else { return self };
        if self.actor.is_empty() {
            self.actor = source.to_string();
        }
        let entity = match source {
            Source::Address(address) => Entity::Address { address: *address },
            Source::Workstation(name) => Entity::Host { name: name.to_string() },
        };
        self.with(SubjectRole::Actor, entity)
    }

    /// Where it came from, without blame.
    pub(super) fn seen_from(self, source: Option<&Source>) -> Self {
        match source {
            Some(Source::Address(address)) => {
                self.with(SubjectRole::Target, Entity::Address { address: *address })
            }
            Some(Source::Workstation(name)) => {
                self.with(SubjectRole::Target, Entity::Host { name: name.to_string() })
            }
            None => self,
        }
    }

    /// Who did it, by account.
    pub(super) fn by(mut self, account: Option<&str>) -> Self {
        let Some(account) = account else { return self };
        if self.actor.is_empty() {
            self.actor = kept(account).into();
        }
        self.with(SubjectRole::Actor, Entity::Account { name: kept(account).into() })
    }

    /// The account that it was done to.
    pub(super) fn on_account(self, account: Option<&str>) -> Self {
        match account {
            Some(account) => self.with(SubjectRole::Target, Entity::Account { name: kept(account).into() }),
            None => self,
        }
    }

    /// The machine that it was done to.
    pub(super) fn at(self, host: &str) -> Self {
        if host.is_empty() {
            return self;
        }
        let entity = match host.parse() {
            Ok(address) => Entity::Address { address },
            Err(_) => Entity::Host { name: kept(host).into() },
        };
        self.with(SubjectRole::Target, entity)
    }
}

/// A detector's id, eight letters at a time.
fn key_of_id(id: &str) -> Key {
    id.as_bytes().chunks(8).fold(id.len() as u64, |hash, letters| {
        let mut bytes = [0; 8];
        bytes[..letters.len()].copy_from_slice(letters);
        joined(&[hash, u64::from_le_bytes(bytes)])
    })
}

/// Where detectors say it.
pub(crate) struct Tell<'a> {
    pub(super) rules: &'a Rules,
    pub(super) episodes: &'a mut Episodes,
    pub(super) out: &'a mut Vec<Finding>,
}

impl Tell<'_> {
    /// Whether it was said and has hardly grown, so that nothing is to be said. The saying may be larger and begin later than what it is
    /// about: it costs less to ask this than to count.
    pub(super) fn goes_on(&mut self, saying: &Saying) -> bool {
        self.episodes.goes_on(saying.key(), saying.standing())
    }

    /// Says it, unless it was said in this episode and is hardly larger since. `words` is called only when it is said. Whether somebody
    /// should know of it: not what the rules exempt.
    pub(super) fn say(&mut self, view: &View<'_>, saying: Saying, words: impl FnOnce() -> Words) -> bool {
        let (account, address) = (view.account_name(), view.address());
        if self.rules.is_exempt(saying.entry.id, account, address, view.event.host) {
            return false;
        }
        let about = saying.key();
        let Some(began) = self.episodes.tell(about, saying.standing()) else {
            return true;
        };
        let uid = format!("login-{:016x}", joined(&[about, began.cast_unsigned()]));
        self.out.push(finding(&saying, words(), uid, self.rules));
        true
    }
}

fn finding(saying: &Saying, words: Words, uid: String, rules: &Rules) -> Finding {
    let (mut reasons, mut reasons_ja) = (Vec::new(), Vec::new());
    for [en, ja] in words.reasons.into_iter().chain([when(&saying.trail, rules)]) {
        reasons.push(en);
        reasons_ja.push(ja);
    }
    let [title, title_ja] = words.title;
    Finding {
        time: timestamp(saying.trail.last),
        class: saying.class,
        detector: saying.entry.id.to_owned(),
        title,
        title_ja,
        severity_id: saying.severity,
        attacks: words.attacks,
        actor: words.actor,
        reasons,
        reasons_ja,
        uid,
        subjects: words.subjects,
    }
}

/// Times in the hospital's zone.
fn when(trail: &Trail, rules: &Rules) -> [String; 2] {
    let (first, last) = (local(trail.first, rules), local(trail.last, rules));
    if first == last {
        return [format!("At {last}"), format!("時刻：{last}")];
    }
    [format!("From {first} to {last}"), format!("期間：{first}～{last}")]
}

pub(super) fn local(at: Micros, rules: &Rules) -> String {
    timestamp(at).to_zoned(rules.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A span of time in words.
pub(super) fn span(micros: Micros, lang: Lang) -> String {
    let seconds = micros.max(0) / 1_000_000;
    match seconds {
        0..120 => lang.pick(format!("{seconds} s"), format!("{seconds}秒")),
        120..7200 => lang.pick(format!("{} min", seconds / 60), format!("{}分", seconds / 60)),
        7200..172_800 => lang.pick(format!("{} h", seconds / 3600), format!("{}時間", seconds / 3600)),
        _ => lang.pick(format!("{} days", seconds / 86_400), format!("{}日", seconds / 86_400)),
    }
}

/// An account in a sentence.
pub(super) fn account_words(account: Option<&str>) -> [String; 2] {
    match account {
        Some(account) => [kept(account).into(), kept(account).into()],
        None => ["an account that the log does not name".into(), "ログに名前のないアカウント".into()],
    }
}

/// A machine in a sentence.
pub(super) fn host_words(host: &str) -> [String; 2] {
    if host.is_empty() {
        return ["a machine that the log does not name".into(), "ログに名前のない機械".into()];
    }
    [kept(host).into(), kept(host).into()]
}

/// Where somebody came from, in a sentence.
pub(super) fn source_words(source: Option<&Source>) -> [String; 2] {
    match source {
        Some(source) => [source.to_string(), source.to_string()],
        None => ["a place that the log does not name".into(), "ログに記録のない接続元".into()],
    }
}
