//! Tells the rehearsal while it goes on, and remembers it for the report.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;
use schema::{Moment, Stage};
use serde_json::json;

use crate::output::Output;

/// What happened so far, told as it happens.
pub(crate) struct Narrator {
    output: Output,
    lang: Lang,
    timeline: Vec<Moment>,
}

impl Narrator {
    pub(crate) fn new(output: Output, lang: Lang) -> Narrator {
        Narrator { output, lang, timeline: Vec::new() }
    }

    /// Tells what happened just now.
    pub(crate) fn tell(
        &mut self,
        stage: Stage,
        en: impl Into<String>,
        ja: impl Into<String>,
    ) -> anyhow::Result<()> {
        self.tell_at(Timestamp::now(), stage, en, ja)
    }

    /// Tells what happened at `at`.
    pub(crate) fn tell_at(
        &mut self,
        at: Timestamp,
        stage: Stage,
        en: impl Into<String>,
        ja: impl Into<String>,
    ) -> anyhow::Result<()> {
        let moment = Moment { at, stage, en: en.into(), ja: ja.into() };
        self.output.line(
            &json!({ "type": "step", "at": at, "stage": stage, "text": moment.en, "text_ja": moment.ja }),
        )?;
        let text = if self.lang == Lang::Ja { &moment.ja } else { &moment.en };
        let clock = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
        self.output.say(format_args!("{clock}  {text}"));
        self.timeline.push(moment);
        Ok(())
    }

    /// What was told of these parts of the story.
    pub(crate) fn told_of<'n>(&'n self, stages: &'n [Stage]) -> impl Iterator<Item = &'n Moment> {
        self.timeline.iter().filter(|moment| stages.contains(&moment.stage))
    }

    /// Everything told, in order of time.
    pub(crate) fn into_timeline(mut self) -> Vec<Moment> {
        self.timeline.sort_by_key(|moment| moment.at);
        self.timeline
    }
}
