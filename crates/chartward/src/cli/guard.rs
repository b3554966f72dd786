//! `chartward guard`: the watcher of a protected tree, and what a person does after a stop.

mod after;
mod allow;
mod removed;
mod snapshots;
mod words;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use act::undo::Way;
use anyhow::{Context, bail};
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::{SignedDuration, Timestamp};
use judge::gate::{Indicator, Indicators};
use observe::files::Samba;
use schema::Action;
use serde_json::{Value, json};

use crate::output::{Output, printable, shell_quoted};
use crate::wiring::guard::approval::{self, Approval};
use crate::wiring::guard::removed::Bounds;
use crate::wiring::guard::snapshots::Pace;
use crate::wiring::guard::{self, DatabaseSaid, Mouth, Ready, Report, Response, Settings};
use crate::wiring::said::Said;

/// Shorter, a slow attacker would outlive what is kept; longer, the store fills.
const KEEP_MIN: SignedDuration = SignedDuration::from_mins(1);
const KEEP_MAX: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Watch folders, stop whoever encrypts them, put back what was touched
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct GuardArgs {
    #[command(subcommand)]
    afterwards: Option<Afterwards>,
    /// Folders to protect; one that is called like a command below is written as ./NAME
    #[arg(value_name = "DIR", required_unless_present_any = ["release", "remove_canaries"])]
    dirs: Vec<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
    /// Where pre-images and evidence are kept, outside the protected folders (default: `guard` in the state folder)
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// State folder: where plans of what was frozen are kept (default: /var/lib/chartward for root, else ~/.local/state/chartward)
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
    /// Plant decoys that look like records among the files while it runs; one that is changed stops whoever did it
    #[arg(long)]
    canaries: bool,
    /// Remove the decoys that a guard with this --store (or --state) left behind, and end
    #[arg(long, conflicts_with_all = ["canaries", "release"])]
    remove_canaries: bool,
    /// How long contents that nobody used since are kept, such as 24h
    #[arg(long, value_name = "TIME", default_value = "24h")]
    keep: jiff::SignedDuration,
    /// A command that is never stopped, by its name in /proc/PID/comm; can be given several times
    #[arg(long, value_name = "COMMAND")]
    never: Vec<String>,
    /// Do without one of the signs that verdicts rest on; can be given several times
    #[arg(long, value_name = "INDICATOR", value_parser = indicators())]
    without: Vec<Indicator>,
    /// Serve a control socket there, for the hub
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Address of this machine, told with each finding, for whoever may have to cut it off; can be given several times
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<std::net::IpAddr>,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
    /// A folder with a database of another sort than those that are found by themselves (PostgreSQL, MariaDB, SQLite with a log): its
    /// opens do not wait, snapshots cover it; can be given several times
    #[arg(long, value_name = "DIR")]
    database: Vec<PathBuf>,
    /// How often databases are captured by shared blocks, such as 5m
    #[arg(long, value_name = "TIME", default_value = "5m")]
    snapshot_every: SignedDuration,
    /// How many such snapshots of a database are kept at most
    #[arg(long, value_name = "COUNT", default_value_t = 24)]
    snapshots_max: u16,
    /// How old they get
    #[arg(long, value_name = "TIME", default_value = "24h")]
    snapshots_keep: SignedDuration,
    /// How long the contents of removed files are kept
    #[arg(long, value_name = "TIME", default_value = "168h")]
    removed_keep: SignedDuration,
    /// The most bytes of removed files to keep (on XFS and btrfs up to a quarter of what is free, if that is more); 0 keeps none
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 30)]
    removed_max: u64,
    /// A standing approval of the configuration, as JSON
    #[arg(long, hide = true, value_parser = approval::standing)]
    allow: Vec<Approval>,
    /// Samba's program that lists sessions, for the names of its clients
    #[arg(long, value_name = "PATH", default_value = "smbstatus")]
    smbstatus: PathBuf,
    /// Samba's configuration, where it is not the default one
    #[arg(long, value_name = "FILE")]
    smb_conf: Option<PathBuf>,
    /// Let a frozen process and its relatives, or a client that was cut off, go on, and end
    #[arg(long, value_name = "PID|ADDRESS", conflicts_with = "dirs")]
    release: Option<Released>,
}

