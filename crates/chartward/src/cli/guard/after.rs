//! After a stop: which there were, ending what is frozen, and undoing a put-back that was wrong.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use act::undo::{Announced, Undo, Way};
use anyhow::{Context, bail};
use jiff::Timestamp;
use schema::{Action, Lang, Outcome};
use serde_json::json;

use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::output::{Output, printable};
use crate::wiring::guard::stops::{self, Standing, Stop};

/// A running guard looks for announcements ten times a second.
pub(super) const HEARD: Duration = Duration::from_millis(500);

/// What all of these take.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// State folder of the guard (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    lang: LangArgs,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
}

impl Common {
    pub(super) fn output(&self) -> Output {
        Output::new(self.json)
    }

    pub(super) fn lang(&self) -> Lang {
        self.lang.lang()
    }

    /// The state folder where it is not the default one.
    pub(super) fn state_given(&self) -> Option<&Path> {
        self.state.as_deref()
    }

    pub(super) fn state(&self) -> anyhow::Result<PathBuf> {
        std::path::absolute(state_dir(self.state.clone())?).context("find the state folder")
    }
}

/// Lists what was stopped, newest first.
pub(super) fn incidents(common: &Common) -> anyhow::Result<ExitCode> {
    let (state, output, lang) = (common.state()?, common.output(), common.lang());
    let (stops, unreadable) = stops::all(&state)?;
    for stop in &stops {
        let standing = stop.standing(&state);
        let turned =
            Undo::read(&stop.evidence).ok().map(|undo| undo.turns.iter().filter(|t| t.undone).count());
        let mut value = serde_json::to_value(stop)?;
        value["type"] = "stop".into();
        value["standing"] = serde_json::to_value(standing)?;
        value["undone"] = json!(turned.unwrap_or(0));
        output.line(&value)?;
        output.say(words(stop, standing, turned.unwrap_or(0), lang));
    }
    if stops.is_empty() {
        output.say(lang.pick("nothing was stopped", "停止させたものはありません"));
    }
    if unreadable > 0 {
        eprintln!(
            "chartward: {unreadable} records of stops in {} cannot be read",
            state.join("stops").display()
        );
    }
    let frozen = stops.iter().any(|stop| stop.standing(&state) == Standing::Frozen);
    Ok(ExitCode::from(u8::from(frozen || unreadable > 0)))
}

fn words(stop: &Stop, standing: Standing, undone: usize, lang: Lang) -> String {
    let at = stop.at.strftime("%Y-%m-%d %H:%M:%SZ");
    let reasons = match lang {
        Lang::En => stop.reasons.join("; "),
        Lang::Ja => stop.reasons_ja.join("、"),
    };
    let files = match (stop.counts, lang) {
        (Some(counts), Lang::En) => format!(
            "{} files touched, {} put back, {} irrecoverable, {} left to their newer writer",
            counts.touched, counts.put_back, counts.irrecoverable, counts.contested
        ),
        (Some(counts), Lang::Ja) => format!(
            "被害ファイル {}、復元 {}、復元不能 {}、他の書き手に委ねたもの {}",
            counts.touched, counts.put_back, counts.irrecoverable, counts.contested
        ),
        (None, lang) => lang.pick("files not put back yet", "ファイルはまだ復元されていません").to_owned(),
    };
    let undone = match (undone, lang) {
        (0, _) => String::new(),
        (count, Lang::En) => format!("\n  put-back undone for {count} paths"),
        (count, Lang::Ja) => format!("\n  {count}件の復元は取り消されています"),
    };
    let evidence = lang.pick("evidence", "証拠");
    let line = format!(
        "{}  {at}  {}  {}\n  {reasons}\n  {files}{undone}\n  {evidence}: {}",
        stop.id,
        standing.word(lang),
        stop.actor,
        stop.evidence.display()
    );
    crate::output::printable_lines(&line)
}

