//! `chartward share`: the watcher of a file share, from outside.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use observe::share::{Account, Bounds, Client, Decoys, Instant, Place, ShareName, Wish};
use schema::Lang;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::output::{Output, printable};
use crate::wiring::share::{self, Report, Settings};

/// Watch a file share from outside, with nothing installed on its server
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ShareArgs {
    #[command(subcommand)]
    command: Option<ShareCommand>,
    #[command(flatten)]
    watch: WatchArgs,
}

#[derive(Debug, clap::Subcommand)]
enum ShareCommand {
    /// Copy the share's files into a folder here, reading only what changed
    Pull(PullArgs),
}

#[derive(Debug, clap::Args)]
struct PullArgs {
    #[command(flatten)]
    place: Where,
    /// The folder that becomes a mirror of the share
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The most files it copies
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    max_files: usize,
    /// The most seconds it takes; the next pull goes on where this one ended
    #[arg(long, value_name = "SECONDS", default_value_t = 6.0 * 3600.0)]
    max_seconds: f64,
    /// Read the newest previous version (shadow copy) of the share, so that all files are of one instant, unless it is older than this; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 3600.0)]
    shadow_max_age: f64,
}

#[derive(Debug, clap::Args)]
struct Where {
    /// The share, such as //emr.example.jp/ssmix, or (to watch it) the folder where it is mounted
    #[arg(value_name = "//SERVER/SHARE|DIR")]
    share: Option<String>,
    /// A folder of the share; can be given several times (default: all of it)
    #[arg(long, value_name = "SUB")]
    path: Vec<String>,
    /// TCP port of the server
    #[arg(long, default_value_t = 445)]
    port: u16,
    /// File with lines username=, password=, domain= that only its owner may read (default: as a guest)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_SHARE_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// JSON lines on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct WatchArgs {
    #[command(flatten)]
    place: Where,
    /// Write decoy records to the share, then watch; the only thing that is ever written to it
    #[arg(long, conflicts_with = "unplant")]
    plant: bool,
    /// Take the decoys away again, and end
    #[arg(long)]
    unplant: bool,
    /// Seconds between two readings of decoys and standing files
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    canary_interval: f64,
    /// Seconds between two listings of the share
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    look_interval: f64,
    /// The most files to remember
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    max_files: usize,
    /// State folder: where it is kept which decoys were planted (default: /var/lib/chartward for root, else ~/.local/state/chartward)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Address of the server of a mounted share, where the mount table does not tell it: what can be cut off
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Answer there how the watch stands, for the hub
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    #[command(flatten)]
    lang: super::lang::LangArgs,
    /// End when the process that started this one ends, however it ends
    #[arg(long, hide = true)]
    end_with_parent: bool,
}

impl Where {
    fn name(&self) -> anyhow::Result<ShareName> {
        let share = self.share.as_deref().context("name a share: //SERVER/SHARE")?;
        Ok(share.parse()?)
    }

    /// Where a watch looks: an absolute path is a mounted share.
    fn place(&self, address: Option<IpAddr>) -> anyhow::Result<Place> {
        let share = self
            .share
            .as_deref()
            .context("name a share: //SERVER/SHARE, or the folder where it is mounted")?;
        if share.starts_with('/') && !share.starts_with("//") {
            return Ok(Place::Mounted { dir: PathBuf::from(share), address });
        }
        Ok(Place::Session { name: self.name()?, port: self.port, account: self.account()? })
    }

    fn account(&self) -> anyhow::Result<Account> {
        match &self.credentials {
            Some(file) => Ok(Account::from_file(file)?),
            None => Ok(Account::default()),
        }
    }

    fn output(&self) -> Output {
        if self.json { Output::Json } else { Output::People }
    }

    fn paths(&self) -> Vec<String> {
        self.path.iter().map(|path| path.replace('\\', "/").trim_matches('/').to_owned()).collect()
    }
}

pub(crate) fn run(args: ShareArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        Some(ShareCommand::Pull(args)) => pull(&args),
        None => watch(args.watch),
    }
}