/// Who is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Released {
    Process(i32),
    Client(IpAddr),
}

impl FromStr for Released {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let process = text.parse().map(Self::Process);
        process
            .or_else(|_| text.parse().map(Self::Client))
            .map_err(|_| "neither a process id nor an address".into())
    }
}

#[derive(Debug, clap::Subcommand)]
enum Afterwards {
    /// What was stopped: when, who, what became of the files, whether it is still frozen
    Incidents {
        #[command(flatten)]
        common: after::Common,
    },
    /// The stop was wrong: bring back what the program had written, where nothing was changed since
    Undo {
        /// Id of the stop, its beginning, or a process id
        id: String,
        /// Take an undo back: as it was put back at first
        #[arg(long)]
        take_back: bool,
        #[command(flatten)]
        common: after::Common,
    },
    /// Let a program encrypt for a while: who, where, until when and why
    Allow(allow::Args),
    /// List what was removed while the guard watched, or bring it back
    Removed(removed::Args),
    /// List the snapshots of databases
    Snapshots {
        #[command(flatten)]
        common: after::Common,
    },
    /// Copy a snapshot of a database into a folder beside it
    RestoreSnapshot(snapshots::Args),
    /// End a frozen process and its relatives for good
    End {
        /// Id of the stop, its beginning, or a process id
        #[arg(value_name = "PID|ID")]
        who: String,
        #[command(flatten)]
        common: after::Common,
    },
}

impl Afterwards {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Incidents { common } => after::incidents(&common),
            Self::Undo { id, take_back: false, common } => after::undo(&common, &id, Way::Undo),
            Self::Undo { id, take_back: true, common } => after::undo(&common, &id, Way::TakeBack),
            Self::Allow(args) => allow::run(args),
            Self::Removed(args) => removed::run(&args),
            Self::Snapshots { common } => snapshots::list(&common),
            Self::RestoreSnapshot(args) => snapshots::restore(&args),
            Self::End { who, common } => after::end(&common, &who),
        }
    }
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
    if let Some(afterwards) = args.afterwards {
        return afterwards.run();
    }
    let output = if args.json { Output::Json } else { Output::People };
    let is_default = args.state.is_none();
    let state = std::path::absolute(super::state_dir(args.state)?).context("find the state folder")?;
    let talk = Talk { output, state: (!is_default).then(|| state.clone()) };
    match args.release {
        Some(Released::Process(pid)) => return release(&talk, &state, pid),
        Some(Released::Client(address)) => return admit(&talk, &state, address),
        None => {}
    }
    if args.remove_canaries {
        let list = guard::canary_list(&args.store.unwrap_or_else(|| state.join("guard")));
        let removed = observe::files::Canaries::left(&list)?.remove();
        output.line(&json!({"type": "canaries_removed", "count": removed}))?;
        output.say(format!("{removed} decoys removed"));
        return Ok(ExitCode::SUCCESS);
    }
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    if !args.observe_only {
        // Now rather than in the middle of an attack, when the first plan is written.
        act::evidence::private_dir(&state)?;
    }
    let settings = Settings {
        dirs: args.dirs,
        store: args.store.unwrap_or_else(|| state.join("guard")),
        state,
        max_store: args.max_store,
        canaries: args.canaries,
        keep: args.keep.clamp(KEEP_MIN, KEEP_MAX),
        response: if args.observe_only { Response::ObserveOnly } else { Response::Armed },
        never: act::NeverTouch::of_commands(args.never),
        indicators: Indicators::without(args.without),
        control: args.control,
        addresses: args.address,
        samba: Samba { smbstatus: args.smbstatus, configuration: args.smb_conf },
        allowed: args.allow,
        databases: args.database,
        removed: (args.removed_max > 0).then_some(Bounds {
            bytes_max: args.removed_max,
            keep: args.removed_keep.clamp(KEEP_MIN, KEEP_MAX),
        }),
        pace: Pace {
            every: args.snapshot_every.max(SignedDuration::from_secs(1)),
            max: usize::from(args.snapshots_max.max(1)),
            keep: args.snapshots_keep,
        },
    };
    let mut mouth = Mouth::new(move |report: Report| talk.tell(&report));
    let mut tell = |report: Report| mouth.say(report);
    match args.mode {
        Mode::Permission => guard::permission(settings, &mut tell)?,
        Mode::Auto if may_hold_opens() => guard::permission(settings, &mut tell)?,
        Mode::Auto | Mode::Unprivileged => guard::unprivileged(settings, &mut tell)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The names of the gate's indicators, for the command line.
fn indicators() -> impl TypedValueParser<Value = Indicator> {
    PossibleValuesParser::new(Indicator::ALL.map(Indicator::name))
        .try_map(|name| Indicator::named(&name).ok_or("no such indicator"))
}

/// Whether the kernel gives this process permission events: CAP_SYS_ADMIN, bit 21 of the effective set.
fn may_hold_opens() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).is_some_and(|set| set & (1 << 21) != 0)
}

