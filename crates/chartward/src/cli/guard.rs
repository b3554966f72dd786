//! `chartward guard`: the watcher of a protected tree.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use schema::{Action, Finding};
use serde_json::{Value, json};

use crate::output::Output;
use crate::wiring::guard::{self, Ready, Report, Response, Settings};

/// Watch folders, stop whoever encrypts them, put back what was touched
#[derive(Debug, clap::Args)]
pub(crate) struct GuardArgs {
    /// Folders to protect
    #[arg(value_name = "DIR", required_unless_present = "release")]
    dirs: Vec<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    /// Where pre-images and evidence are kept; outside the protected folders
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Where plans are kept
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How to see what happens
    #[arg(long, value_enum, default_value_t = Mode::Auto)]
    mode: Mode,
    /// Say what is seen and do nothing
    #[arg(long)]
    observe_only: bool,
    /// The most bytes of pre-images to keep
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 30)]
    max_store: u64,
    /// Commands that are never stopped, by their name in /proc/PID/comm
    #[arg(long, value_name = "COMMAND")]
    never: Vec<String>,
    /// Let a frozen process and its relatives go on, and end
    #[arg(long, value_name = "PID", conflicts_with = "dirs")]
    release: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Opens that wait where the kernel lets us, else as an ordinary user
    Auto,
    /// fanotify permission events; needs CAP_SYS_ADMIN
    Permission,
    /// inotify and a mirror of the tree: harm is undone, not held
    Unprivileged,
}

pub(crate) fn run(args: GuardArgs) -> anyhow::Result<ExitCode> {
    let output = if args.json { Output::Json } else { Output::People };
    let state = super::state_dir(args.state)?;
    if let Some(pid) = args.release {
        return release(output, &state, pid);
    }
    let settings = Settings {
        dirs: args.dirs,
        store: args.store.unwrap_or_else(|| state.join("guard")),
        state,
        max_store: args.max_store,
        response: if args.observe_only { Response::ObserveOnly } else { Response::Armed },
        never: act::freeze::NeverTouch { pids: vec![], commands: args.never },
    };
    let mut tell = |report: Report| tell(output, &report);
    match args.mode {
        Mode::Permission => guard::permission(settings, &mut tell)?,
        Mode::Auto if may_hold_opens() => guard::permission(settings, &mut tell)?,
        Mode::Auto | Mode::Unprivileged => guard::unprivileged(settings, &mut tell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the kernel gives this process permission events: CAP_SYS_ADMIN, bit 21 of the effective set.
fn may_hold_opens() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & (1 << 21) != 0)
}

fn release(output: Output, state: &std::path::Path, pid: i32) -> anyhow::Result<ExitCode> {
    let actions = act::freeze::release(state, pid, Timestamp::now()).context("release a frozen process")?;
    if actions.is_empty() {
        bail!("process {pid} is not frozen");
    }
    for action in &actions {
        tell(output, &Report::Action(action.clone()));
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(output: Output, report: &Report) {
    // A reader that went away does not end the protection.
    let _ = output.line(&as_json(report));
    match report {
        Report::Ready(ready) => welcome(output, ready),
        Report::Finding(finding) => {
            output.say(format_args!("ATTACK: {} by {}: {}", finding.title, finding.actor, finding.reasons.join("; ")));
        }
        Report::Action(action) => output.say(format_args!("{}", words(action))),
        Report::Restored(done) => output.say(format_args!(
            "stopped {} ms after the first harm; {} files touched, {} put back, {} irrecoverable, {} left to their newer writer; evidence in {}",
            done.time_to_stop_ms,
            done.files_touched,
            done.files_put_back,
            done.files_irrecoverable,
            done.files_contested,
            done.evidence.display()
        )),
        Report::Missed { events } => {
            eprintln!("chartward: the kernel's queue overflowed {events} times: some changes of names were not seen");
        }
    }
}

fn welcome(output: Output, ready: &Ready) {
    let paths: Vec<_> = ready.paths.iter().map(|path| path.display().to_string()).collect();
    output.say(format_args!(
        "guarding {} ({} mode{})",
        paths.join(", "),
        ready.mode,
        if ready.armed { "" } else { ", observe only" }
    ));
    eprintln!("holds until judged: {}; undoes: {}", none_or(&ready.holds), none_or(&ready.undoes));
    for spot in &ready.blind_spots {
        eprintln!("does not see: {spot}");
    }
}

fn none_or(words: &[String]) -> String {
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

fn words(action: &Action) -> String {
    let schema::Act::Freeze { pid, .. } = action.act;
    match &action.outcome {
        schema::Outcome::Applied => {
            format!("process {pid} frozen (let it go on: chartward guard --release {pid})")
        }
        schema::Outcome::Undone => format!("process {pid} goes on"),
        schema::Outcome::NeverTouch => format!("process {pid} is on the never-touch list and goes on"),
        schema::Outcome::Failed { cause } => format!("process {pid} could not be frozen: {cause}"),
    }
}

fn as_json(report: &Report) -> Value {
    let typed = |kind: &str, value: Result<Value, serde_json::Error>| {
        let mut value = value.unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("type".into(), kind.into());
        }
        value
    };
    match report {
        Report::Ready(ready) => typed("ready", serde_json::to_value(ready)),
        Report::Finding(finding) => ocsf(finding),
        Report::Action(action) => {
            let mut value = typed("action", serde_json::to_value(&action.act));
            if let (Some(fields), Ok(Value::Object(outcome))) =
                (value.as_object_mut(), serde_json::to_value(&action.outcome))
            {
                fields.extend(outcome);
                fields.insert("at".into(), json!(action.at));
            }
            value
        }
        Report::Restored(done) => typed("restored", serde_json::to_value(done)),
        Report::Missed { events } => json!({"type": "missed", "overflows": events}),
    }
}

/// OCSF Detection Finding (class 2004, activity Create).
fn ocsf(finding: &Finding) -> Value {
    let attacks: Vec<_> = finding
        .attacks
        .iter()
        .map(|attack| json!({"technique": {"uid": attack.technique, "name": attack.name}, "tactic": {"name": format!("{:?}", attack.tactic)}}))
        .collect();
    json!({
        "type": "finding",
        "class_uid": finding.class.uid(),
        "category_uid": 2,
        "activity_id": 1,
        "type_uid": u64::from(finding.class.uid()) * 100 + 1,
        "time": finding.time.as_millisecond(),
        "severity_id": finding.severity_id,
        "detector": finding.detector,
        "finding_info": {"title": finding.title, "title_ja": finding.title_ja, "uid": format!("{}-{}", finding.detector, finding.time.as_millisecond()), "attacks": attacks},
        "attacks": attacks,
        "actor": { "process": { "name": finding.actor } },
        "message": finding.reasons.join("; "),
        "reasons": finding.reasons,
        "reasons_ja": finding.reasons_ja,
        "metadata": {"product": {"name": "chartward", "vendor_name": "chartward"}, "version": "1.6.0"},
    })
}
