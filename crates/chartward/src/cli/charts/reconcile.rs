//! `chartward charts reconcile`: what was written during the downtime beside what the restored EMR has, decided by people.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::charts::Chart;
use recover::charts::words::minute;
use recover::downtime::export::{Export, Format, accepted};
use recover::downtime::reconcile::{
    Act, Choice, Decision, DecisionLog, Decisions, Line, Pile, State, Subject, may, piles, view,
};
use recover::downtime::{Findings, Journal, NoteId, Notes};
use schema::{Lang, PatientId};
use serde_json::json;

use super::notes::{NotesArgs, say_findings};
use super::{FromArgs, Reading};
use crate::output::{Output, printable, printable_lines};
use crate::viewer::notes::Key;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    notes: NotesArgs,
    #[command(flatten)]
    from: FromArgs,
}

#[derive(clap::Args)]
struct Doing {
    /// Who decides
    #[arg(long, value_name = "NAME")]
    by: String,
    #[command(flatten)]
    common: Common,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List patients with notes, and how many are not decided on
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Show one patient's notes beside what the EMR has
    Show {
        /// Patient id, or a downtime number
        subject: String,
        #[command(flatten)]
        common: Common,
    },
    /// Decide on one note
    Decide {
        /// The note's id, as `show` prints it
        note: String,
        /// take_note, keep_emr, both or reject
        #[arg(value_parser = choice)]
        choice: Choice,
        /// Why it was decided so; must be given to reject
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        doing: Doing,
    },
    /// Confirm all notes of a patient that the EMR has in everything
    Confirm {
        /// Patient id, or a downtime number
        subject: String,
        #[command(flatten)]
        doing: Doing,
    },
    /// Say whose notes these are
    Assign {
        /// The notes' ids, or a downtime number for all of its notes
        #[arg(required = true, value_name = "NOTE")]
        which: Vec<String>,
        /// The right patient's id
        #[arg(long, value_name = "ID")]
        to: String,
        /// The id was made after the downtime, and these charts do not have it yet
        #[arg(long)]
        new: bool,
        /// How that is known
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        doing: Doing,
    },
    /// Take a decision back
    Undo {
        /// The decision's id, as `log` prints it
        decision: String,
        /// Why the decision is taken back
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
        #[command(flatten)]
        doing: Doing,
    },
    /// Write what was taken as files for the EMR
    Export {
        /// A new or empty folder
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// hl7, ssmix2, fhir, pdf
        #[arg(long, value_delimiter = ',', default_value = "hl7,ssmix2,fhir,pdf", value_parser = format)]
        format: Vec<Format>,
        /// Also what was exported before
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        doing: Doing,
    },
    /// Print who decided what and when, and whether the log is whole
    Log {
        #[command(flatten)]
        common: Common,
    },
}

fn choice(text: &str) -> Result<Choice, String> {
    Choice::of_tag(text).ok_or_else(|| format!("{text} is none of take_note, keep_emr, both, reject"))
}

fn format(text: &str) -> Result<Format, String> {
    Format::of_tag(text).ok_or_else(|| format!("{text} is none of hl7, ssmix2, fhir, pdf"))
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::List { common } => list(common),
        Command::Log { common } => log(common),
        Command::Show { subject, common } => with(common, |desk| desk.show(&subject)),
        Command::Decide { note, choice, reason, doing } => with(doing.common, |desk| {
            let line = desk.line(&note)?;
            let patient = line.target.clone().unwrap_or(PatientId(String::new()));
            desk.act(Act::Decide { seen: line.seen(), patient, choice, reason }, &[line], &doing.by)
        }),
        Command::Confirm { subject, doing } => with(doing.common, |desk| desk.confirm(&subject, &doing.by)),
        Command::Assign { which, to, new, reason, doing } => with(doing.common, |desk| {
            let lines = desk.named(&which)?;
            let notes = lines.iter().map(|line| line.kept.note.id.clone()).collect();
            let act = Act::Assign { notes, to: PatientId(to), is_new: new, reason };
            desk.act(act, &lines, &doing.by)
        }),
        Command::Undo { decision, reason, doing } => {
            with(doing.common, |desk| desk.act(Act::Undo { decision, reason }, &[], &doing.by))
        }
        Command::Export { to, format, again, doing } => {
            with(doing.common, |desk| desk.export(&to, &format.into_iter().collect(), again, &doing.by))
        }
    }
}

/// Everything that a command looks at.
struct Desk<'a> {
    reading: Reading<'a>,
    notes: Notes,
    decisions: Decisions,
    path: PathBuf,
    key: Key,
}

fn journals(
    args: &NotesArgs,
    lang: Lang,
    output: Output,
) -> anyhow::Result<(Notes, Decisions, PathBuf, Key, bool)> {
    let path = args.path()?;
    let key = args.key(&path)?;
    let (notes, findings) = Journal::read(&path, key.secret())?;
    say_findings(&findings, lang, output);
    let log = DecisionLog::beside(&path);
    let (decisions, found): (Decisions, Findings) =
        if log.exists() { DecisionLog::read(&log, key.secret())? } else { Default::default() };
    say_findings(&found, lang, output);
    let is_whole = findings.damage.is_empty() && found.damage.is_empty();
    Ok((notes, decisions, path, key, is_whole))
}

