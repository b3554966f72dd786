//! Notices as they stand in the outbox.

use act::notify::Notice;
use jiff::{SignedDuration, Timestamp};
use schema::{Act, Countermeasure, CountermeasureState, Incident, IncidentId, Lang, Severity};
use serde::{Deserialize, Serialize};

use super::core::Core;

/// A notice of the hub's own needs nobody's approval; the outbox says when it gives up.
const DEADLINE: SignedDuration = SignedDuration::from_mins(15);

/// A notice in the outbox, with the countermeasure that it carries out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Queued {
    pub(super) countermeasure: schema::CountermeasureId,
    pub(super) severity_id: Severity,
    pub(super) title: String,
    pub(super) title_ja: String,
    pub(super) body: String,
    pub(super) body_ja: String,
    pub(super) at: Timestamp,
    pub(super) lang: Lang,
}

impl Queued {
    pub(super) fn notice(self, incident: Option<IncidentId>) -> Notice {
        let Queued { severity_id, title, title_ja, body, body_ja, at, lang, .. } = self;
        Notice { incident, severity_id, title, title_ja, body, body_ja, at, lang }
    }
}

impl Core {
    /// Puts the notice of a countermeasure into the outbox.
    pub(super) fn queue_notice(&mut self, measure: &Countermeasure) {
        let Act::Notify { channel } = &measure.act else { return };
        let about = measure.incident.and_then(|id| self.correlator.incident(id));
        let severity = about.map_or(Severity::Informational, |incident| incident.severity_id);
        let notice = queued(measure, about, severity, self.lang_of(channel));
        self.pending.notices.push_back((channel.clone(), notice, measure.incident));
    }

    /// Tells everybody who wants to hear of something so bad, without a playbook: it is the hub itself that is in trouble.
    pub(super) fn tell_everybody(&mut self, severity: Severity, en: &str, ja: &str) {
        let now = Timestamp::now();
        let told = self.rules.channels.iter().filter(|(_, (_, least))| *least <= severity);
        for channel in told.map(|(channel, _)| channel.clone()).collect::<Vec<_>>() {
            let measure = Countermeasure {
                id: self.book.number(),
                incident: None,
                caused_by: None,
                because: en.to_owned(),
                because_ja: ja.to_owned(),
                planned_at: now,
                deadline: now.checked_add(DEADLINE).unwrap_or(Timestamp::MAX),
                lasts_seconds: None,
                state: CountermeasureState::Approved,
                approved_by: Some("the hub".to_owned()),
                applied_at: None,
                undone_at: None,
                detail: String::new(),
                act: Act::Notify { channel: channel.clone() },
            };
            self.note(&measure, None);
            let notice = queued(&measure, None, severity, self.lang_of(&channel));
            self.pending.notices.push_back((channel, notice, None));
        }
    }

    /// Whether those behind a channel want to hear of something so bad.
    pub(super) fn is_told_of(&self, channel: &str, severity: Severity) -> bool {
        self.rules.channels.get(channel).is_none_or(|(_, least)| *least <= severity)
    }

    fn lang_of(&self, channel: &str) -> Lang {
        self.rules.channels.get(channel).map_or(Lang::Ja, |(lang, _)| *lang)
    }
}

fn queued(
    measure: &Countermeasure,
    incident: Option<&Incident>,
    severity_id: Severity,
    lang: Lang,
) -> Queued {
    let story = |lang: Lang| {
        let chapters = incident.into_iter().flat_map(|incident| &incident.story);
        let lines: Vec<String> = chapters
            .map(|chapter| {
                let tactic = chapter.tactic.map_or("", |tactic| tactic.name(lang));
                format!("- {tactic}: {} ({})", lang.pick(&chapter.en, &chapter.ja), chapter.findings)
            })
            .collect();
        lines.join("\n")
    };
    let about = |text: fn(&Incident) -> &str, otherwise: &str| {
        incident
            .map_or_else(|| otherwise.to_owned(), |incident| format!("{} {}", incident.id, text(incident)))
    };
    Queued {
        countermeasure: measure.id,
        severity_id,
        title: about(|incident| &incident.title, &measure.because),
        title_ja: about(|incident| &incident.title_ja, &measure.because_ja),
        body: format!("{}\n{}", measure.because, story(Lang::En)),
        body_ja: format!("{}\n{}", measure.because_ja, story(Lang::Ja)),
        at: measure.planned_at,
        lang,
    }
}
