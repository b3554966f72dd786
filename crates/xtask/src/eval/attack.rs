//! One attack on one tree beside one guard, and what became of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use super::bystander::{self, Bystander};
use super::classes::{Class, Needs};
use super::guard::{Guard, bring_back};
use super::samba::Samba;
use super::stage::Stage;
use super::tidy;
use super::tree::{Damage, compare, contents, lay_out};
use super::volume::FileSystem;

/// The attackers, by file name.
pub(crate) const SCRIPTS: [(&str, &str); 12] = [
    ("attack.py", include_str!("../../attackers/attack.py")),
    ("deeds.py", include_str!("../../attackers/deeds.py")),
    ("acts.py", include_str!("../../attackers/acts.py")),
    ("disguise.py", include_str!("../../attackers/disguise.py")),
    ("sneak.py", include_str!("../../attackers/sneak.py")),
    ("uring.py", include_str!("../../attackers/uring.py")),
    ("crews.py", include_str!("../../attackers/crews.py")),
    ("programs.py", include_str!("../../attackers/programs.py")),
    ("share.py", include_str!("../../attackers/share.py")),
    ("stranger.py", include_str!("../../attackers/stranger.py")),
    ("byways.py", include_str!("../../attackers/byways.py")),
    ("tools.py", include_str!("../../attackers/tools.py")),
];
/// After a verdict, or after the attacker's end, so long nothing more has to happen for the case to be over.
const QUIET: Duration = Duration::from_millis(1200);
const EXAMPLES_MAX: usize = 3;

/// The order in which the attacker goes through the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    Random,
    DepthFirst,
    Newest,
}

impl Order {
    pub(crate) fn of_round(round: u32) -> Self {
        match round % 3 {
            0 => Self::Random,
            1 => Self::DepthFirst,
            _ => Self::Newest,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::DepthFirst => "depth-first",
            Self::Newest => "newest",
        }
    }
}

/// How an attack ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// It was found and did not reach its last file.
    Stopped,
    /// It was found, and had gone through all files.
    Late,
    /// It was never found.
    Missed,
}

/// What one attack came to.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attack {
    pub(crate) class: &'static str,
    pub(crate) fs: FileSystem,
    pub(crate) order: Order,
    pub(crate) seed: u64,
    /// Indicator that was switched off.
    pub(crate) without: Option<String>,
    pub(crate) end: End,
    /// Files that the attacker laid hands on, by its own account; an open that was refused can make it one too many.
    pub(crate) files_touched: usize,
    /// Of all files, those whose content is not what it was, after the guard has put back what it could.
    pub(crate) files_irrecoverable: usize,
    /// Of those that were lost first, those that came back when a person asked for what had been removed.
    pub(crate) files_brought_back: usize,
    /// Files that the attacker left in the tree.
    pub(crate) files_leftover: usize,
    /// From the first deed to the last thing that the attacker did or the moment in which it stood still.
    pub(crate) time_to_stop_ms: Option<i64>,
    pub(crate) findings: usize,
    /// What the guard itself counts as irrecoverable.
    pub(crate) guard_says_irrecoverable: u64,
    /// Files that the guard left alone because others wrote to them.
    pub(crate) guard_says_contested: u64,
    pub(crate) events_missed: bool,
    pub(crate) guard_died: bool,
    pub(crate) timed_out: bool,
    /// Whether somebody innocent, who worked in the tree as the same user, was stopped too.
    pub(crate) bystander_stopped: bool,
    /// Files of theirs that are not as they were written.
    pub(crate) bystander_harmed: usize,
    /// Over a share: whether others are still served.
    pub(crate) share_still_served: Option<bool>,
    pub(crate) seconds: f64,
    pub(crate) examples_irrecoverable: Vec<PathBuf>,
    pub(crate) examples_leftover: Vec<PathBuf>,
    /// What the attacker said when it ended badly.
    pub(crate) attacker_said: String,
}

impl Attack {
    /// What else went wrong, for the line about the case.
    pub(crate) fn aside(&self) -> String {
        [
            (self.bystander_stopped, ", a bystander was stopped"),
            (self.bystander_harmed > 0, ", a bystander's files were changed"),
            (self.share_still_served == Some(false), ", the share serves nobody"),
            (self.guard_died, ", the guard died"),
            (self.events_missed, ", the guard missed events"),
            (self.timed_out, ", out of patience"),
        ]
        .into_iter()
        .filter_map(|(happened, words)| happened.then_some(words))
        .collect()
    }
}

