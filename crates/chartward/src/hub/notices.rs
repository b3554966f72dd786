//! Notices as they stand in the outbox.

use act::notify::Notice;
use jiff::Timestamp;
use schema::{Act, Countermeasure, Incident, IncidentId, Lang, Severity};
use serde::{Deserialize, Serialize};

use super::core::Core;

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
        let lang = self.rules.channels.get(channel).copied().unwrap_or(Lang::Ja);
        let notice = queued(measure, about, lang);
        self.pending.notices.push_back((channel.clone(), notice, measure.incident));
    }
}

fn queued(measure: &Countermeasure, incident: Option<&Incident>, lang: Lang) -> Queued {
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
        severity_id: incident.map_or(Severity::Informational, |incident| incident.severity_id),
        title: about(|incident| &incident.title, &measure.because),
        title_ja: about(|incident| &incident.title_ja, &measure.because_ja),
        body: format!("{}\n{}", measure.because, story(Lang::En)),
        body_ja: format!("{}\n{}", measure.because_ja, story(Lang::Ja)),
        at: measure.planned_at,
        lang,
    }
}