fn pull(args: &PullArgs) -> anyhow::Result<ExitCode> {
    let client = Client::connect(&args.place.name()?, args.place.port, &args.place.account()?)?;
    let bounds =
        Bounds { files_max: args.max_files, look_time: seconds(args.max_seconds)?, ..Bounds::default() };
    let wish = Wish {
        shadow_age_max: SignedDuration::from_secs_f64(args.shadow_max_age.clamp(0.0, 1e9)),
        now: Timestamp::now(),
    };
    let pulled = observe::share::pull(&client, &args.place.paths(), &args.to, &bounds, wish)?;
    let output = args.place.output();
    output.line(&typed("pulled", serde_json::to_value(&pulled)))?;
    output.say(format!(
        "{} files: {} read now ({} bytes), {} unchanged, {} removed here, {} failed, {} with names that do not fit here, in {:.1} s",
        pulled.files, pulled.fetched, pulled.bytes, pulled.unchanged, pulled.removed, pulled.failed, pulled.unstorable, pulled.seconds
    ));
    output.say(of_when(&pulled.instant));
    for path in &pulled.troubles {
        eprintln!("not pulled: {}", printable(path));
    }
    let whole = pulled.complete && pulled.failed == 0 && pulled.unstorable == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Of when the files are, for people.
fn of_when(instant: &Instant) -> String {
    match instant {
        Instant::One { at } => format!("All files are of one instant, {at}: a previous version (shadow copy) of the share."),
        Instant::Many => "The files are of different instants, each of when it was read: the share has no previous versions. \
                          Shadow copies on the server (VSS) would make them one."
            .to_owned(),
        Instant::TooOld { newest } => format!(
            "The files are of different instants, each of when it was read: the newest previous version is of {newest}, which is too old."
        ),
    }
}

fn watch(args: WatchArgs) -> anyhow::Result<ExitCode> {
    if args.end_with_parent {
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
        asked.context("ask to be told of the parent's end")?;
    }
    let place = args.place.place(args.address)?;
    let kept = decoys_file(&super::state_dir(args.state.clone())?, &place.name());
    if args.unplant {
        return unplant(&args.place, &place, &kept);
    }
    let decoys = if args.plant { Some(plant(&args.place, &place, &kept)?) } else { planted(&kept)? };
    let settings = Settings {
        place,
        paths: args.place.paths(),
        decoys,
        glance_every: seconds(args.canary_interval)?,
        look_every: seconds(args.look_interval)?,
        bounds: Bounds { files_max: args.max_files, ..Bounds::default() },
        control: args.control,
    };
    let (output, lang) = (args.place.output(), args.lang.lang());
    share::watch(&settings, &mut |report| tell(output, lang, &report))?;
    Ok(ExitCode::SUCCESS)
}

fn seconds(given: f64) -> anyhow::Result<Duration> {
    ensure!((0.1..=86_400.0).contains(&given), "an interval is between 0.1 and 86400 seconds");
    Ok(Duration::from_secs_f64(given))
}

/// Where it is kept which decoys lie on a share: not on the share, where an attacker could read it.
fn decoys_file(state: &Path, name: &str) -> PathBuf {
    let hash = hex::encode(Sha256::digest(name));
    state.join("share").join(format!("{}.json", hash.get(..16).unwrap_or_default()))
}

fn planted(kept: &Path) -> anyhow::Result<Option<Decoys>> {
    match fs::read(kept) {
        Ok(bytes) => {
            let decoys = serde_json::from_slice(&bytes);
            decoys.map(Some).with_context(|| format!("read which decoys were planted, {}", kept.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", kept.display())),
    }
}

fn plant(asked: &Where, place: &Place, kept: &Path) -> anyhow::Result<Decoys> {
    if let Some(decoys) = planted(kept)? {
        return Ok(decoys);
    }
    let paths = asked.paths();
    let decoys = Decoys::new(if paths.is_empty() { vec![String::new()] } else { paths });
    let view = place.view()?;
    let dir = kept.parent().context("the state folder has no parent")?;
    act::evidence::private_dir(dir)?;
    // Kept first: what was written and is not known here would be taken for a patient's.
    fs::write(kept, serde_json::to_vec(&decoys)?).with_context(|| format!("write {}", kept.display()))?;
    decoys.plant(&view)?;
    Ok(decoys)
}

fn unplant(asked: &Where, place: &Place, kept: &Path) -> anyhow::Result<ExitCode> {
    let decoys = planted(kept)?.context("no decoys were planted on this share from here")?;
    let left = decoys.unplant(&place.view()?)?;
    let removed = decoys.count() - left;
    asked.output().line(&json!({"type": "unplanted", "removed": removed, "left": left}))?;
    asked.output().say(format!("{removed} decoys removed, {left} left because they hold something else now"));
    if left > 0 {
        return Ok(ExitCode::FAILURE);
    }
    fs::remove_file(kept).with_context(|| format!("remove {}", kept.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn tell(output: Output, lang: Lang, report: &Report) {
    // A reader that went away does not end the watch.
    let _ = output.line(&as_json(report));
    let say = |line: &str| output.say(printable(line));
    match report {
        Report::Ready(ready) => {
            say(&format!(
                "watching {}: {} files in {} folders, {} decoys, {} standing files every {} s, all of it every {} s",
                ready.share,
                ready.files,
                ready.folders,
                ready.canaries,
                ready.standing,
                ready.glance_seconds,
                ready.look_seconds
            ));
            eprintln!("{}", lang.pick(ready.lost_at_most, ready.lost_at_most_ja));
            for spot in ready.blind_spots.iter(lang) {
                eprintln!("{}: {}", lang.pick("does not see", "見えないもの"), printable(spot));
            }
        }
        Report::Finding(finding) => {
            say(&format!("ATTACK: {}: {}", finding.title, finding.reasons.join("; ")))
        }
        Report::Look(_) => {}
        Report::Missed { answers: false, cause, .. } => {
            eprintln!("chartward: the share does not answer: {}", printable(cause))
        }
        Report::Missed { seconds, .. } => eprintln!("chartward: the share answers again after {seconds} s"),
    }
}

fn as_json(report: &Report) -> Value {
    match report {
        Report::Ready(ready) => typed("ready", serde_json::to_value(ready)),
        Report::Finding(finding) => decode::ocsf::write(finding),
        Report::Look(look) => {
            let mut value = typed("look", serde_json::to_value(look));
            value["message"] = format!("{} files listed in {:.1} s", look.files, look.seconds).into();
            value
        }
        Report::Missed { seconds, answers, cause } => {
            let message = if *answers {
                format!("the share answers again after {seconds} s")
            } else {
                format!("the share does not answer: {cause}")
            };
            json!({"type": "missed", "seconds": seconds, "answers": answers, "message": message})
        }
    }
}

fn typed(kind: &str, value: Result<Value, serde_json::Error>) -> Value {
    let mut value = value.unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("type".into(), kind.into());
    }
    value
}