fn release(talk: &Talk, state: &Path, pid: i32) -> anyhow::Result<ExitCode> {
    let actions = act::freeze::release(state, pid, Timestamp::now()).context("release a frozen process")?;
    if actions.is_empty() {
        bail!("process {pid} is not frozen");
    }
    for action in &actions {
        talk.tell(&Report::Action(action.clone()));
    }
    Ok(ExitCode::SUCCESS)
}

fn admit(talk: &Talk, state: &Path, address: IpAddr) -> anyhow::Result<ExitCode> {
    if !act::client::admit(state, address).context("let a client back in")? {
        bail!("{address} is not cut off");
    }
    let line = json!({"type": "admitted", "address": address});
    // A reader that went away does not keep the client out.
    let _ = talk.output.line(&line);
    talk.say(&format!("{address} is served again"));
    Ok(ExitCode::SUCCESS)
}

/// How the guard talks to its operator.
struct Talk {
    output: Output,
    /// The state folder where it is not the default one, for commands that a person can type.
    state: Option<PathBuf>,
}

impl Talk {
    fn tell(&self, report: &Report) {
        // A reader that went away does not end the protection.
        let _ = self.output.line(&self.as_json(report));
        match report {
            Report::Ready(ready) => self.welcome(ready),
            Report::Finding(finding) => self.say(&format!(
                "{}: {} by {}: {}",
                if finding.severity_id > schema::Severity::Low { "ATTACK" } else { "NOTICE" },
                finding.title,
                finding.actor,
                finding.reasons.join("; ")
            )),
            Report::Action(action) => self.say(&self.words(action)),
            Report::CutOff(done) => self.say(&format!(
                "{} is no longer served{} (let it back in: {})",
                done.address,
                done.user.as_ref().map(|user| format!(" (user {user})")).unwrap_or_default(),
                self.release_command(done.address)
            )),
            Report::Restored(done) => self.say(&format!(
                "stopped {} ms after the first harm; {} files touched, {} put back, {} irrecoverable, {} left to their newer writer; evidence in {}",
                done.time_to_stop_ms,
                done.files_touched,
                done.files_put_back,
                done.files_irrecoverable,
                done.files_contested,
                done.evidence.display()
            )),
            Report::Policy(news) => self.say(&words::policy(news)),
            Report::Database(DatabaseSaid::Snapshot(snapshot)) if snapshot.consistent => {}
            Report::Database(said) => self.say(&words::database(said)),
            Report::Missed { events } => {
                eprintln!("chartward: the kernel's queue overflowed {events} times: some changes of names were not seen");
            }
            Report::Shortfall(shortfall) => eprintln!("chartward: {}", printable(&shortfall.sentence(schema::Lang::En))),
            Report::StillFrozen { actors } => self.farewell(actors),
        }
    }

