//! The report that ends the week in which a reconnected host was watched.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use prove::Report;
use prove::state::{Asset, IncidentFilter};
use schema::{Effect, Entity, Incident, IncidentReport, Moment, Stage, WatcherClass};

use super::core::Core;
use super::report::class_in_words;

/// Incidents of a week that are told; a hospital with more has other worries than this report.
const INCIDENTS_MAX: u32 = 1_000;

impl Core {
    /// Writes the report below the state folder and tells the ledger.
    pub(super) fn write_week(&mut self, asset: &Asset, now: Timestamp) -> anyhow::Result<()> {
        let all = self.state.incidents(&IncidentFilter::default(), INCIDENTS_MAX, None)?;
        let named: Vec<Incident> = all
            .into_iter()
            .filter(|incident| incident.last_at >= asset.since && names(incident, asset))
            .collect();
        let report = self.week(asset, &named, now);
        let day = now.to_zoned(TimeZone::system()).strftime("%Y%m%d").to_string();
        let folder: String =
            asset.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let to = self.folder.join("reports").join(format!("reconnected-{folder}-{day}"));
        let mut page = Report::new(&report, now).zone(TimeZone::system()).ledger(self.ledger.head()?);
        page = page.japanese(report.title.clone(), format!("{} を再接続してからの1週間", asset.name));
        for class in WatcherClass::ALL {
            let of = |lang| class_in_words(class, lang).to_owned();
            page = page.japanese(of(schema::Lang::En), of(schema::Lang::Ja));
        }
        let written = page.write(&to)?;
        self.facts.push(written.fact());
        self.keep();
        Ok(())
    }

    fn week(&self, asset: &Asset, named: &[Incident], now: Timestamp) -> IncidentReport {
        let watching = &self.correlator.settings().watching;
        let words = |is_watched: bool| {
            let classes =
                WatcherClass::ALL.into_iter().filter(|class| watching.contains(class) == is_watched);
            classes.map(|class| class_in_words(class, schema::Lang::En).to_owned()).collect()
        };
        let mut timeline = vec![Moment {
            at: asset.since,
            stage: Stage::Restore,
            en: format!("{} was connected again.", asset.name),
            ja: format!("{} を再接続しました。", asset.name),
        }];
        timeline.extend(named.iter().map(|incident| Moment {
            at: incident.first_at.max(asset.since),
            stage: Stage::Detect,
            en: format!("{}: {} ({} findings)", incident.id, incident.title, incident.findings),
            ja: format!("{}: {}（{} 件）", incident.id, incident.title_ja, incident.findings),
        }));
        timeline.push(Moment {
            at: now,
            stage: Stage::Prove,
            en: format!("The week is over: {} incidents named {}.", named.len(), asset.name),
            ja: format!(
                "1週間が終わりました。{} に関するインシデントは {} 件です。",
                asset.name,
                named.len()
            ),
        });
        IncidentReport {
            title: format!("One week after {} was reconnected", asset.name),
            synthetic: None,
            timeline,
            findings: named.iter().flat_map(|incident| incident.samples.iter().cloned()).take(64).collect(),
            effect: Effect::default(),
            proof: self.state.newest_proof().ok().flatten(),
            observed: words(true),
            not_observed: words(false),
        }
    }
}

fn names(incident: &Incident, asset: &Asset) -> bool {
    incident.subjects.iter().any(|(subject, _)| match &subject.entity {
        Entity::Host { name } => *name == asset.name,
        Entity::Address { address } => Some(*address) == asset.address,
        _ => false,
    })
}