fn with(
    common: Common,
    command: impl FnOnce(&Desk<'_>) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let Common { notes: args, from } = common;
    super::with_records(from, |reading| {
        let (notes, decisions, path, key, _) = journals(&args, reading.lang, reading.output)?;
        command(&Desk { reading, notes, decisions, path, key })
    })
}

fn list(common: Common) -> anyhow::Result<ExitCode> {
    let (lang, output) = (common.from.lang.lang(), Output::new(common.from.json));
    let (notes, decisions, _, _, is_whole) = journals(&common.notes, lang, output)?;
    let piles = piles(&notes, &decisions);
    let mut left = 0;
    for pile in &piles {
        let Pile { subject, name, notes, decided, to_export } = pile;
        left += notes - decided;
        output.line(&json!({"type": "patient", "pile": pile}))?;
        if output == Output::People {
            let who = printable(&format!("{} {name}", title(subject)));
            output.say(lang.pick(
                format!(
                    "{who}: {notes} notes, {} not decided on, {to_export} to be exported",
                    notes - decided
                ),
                format!("{who}: 記録 {notes} 件、未確認 {} 件、書き出し待ち {to_export} 件", notes - decided),
            ));
        }
    }
    output.line(
        &json!({"type": "summary", "patients": piles.len(), "not_decided": left, "is_whole": is_whole}),
    )?;
    Ok(if left == 0 && is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn title(subject: &Subject) -> &str {
    match subject {
        Subject::Patient(id) => &id.0,
        Subject::Number(number) => number,
    }
}

fn log(common: Common) -> anyhow::Result<ExitCode> {
    let (lang, output) = (common.from.lang.lang(), Output::new(common.from.json));
    let (_, decisions, _, _, is_whole) = journals(&common.notes, lang, output)?;
    for decision in decisions.all() {
        let is_undone = decisions.is_undone(decision);
        output.line(&json!({"type": "decision", "is_undone": is_undone, "decision": decision}))?;
        if output == Output::People {
            let Decision { id, at, by, act } = decision;
            let undone = if is_undone { lang.pick(" (taken back)", "（取り消し済み）") } else { "" };
            let act = serde_json::to_string(act)?;
            output.say(printable_lines(&format!("{at} {by} {id}{undone} {act}")));
        }
    }
    output.line(&json!({"type": "summary", "decisions": decisions.all().len(), "is_whole": is_whole}))?;
    output.say(if is_whole {
        lang.pick("the journals are whole", "記録簿と履歴に欠落や書き換えはありません")
    } else {
        lang.pick("the journals are DAMAGED (see above)", "記録簿または履歴が壊れています（上記）")
    });
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Desk<'_> {
    fn chart(&self, id: &PatientId) -> Option<Chart> {
        self.reading.charts.chart(id, self.reading.basis.as_of)
    }

    fn lines(&self, subject: &Subject) -> Vec<Line> {
        view(&self.notes, &self.decisions, subject, |id| self.chart(id), self.reading.lang)
    }

    /// A patient id or a downtime number, whichever has notes.
    fn subject(&self, text: &str) -> anyhow::Result<Subject> {
        let candidates = [Subject::Patient(PatientId(text.to_owned())), Subject::Number(text.to_owned())];
        let has_notes = |subject: &Subject| self.notes.all().iter().any(|kept| Subject::of(kept) == *subject);
        candidates
            .into_iter()
            .find(has_notes)
            .with_context(|| format!("there are no notes about {}", printable(text)))
    }

    /// The line of one note, by its id or the unmistakable beginning of it.
    fn line(&self, id: &str) -> anyhow::Result<Line> {
        let mut found =
            self.notes.all().iter().filter(|kept| !id.is_empty() && kept.note.id.0.starts_with(id));
        let kept = found.next().with_context(|| format!("there is no note {}", printable(id)))?;
        ensure!(found.next().is_none(), "several notes begin with {}", printable(id));
        let lines = self.lines(&Subject::of(kept));
        lines.into_iter().find(|line| line.kept.note.id == kept.note.id).context("the note has no patient")
    }

    fn named(&self, notes: &[String]) -> anyhow::Result<Vec<Line>> {
        if let [one] = notes
            && let Ok(subject @ Subject::Number(_)) = self.subject(one)
        {
            return Ok(self.lines(&subject));
        }
        notes.iter().map(|note| self.line(note)).collect()
    }

    fn show(&self, subject: &str) -> anyhow::Result<ExitCode> {
        let (lang, output) = (self.reading.lang, self.reading.output);
        let standing = self.decisions.standing();
        let mut is_done = true;
        for line in self.lines(&self.subject(subject)?) {
            let note = &line.kept.note;
            let decided = standing.get(&note.id);
            is_done &= decided.is_some() || !line.replaced_by.is_empty();
            output.line(&json!({"type": "note", "note": note, "identity": line.identity, "finding": line.finding, "hash": line.hash,
                "target": line.target, "replaced_by": line.replaced_by, "decided": decided.map(|standing| standing.decision)}))?;
            if output == Output::People {
                output.say(printable_lines(&text(
                    &line,
                    decided.map(|standing| (standing.choice, standing.decision.by.as_str())),
                    lang,
                )));
            }
        }
        Ok(if is_done { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn confirm(&self, subject: &str, by: &str) -> anyhow::Result<ExitCode> {
        let lines = self.lines(&self.subject(subject)?);
        let standing = self.decisions.standing();
        let open = |line: &&Line| {
            line.identity.is_settled()
                && line.finding.state == State::Equal
                && line.replaced_by.is_empty()
                && !standing.contains_key(&line.kept.note.id)
        };
        let notes: Vec<_> = lines.iter().filter(open).collect();
        let patient = notes
            .first()
            .and_then(|line| line.target.clone())
            .context("no note is equal to what the EMR has")?;
        let notes = notes
            .iter()
            .filter(|line| line.target.as_ref() == Some(&patient))
            .map(|line| line.seen())
            .collect();
        self.act(Act::Confirm { notes, patient }, &lines, by)
    }

    fn act(&self, act: Act, lines: &[Line], by: &str) -> anyhow::Result<ExitCode> {
        may(&act, lines, |id| self.chart(id).is_some())?;
        let decision = self.record(act, by)?;
        self.reading.output.line(&json!({"type": "decision", "decision": decision}))?;
        self.reading.output.say(&decision.id);
        Ok(ExitCode::SUCCESS)
    }

    fn record(&self, act: Act, by: &str) -> anyhow::Result<Decision> {
        let (mut log, findings) =
            DecisionLog::open(&DecisionLog::beside(&self.path), self.key.secret(), Timestamp::now())?;
        say_findings(&findings, self.reading.lang, self.reading.output);
        Ok(log.record(act, by, Timestamp::now())?)
    }

    fn export(
        &self,
        to: &std::path::Path,
        formats: &BTreeSet<Format>,
        again: bool,
        by: &str,
    ) -> anyhow::Result<ExitCode> {
        let (lang, output) = (self.reading.lang, self.reading.output);
        ensure!(!by.trim().is_empty(), "say who exports: --by NAME");
        let taken =
            accepted(&self.notes, &self.decisions, again, |id| self.chart(id).map(|chart| chart.banner));
        if taken.is_empty() {
            bail!("no note was taken that is not exported yet (--again writes the others once more)");
        }
        let now = Timestamp::now();
        let zone = TimeZone::system();
        let export = Export::make(&taken, formats, now, &zone, lang)?;
        let files = export.write(to, &taken, by, now)?;
        let tags = formats.iter().map(|format| format.tag().to_owned()).collect();
        let act = Act::Exported { formats: tags, notes: export.notes.clone(), files: files.clone() };
        let decision = self.record(act, by)?;
        for replaced in &export.replaced {
            output.say(lang.pick(
                format!(
                    "! {}: {} ({}) is not in JIS X 0208, {} stands in its place",
                    replaced.file, replaced.character, replaced.code, replaced.by
                ),
                format!(
                    "! {}: 「{}」({}) は JIS X 0208 にないため「{}」に置き換えました",
                    replaced.file, replaced.character, replaced.code, replaced.by
                ),
            ));
        }
        let (notes, count) = (taken.len(), files.len());
        output.line(&json!({"type": "exported", "notes": notes, "files": files, "replaced": export.replaced, "decision": decision.id}))?;
        output.say(lang.pick(
            format!("{notes} notes in {count} files below {}", printable(&to.display().to_string())),
            format!(
                "{notes} 件を {count} 個のファイルに書き出しました: {}",
                printable(&to.display().to_string())
            ),
        ));
        Ok(if export.replaced.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

fn text(line: &Line, decided: Option<(Choice, &str)>, lang: Lang) -> String {
    let note = &line.kept.note;
    let NoteId(id) = &note.id;
    let mut text = format!(
        "{} {} — {} [{id}]\n  {}, {}\n",
        minute(note.at),
        note.entry.word(lang),
        line.finding.state.word(lang),
        note.author,
        line.identity.words(lang)
    );
    for field in &line.finding.fields {
        let sign = match field.agrees {
            Some(true) => "=",
            Some(false) => "≠",
            None => " ",
        };
        text.push_str(&format!("  {}: {} {sign} {}\n", field.part.word(lang), field.note, field.emr));
    }
    if !line.replaced_by.is_empty() {
        text.push_str(lang.pick("  replaced by a later note\n", "  訂正後の記録があります\n"));
    }
    if let Some((choice, by)) = decided {
        text.push_str(&format!("  ✓ {} — {by}\n", choice.word(lang)));
    }
    text
}