    fn say(&self, line: &str) {
        self.output.say(printable(line));
    }

    fn welcome(&self, ready: &Ready) {
        let paths: Vec<_> = ready.paths.iter().map(|path| path.display().to_string()).collect();
        let only = if ready.armed { "" } else { ", observe only" };
        self.say(&format!("guarding {} ({} mode{only})", paths.join(", "), ready.mode));
        let off: Vec<_> = Indicator::ALL.into_iter().map(Indicator::name).collect();
        let off: Vec<String> =
            off.into_iter().filter(|name| !ready.indicators.contains(name)).map(str::to_owned).collect();
        if !off.is_empty() {
            eprintln!("does without: {}", off.join(", "));
        }
        eprintln!("holds until judged: {}; undoes: {}", none_or(&ready.holds), none_or(&ready.undoes));
        for cover in &ready.databases {
            eprintln!(
                "does not hold up the database {}; covered by {}",
                cover.database.path.display(),
                cover.covered_by
            );
        }
        for spot in ready.blind_spots.iter(schema::Lang::En) {
            eprintln!("does not see: {spot}");
        }
    }

    /// The guard ends and those that it froze stay so: an attacker must not go on because somebody stopped a service.
    fn farewell(&self, actors: &[Vec<i32>]) {
        self.say("the guard ends; what it froze stays frozen until somebody releases or ends it:");
        for pids in actors {
            let Some(first) = pids.first() else { continue };
            let all: Vec<_> = pids.iter().map(i32::to_string).collect();
            self.say(&format!("  process {}: {}", all.join(", "), self.release_command(*first)));
        }
    }

    fn words(&self, action: &Action) -> String {
        let pid = action.act.process().map_or(0, |(pid, _)| pid);
        match &action.outcome {
            schema::Outcome::Applied => {
                format!("process {pid} frozen (let it go on: {})", self.release_command(pid))
            }
            schema::Outcome::Undone => format!("process {pid} goes on"),
            schema::Outcome::NeverTouch => format!("process {pid} is on the never-touch list and goes on"),
            schema::Outcome::Failed { cause } => format!("process {pid} could not be frozen: {cause}"),
        }
    }

    fn release_command(&self, who: impl std::fmt::Display) -> String {
        let state = self.state.as_deref().map(|state| format!(" --state {}", shell_quoted(state)));
        format!("chartward guard --release {who}{}", state.unwrap_or_default())
    }

    fn as_json(&self, report: &Report) -> Value {
        let typed = |kind: &str, value: Result<Value, serde_json::Error>| {
            let mut value = value.unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.insert("type".into(), kind.into());
            }
            value
        };
        match report {
            Report::Ready(ready) => typed("ready", serde_json::to_value(ready)),
            Report::Finding(finding) => decode::ocsf::write(finding),
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
            Report::CutOff(done) => {
                let mut value = typed("cut_off", serde_json::to_value(done));
                value["release"] = json!(self.release_command(done.address));
                value
            }
            Report::Restored(done) => typed("restored", serde_json::to_value(done)),
            Report::Policy(news) => {
                let mut value = typed("policy", serde_json::to_value(news));
                value["message"] = words::policy(news).into();
                value
            }
            Report::Database(said) => {
                let mut value = typed("database", serde_json::to_value(said));
                value["message"] = words::database(said).into();
                value
            }
            Report::Missed { events } => json!({"type": "missed", "overflows": events}),
            Report::Shortfall(shortfall) => shortfall.line(),
            Report::StillFrozen { actors } => {
                let released_by = actors.iter().filter_map(|pids| Some(self.release_command(*pids.first()?)));
                json!({
                    "type": "still_frozen",
                    "pids": actors.concat(),
                    "release": released_by.collect::<Vec<_>>(),
                })
            }
        }
    }
}

fn none_or(words: &Said) -> String {
    let words: Vec<&str> = words.iter(schema::Lang::En).collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}
