//! The records of stops: who, when, what became of it. They lie in the state folder, name no file of the hospital, and outlive the guard.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use act::evidence::{private_dir, write_json};
use act::freeze;
use anyhow::{Context, bail};
use jiff::Timestamp;
use schema::Lang;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "stops";
const STOP_BYTES_MAX: u64 = 1 << 20;
/// The newest so many are listed.
const LISTED_MAX: usize = 1000;

/// One stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// When and who: `20181016T024000.000Z-4711`.
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    /// In words.
    pub(crate) actor: String,
    pub(crate) reasons: Vec<String>,
    pub(crate) reasons_ja: Vec<String>,
    /// Process ids and start ticks of those that were frozen.
    pub(crate) processes: Vec<(i32, u64)>,
    /// The plans in the state folder whose presence keeps them stopped: one for each that can be let go by itself.
    pub(crate) plans: Vec<PathBuf>,
    pub(crate) evidence: PathBuf,
    /// `None` while files are being put back.
    pub(crate) counts: Option<Counts>,
    /// A person had them ended.
    pub(crate) ended: Option<Timestamp>,
}

/// What became of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) touched: u64,
    pub(crate) put_back: u64,
    pub(crate) irrecoverable: u64,
    pub(crate) contested: u64,
    pub(crate) moved_aside: u64,
}

/// How those that were stopped stand now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Frozen,
    Released,
    Ended,
}

impl Standing {
    pub(crate) fn word(self, lang: Lang) -> &'static str {
        match self {
            Standing::Frozen => lang.pick("frozen", "凍結中"),
            Standing::Released => lang.pick("released", "再開済み"),
            Standing::Ended => lang.pick("ended", "終了済み"),
        }
    }
}

impl Stop {
    pub(crate) fn write(&self, state: &Path) -> Result<(), act::Error> {
        let dir = private_dir(&state.join(FOLDER))?;
        write_json(&dir.join(format!("{}.json", self.id)), self)
    }

    /// By the plan and by the processes themselves.
    pub(crate) fn standing(&self, state: &Path) -> Standing {
        let has_ended = freeze::alive(&self.processes).is_empty();
        // A client has no process here that could end: it is kept out until its refusal goes.
        let is_client = |plan: &PathBuf| plan.starts_with("refused");
        let held = |plan: &&PathBuf| state.join(plan).exists() && (is_client(plan) || !has_ended);
        if self.ended.is_none() && self.plans.iter().any(|plan| held(&plan)) {
            Standing::Frozen
        } else if has_ended && !self.plans.iter().any(is_client) {
            Standing::Ended
        } else {
            Standing::Released
        }
    }
}

/// All that are recorded, newest first, and how many records could not be read.
pub(crate) fn all(state: &Path) -> anyhow::Result<(Vec<Stop>, usize)> {
    let dir = state.join(FOLDER);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((vec![], 0)),
        Err(error) => return Err(error).with_context(|| format!("read {}", dir.display())),
    };
    let mut paths: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "json"))
        .collect();
    // Their names begin with the time.
    paths.sort();
    let newest = paths.iter().rev().take(LISTED_MAX);
    let (mut stops, mut unreadable) = (Vec::new(), 0);
    for path in newest {
        match read(path) {
            Ok(stop) => stops.push(stop),
            Err(_) => unreadable += 1,
        }
    }
    Ok((stops, unreadable))
}

fn read(path: &Path) -> anyhow::Result<Stop> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(STOP_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// The one stop that `name` means: its id, the beginning of one, or a process id that was frozen in it (the latest).
pub(crate) fn find(state: &Path, name: &str) -> anyhow::Result<Stop> {
    let (stops, _) = all(state)?;
    let pid: Option<i32> = name.parse().ok();
    let of_process = |stop: &&Stop| stop.processes.iter().any(|(frozen, _)| Some(*frozen) == pid);
    if let Some(stop) = stops.iter().find(of_process) {
        return Ok(stop.clone());
    }
    let named: Vec<&Stop> = stops.iter().filter(|stop| stop.id.starts_with(name)).collect();
    match named.as_slice() {
        [stop] => Ok((*stop).clone()),
        [] => bail!("no stop is called {name:?}; `chartward guard incidents` lists them"),
        several => bail!("{} stops begin with {name:?}: write more of the id", several.len()),
    }
}
