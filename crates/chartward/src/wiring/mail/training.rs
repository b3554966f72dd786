//! What the staff may learn from a week's quarantine: how much was held back for which department, and the lures themselves with nothing
//! to click on. Nobody's name, address or number is in it.

pub(crate) mod departments;
mod group;
mod mask;
pub(crate) mod notice;
pub(crate) mod span;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use judge::lookalike::{Brands, Lookalikes};
use observe::mail::quarantine::{Kept, Store, Tagged};
use schema::MailVerdict;
use serde::Serialize;

use departments::Departments;
use group::{Brand, Groups};
use span::Span;

/// As many lures fit a page.
const LURES_MAX: usize = 5;
/// Links, and reasons, of one lure.
const LINKS_MAX: usize = 2;
const REASONS_MAX: usize = 3;

/// What a notice needs of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Training {
    pub(crate) departments: Departments,
    /// Whom the staff may call; empty where nobody is named.
    pub(crate) contact: String,
    pub(crate) hospital: String,
    pub(crate) zone: TimeZone,
}

impl Training {
    pub(crate) fn new(config: &crate::config::Config) -> Self {
        let mail = config.mail.clone().unwrap_or_default();
        Self {
            departments: Departments::new(&mail.departments),
            contact: mail.contact,
            hospital: config.hospital.clone(),
            zone: config.zone(),
        }
    }
}

/// How many mails there were of each sort. Those that a person released count only as that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) malicious: u32,
    pub(crate) phishing: u32,
    pub(crate) suspicious: u32,
    pub(crate) unreadable: u32,
    /// False alarms.
    pub(crate) released: u32,
    /// Delivered with a mark, whatever they were.
    pub(crate) tagged: u32,
}

impl Counts {
    fn add(&mut self, kept: &Kept) {
        let count = match kept.entry.verdict {
            _ if !kept.done.is_empty() => &mut self.released,
            MailVerdict::Malicious => &mut self.malicious,
            MailVerdict::Phishing => &mut self.phishing,
            MailVerdict::Suspicious => &mut self.suspicious,
            MailVerdict::Unreadable | MailVerdict::Clean => &mut self.unreadable,
        };
        *count = count.saturating_add(1);
    }

    /// Those that stayed in the quarantine.
    pub(crate) fn held(self) -> u32 {
        let Self { malicious, phishing, suspicious, unreadable, .. } = self;
        [malicious, phishing, suspicious, unreadable].into_iter().fold(0, u32::saturating_add)
    }

    fn is_empty(self) -> bool {
        self == Self::default()
    }

    fn plus(self, other: Self) -> Self {
        Self {
            malicious: self.malicious.saturating_add(other.malicious),
            phishing: self.phishing.saturating_add(other.phishing),
            suspicious: self.suspicious.saturating_add(other.suspicious),
            unreadable: self.unreadable.saturating_add(other.unreadable),
            released: self.released.saturating_add(other.released),
            tagged: self.tagged.saturating_add(other.tagged),
        }
    }
}

/// The mails for a department: each of its recipients has one of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Department {
    /// `None`: recipients of no department.
    pub(crate) name: Option<String>,
    #[serde(flatten)]
    pub(crate) counts: Counts,
}

/// In both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Both {
    pub(crate) en: String,
    pub(crate) ja: String,
}

/// A mail, or many that say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Lure {
    pub(crate) subject: String,
    pub(crate) verdict: MailVerdict,
    /// Whose name it uses.
    pub(crate) posing_as: Option<Both>,
    /// Display name and address.
    pub(crate) from: String,
    /// `hxxps://host[.]tld/…`.
    pub(crate) links: Vec<String>,
    /// The heaviest first.
    pub(crate) why: Vec<Both>,
    /// How many mails.
    pub(crate) seen: u32,
}

/// What there is to tell of some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Week {
    /// `2026-W47`; `None` for other days than a week's.
    pub(crate) week: Option<String>,
    /// The first day.
    pub(crate) from: String,
    /// The last day.
    pub(crate) to: String,
    /// Whether the days are not over yet.
    pub(crate) unfinished: bool,
    /// Mails, each once.
    pub(crate) mails: Counts,
    /// The most first.
    pub(crate) departments: Vec<Department>,
    /// The most frequent first.
    pub(crate) lures: Vec<Lure>,
    /// Sorts of lures that there were besides.
    pub(crate) other_lures: usize,
}

/// Reads what there is to tell; without a quarantine nothing was held back.
pub(crate) fn week(
    store: Option<&Store>,
    span: &Span,
    training: &Training,
    now: Timestamp,
) -> anyhow::Result<Week> {
    let (from, until) = span.limits(&training.zone)?;
    let mut tally = Tally::new(training);
    if let Some(store) = store {
        store.each(from, until, |kept| tally.add(kept))?;
        store.each_tagged(from, until, |it| tally.add_tagged(it))?;
    }
    let groups = tally.groups.most_seen();
    let lookalikes = Lookalikes::new(&Brands::builtin());
    let lures = groups.iter().take(LURES_MAX).map(|group| {
        // One that was forgotten meanwhile is told by what is known of it.
        let message = store.and_then(|store| store.read(&group.id).ok()).map(|(_, message)| message);
        group.lure(&lookalikes, message.as_deref())
    });
    Ok(Week {
        week: span.name(),
        from: span.first.to_string(),
        to: span.last.to_string(),
        unfinished: now < until,
        lures: lures.collect(),
        other_lures: groups.len().saturating_sub(LURES_MAX),
        mails: tally.mails,
        departments: tally.departments(),
    })
}

/// Counts mails one after another.
struct Tally<'a> {
    departments: &'a Departments,
    mails: Counts,
    /// As the departments' names, and one more for the others.
    by_department: Vec<Counts>,
    groups: Groups,
}

impl<'a> Tally<'a> {
    fn new(training: &'a Training) -> Self {
        let departments = &training.departments;
        let by_department = vec![Counts::default(); departments.names().len() + 1];
        Self {
            departments,
            mails: Counts::default(),
            by_department,
            groups: Groups::new(Brand::all(&training.hospital)),
        }
    }

    fn add(&mut self, kept: &Kept) {
        self.mails.add(kept);
        for to in &kept.entry.envelope.to {
            let place = self.departments.of(to).unwrap_or(self.departments.names().len());
            self.by_department.iter_mut().skip(place).take(1).for_each(|counts| counts.add(kept));
        }
        if kept.done.is_empty() {
            self.groups.add(&kept.entry);
        }
    }

    /// One that was delivered: nobody knows whether anybody believed it, so it is no lure to learn from.
    fn add_tagged(&mut self, tagged: &Tagged) {
        let one = Counts { tagged: 1, ..Counts::default() };
        self.mails = self.mails.plus(one);
        for to in &tagged.to {
            let place = self.departments.of(to).unwrap_or(self.departments.names().len());
            let counts = self.by_department.iter_mut().skip(place).take(1);
            counts.for_each(|counts| *counts = counts.plus(one));
        }
    }

    /// All that the configuration names, and the others where there are any.
    fn departments(&self) -> Vec<Department> {
        let names = self.departments.names().iter().cloned().map(Some).chain([None]);
        let all = names.zip(&self.by_department).map(|(name, counts)| Department { name, counts: *counts });
        let mut all: Vec<_> = all.filter(|it| it.name.is_some() || !it.counts.is_empty()).collect();
        all.sort_by_key(|it| (it.name.is_none(), std::cmp::Reverse(it.counts.held())));
        all
    }
}