/// Puts the attackers where they can be started.
pub(crate) fn write_scripts(room: &Path) -> anyhow::Result<()> {
    let dir = room.join("attackers");
    fs::create_dir_all(&dir)?;
    for (name, text) in SCRIPTS {
        fs::write(dir.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

/// Why a class cannot run here; `None` when it can.
pub(crate) fn hindrance(class: &Class, fs: FileSystem, with_samba: bool) -> Option<String> {
    match class.needs {
        Needs::Nothing => None,
        Needs::Program(name) => {
            super::stage::program(name).is_none().then(|| format!("{name} is not installed"))
        }
        Needs::Reflinks => {
            matches!(fs, FileSystem::Ext4 | FileSystem::Folder).then(|| format!("{fs} shares no blocks"))
        }
        Needs::Collapsing => (fs == FileSystem::Btrfs).then(|| format!("{fs} cuts nothing out of files")),
        Needs::Root => (!rustix::process::geteuid().is_root()).then(|| "it needs root".to_owned()),
        Needs::Samba if !with_samba => Some("it runs with --samba only".to_owned()),
        Needs::Samba => ["smbd", "smbpasswd", "smbclient"]
            .into_iter()
            .find(|name| super::stage::program(name).is_none())
            .map(|name| format!("{name} is not installed")),
    }
}

/// Runs one case from a fresh tree to its comparison.
pub(crate) fn run(stage: &Stage<'_>, class: &Class, order: Order, seed: u64) -> anyhow::Result<Attack> {
    let began = Instant::now();
    let tree = stage.volume.dir.join("tree");
    let place = stage.fresh_place()?;
    lay_out(&stage.corpus.dir, &tree)?;
    let samba = (class.needs == Needs::Samba).then(|| Samba::start(stage.room, &place, &tree)).transpose()?;
    let mut guard =
        Guard::start(stage.binary, stage.settings.mode(), &tree, &place, &stage.guard_arguments())?;
    let mut bystander = Bystander::start(stage, &tree, &place)?;
    let journal = place.join("journal");
    let mut attacker = start(stage, class, order, seed, &tree, &journal, samba.as_ref())?;
    let watched = watch(stage, &mut guard, &mut attacker, &journal);

    let bystander_stopped = !bystander.goes_on();
    let share_still_served = samba.as_ref().map(Samba::serves);
    let mut keep = vec![guard.pid()];
    keep.extend(samba.as_ref().map(Samba::pid));
    tidy::end_others(&keep);
    let _ = attacker.wait();
    let guard_died = !guard.end();
    drop(samba);
    tidy::end_others(&[]);
    tidy::unmount_below(&tree);

    let bystander_harmed = bystander.notes_harmed();
    let look = || -> anyhow::Result<Damage> {
        let mut after = contents(&tree)?;
        after.retain(|path, _| !path.starts_with(bystander::FOLDER));
        Ok(compare(&stage.corpus.contents, &after))
    };
    let mut damage = look()?;
    let mut files_brought_back = 0;
    if class.only_removes {
        let before = damage.irrecoverable.len();
        bring_back(stage.binary, &place)?;
        damage = look()?;
        // By the content of the files, not by what the command says.
        files_brought_back = before.saturating_sub(damage.irrecoverable.len());
    }
    let deeds = Deeds::read(&journal);
    let found = guard.findings() > 0;
    let last_restored =
        guard.said("restored").filter_map(|line| line["stopped_at"].as_str()?.parse().ok()).max();
    let sum = |field: &str| guard.said("restored").filter_map(|line| line[field].as_u64()).sum();
    let examples = |paths: &[PathBuf]| paths.iter().take(EXAMPLES_MAX).cloned().collect();
    let log = fs::read_to_string(place.join("attacker.log")).unwrap_or_default();
    let attacker_said = log.trim().lines().last().unwrap_or_default().to_owned();
    // An attacker that failed by itself proves nothing about the guard.
    ensure!(found || deeds.done || watched.timed_out, "the attacker failed by itself: {attacker_said}");
    ensure!(!deeds.files.is_empty(), "the attacker did nothing: {attacker_said}");
    Ok(Attack {
        class: class.name,
        fs: stage.volume.fs,
        order,
        seed,
        without: stage.without.clone(),
        end: match (found, deeds.done) {
            (true, false) => End::Stopped,
            (true, true) => End::Late,
            (false, _) => End::Missed,
        },
        files_touched: deeds.files.len(),
        files_irrecoverable: damage.irrecoverable.len(),
        files_brought_back,
        files_leftover: damage.leftovers.len(),
        time_to_stop_ms: deeds.time_to_stop_ms(last_restored),
        findings: guard.findings(),
        guard_says_irrecoverable: sum("files_irrecoverable"),
        guard_says_contested: sum("files_contested"),
        events_missed: guard.said("missed").next().is_some(),
        guard_died,
        timed_out: watched.timed_out,
        bystander_stopped,
        bystander_harmed,
        share_still_served,
        seconds: began.elapsed().as_secs_f64(),
        examples_irrecoverable: examples(&damage.irrecoverable),
        examples_leftover: examples(&damage.leftovers),
        attacker_said,
    })
}

fn start(
    stage: &Stage<'_>,
    class: &Class,
    order: Order,
    seed: u64,
    tree: &Path,
    journal: &Path,
    samba: Option<&Samba>,
) -> anyhow::Result<Child> {
    let log = journal.with_file_name("attacker.log");
    let mut command = Command::new(&stage.python);
    command
        // Nothing is compiled beside the scripts: other users run them, too.
        .args(["-B", "-I", "-c", "import sys; sys.path.insert(0, sys.argv.pop(1)); import attack"])
        .arg(stage.room.join("attackers"))
        .arg(class.name)
        .args(["--room".as_ref(), stage.room.as_os_str()])
        .args(["--token", stage.token])
        .args(["--tree".as_ref(), tree.as_os_str()])
        .args(["--journal".as_ref(), journal.as_os_str()])
        .args(["--order", order.name()])
        .args(["--seed", &seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(log).context("make the attacker's log")?);
    if let Some(samba) = samba {
        command.args(["--share", &samba.reached_by()]);
    }
    tidy::start(std::os::unix::process::CommandExt::process_group(&mut command, 0))
}

struct Watched {
    timed_out: bool,
}

/// Waits until nothing more happens: the attacker stands still or has ended, and the guard has said what it had to say.
fn watch(stage: &Stage<'_>, guard: &mut Guard, attacker: &mut Child, journal: &Path) -> Watched {
    let end = Instant::now() + stage.settings.patience();
    let mut last_news = Instant::now();
    let mut journal_bytes = 0;
    while Instant::now() < end {
        let bytes = fs::metadata(journal).map_or(0, |meta| meta.len());
        if guard.listen() > 0 || bytes != journal_bytes {
            last_news = Instant::now();
            journal_bytes = bytes;
        }
        let has_ended = !matches!(attacker.try_wait(), Ok(None));
        let was_stopped = guard.said("restored").next().is_some();
        if guard.is_over() || ((has_ended || was_stopped) && last_news.elapsed() > QUIET) {
            return Watched { timed_out: false };
        }
        thread::sleep(Duration::from_millis(10));
    }
    Watched { timed_out: true }
}

/// What the attacker wrote down, outside the tree.
#[derive(Debug, Default)]
struct Deeds {
    files: std::collections::BTreeSet<String>,
    first_ns: Option<i128>,
    last_ns: Option<i128>,
    done: bool,
}

impl Deeds {
    fn read(journal: &Path) -> Self {
        let text = fs::read(journal).unwrap_or_default();
        let mut deeds = Self::default();
        for line in String::from_utf8_lossy(&text).lines() {
            let Some((at, path)) = line.split_once(' ') else { continue };
            if path == "/done" {
                deeds.done = true;
                continue;
            }
            let at = at.parse().ok();
            deeds.first_ns = deeds.first_ns.or(at);
            deeds.last_ns = deeds.last_ns.max(at);
            deeds.files.insert(path.to_owned());
        }
        deeds
    }

    fn time_to_stop_ms(&self, stopped: Option<Timestamp>) -> Option<i64> {
        let stopped = stopped?.as_nanosecond();
        let end = self.last_ns.map_or(stopped, |last| last.max(stopped));
        i64::try_from((end - self.first_ns?) / 1_000_000).ok()
    }
}