/// Ends for good what is frozen.
pub(super) fn end(common: &Common, who: &str) -> anyhow::Result<ExitCode> {
    let (state, output, lang) = (common.state()?, common.output(), common.lang());
    let now = Timestamp::now();
    let known = stops::find(&state, who).ok();
    let mut pids = known.as_ref().map(|stop| act::freeze::alive(&stop.processes)).unwrap_or_default();
    if pids.is_empty() {
        pids.push(who.parse().ok().with_context(|| format!("find out who {who:?} is"))?);
    }
    if let Some(stop) = &known
        && !stop.evidence.join("processes.json").exists()
    {
        bail!(
            "the evidence in {} is not complete: the memory of a process that is ended is gone, so wait for it or keep it first",
            stop.evidence.display()
        );
    }
    let mut ended: Vec<Action> = Vec::new();
    for pid in pids {
        // Several were frozen by one plan, and end together.
        if !ended.iter().any(|action| action.act.process().is_some_and(|(ended, _)| ended == pid)) {
            ended.extend(act::freeze::end(&state, pid, now).context("end a frozen process")?);
        }
    }
    let mut all_done = true;
    for action in &ended {
        let Some((pid, _)) = action.act.process() else { continue };
        let failed = match &action.outcome {
            Outcome::Failed { cause } => Some(cause.clone()),
            _ => None,
        };
        all_done &= failed.is_none();
        output.line(&json!({"type": "ended", "pid": pid, "at": action.at, "failed": failed}))?;
        output.say(match failed {
            None => match lang {
                Lang::En => format!("process {pid} was ended"),
                Lang::Ja => format!("プロセス {pid} を終了させました"),
            },
            Some(cause) => match lang {
                Lang::En => format!("process {pid} could not be ended: {cause}"),
                Lang::Ja => format!("プロセス {pid} を終了できませんでした: {cause}"),
            },
        });
    }
    if let Some(stop) = known.filter(|_| all_done) {
        Stop { ended: Some(now), ..stop }.write(&state)?;
    }
    Ok(ExitCode::from(u8::from(!all_done)))
}

/// Brings back what a stopped program had written, or takes that back again.
pub(super) fn undo(common: &Common, who: &str, way: Way) -> anyhow::Result<ExitCode> {
    let (state, output, lang) = (common.state()?, common.output(), common.lang());
    let stop = stops::find(&state, who)?;
    let mut undo = Undo::read(&stop.evidence)?;
    let due = undo.turns.iter().filter(|turn| turn.undone == (way == Way::TakeBack)).count();
    if due == 0 {
        bail!(match way {
            Way::Undo => "there is nothing to undo: no file of this stop stands as it was put back",
            Way::TakeBack => "there is nothing to take back: nothing of this stop was undone",
        });
    }
    // Without this a running guard takes what comes now for the attack itself.
    let announced = Announced::new(&state)?;
    thread::sleep(HEARD);
    let turned = undo.apply(&stop.evidence, way);
    // The closes of what was written are still on their way to it.
    thread::sleep(HEARD);
    drop(announced);
    let turned = turned?;
    let refused = refused_list(&stop.evidence, &turned.refused)?;
    output.line(&json!({
        "type": "undone",
        "stop": stop.id,
        "way": match way { Way::Undo => "undo", Way::TakeBack => "take_back" },
        "paths": turned.turned,
        "refused": turned.refused.len(),
        "refused_list": refused,
    }))?;
    output.say(match (way, lang) {
        (Way::Undo, Lang::En) => format!("{} paths stand as the program had left them", turned.turned),
        (Way::Undo, Lang::Ja) => format!("{}件をプログラムが残した状態に戻しました", turned.turned),
        (Way::TakeBack, Lang::En) => format!("{} paths stand as they were put back", turned.turned),
        (Way::TakeBack, Lang::Ja) => format!("{}件を復元した状態に戻しました", turned.turned),
    });
    if let (Some(list), Some((_, reason))) = (&refused, turned.refused.first()) {
        let (count, list) = (turned.refused.len(), list.display());
        output.say(printable(&match lang {
            Lang::En => format!("{count} were left as they are, listed in {list}; the first: {reason}"),
            Lang::Ja => format!("{count}件は変更していません（一覧: {list}）。最初の理由: {reason}"),
        }));
    }
    Ok(ExitCode::from(u8::from(refused.is_some())))
}

/// Paths name patients, so they go into the evidence and not into a terminal's scrollback.
fn refused_list(evidence: &Path, refused: &[(PathBuf, String)]) -> anyhow::Result<Option<PathBuf>> {
    let list = evidence.join("undo-refused.json");
    act::evidence::write_json(&list, &refused)?;
    Ok((!refused.is_empty()).then_some(list))
}
