//! What the console shows of logons: a file that the watcher of logs writes, and requests to forget that it takes in.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use judge::logins::story::{Link, Picture};
use judge::logins::{Advice, Detectors, Forget, Learning, Learnt};
use serde::{Deserialize, Serialize};

use super::FOLDER;

const BYTES_MAX: u64 = 32 << 20;
const FORGET_BYTES_MAX: u64 = 1 << 20;
/// What a page can show.
const PAIRS_SHOWN: usize = 500;
const LINKS_SHOWN: usize = 2000;
const NODES_SHOWN: usize = 40;

/// A look at the detectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// When it was taken.
    pub(crate) at: Timestamp,
    pub(crate) events: u64,
    pub(crate) learning: Learning,
    /// The youngest pairs.
    pub(crate) learnt: Vec<Learnt>,
    pub(crate) picture: Picture,
    /// The links that were used last.
    pub(crate) links: Vec<Link>,
    pub(crate) advice: Vec<Advice>,
}

impl Shown {
    pub(crate) fn of(detectors: &Detectors, at: Timestamp) -> Self {
        let mut learnt = detectors.learnt();
        learnt.sort_by_key(|pair| std::cmp::Reverse(pair.first));
        learnt.truncate(PAIRS_SHOWN);
        let graph = detectors.graph();
        let mut links: Vec<Link> = graph.links().into_iter().map(|named| named.link.clone()).collect();
        links.sort_by_key(|link| std::cmp::Reverse(link.last));
        links.truncate(LINKS_SHOWN);
        Self {
            at,
            events: detectors.effort().events,
            learning: detectors.learning(),
            learnt,
            picture: Picture::overview(graph, NODES_SHOWN),
            links,
            advice: detectors.advice(),
        }
    }

    /// What the watcher wrote last; `None` where none ever did, or what it wrote cannot be read.
    pub(crate) fn load(state: &Path) -> Option<Self> {
        let file = File::open(state.join(FOLDER).join("shown.json")).ok()?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes it, whole or not at all.
    pub(crate) fn save(&self, state: &Path) -> anyhow::Result<()> {
        let folder = state.join(FOLDER);
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let new = folder.join("shown.new");
        fs::write(&new, serde_json::to_vec(self)?).with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, folder.join("shown.json")).context("write what pages show of logons")
    }
}

/// Asks the watcher to forget something that was learnt; it does so when it looks next.
pub(crate) fn ask_to_forget(state: &Path, what: &Forget) -> anyhow::Result<()> {
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("forget.jsonl"))?;
    file.write_all(&line).context("leave the request")
}

/// What was asked since the last look; the requests are gone then.
pub(crate) fn asked_to_forget(state: &Path) -> anyhow::Result<Vec<Forget>> {
    let folder = state.join(FOLDER);
    let taken = folder.join("forget.taken");
    match fs::rename(folder.join("forget.jsonl"), &taken) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        renamed => renamed.context("take the requests to forget")?,
    }
    let mut text = String::new();
    File::open(&taken)?.take(FORGET_BYTES_MAX).read_to_string(&mut text)?;
    fs::remove_file(&taken)?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_watcher_writes_the_console_reads_and_the_other_way_round() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Shown::load(dir.path()).is_none());
        assert!(asked_to_forget(dir.path()).unwrap().is_empty());
        let detectors = Detectors::new(&judge::logins::Rules::default());
        let shown = Shown::of(&detectors, "2025-06-01T12:00:00Z".parse().unwrap());
        shown.save(dir.path()).unwrap();
        assert_eq!(Shown::load(dir.path()), Some(shown));
        let asked = [Forget::Account("suzuki".into()), Forget::All];
        for what in &asked {
            ask_to_forget(dir.path(), what).unwrap();
        }
        assert_eq!(asked_to_forget(dir.path()).unwrap(), asked);
        assert!(asked_to_forget(dir.path()).unwrap().is_empty());
    }
}
