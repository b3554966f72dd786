//! What the console shows of logons: a file that the watcher of logs writes.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use judge::logins::story::{Link, Picture};
use judge::logins::{Advice, Detectors, Learning, Learnt};
use serde::{Deserialize, Serialize};

const BYTES_MAX: u64 = 32 << 20;
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
        let file = File::open(crate::wiring::logs::folder(state).join("shown.json")).ok()?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes it to the watcher's folder, whole or not at all.
    pub(crate) fn save(&self, folder: &Path) -> anyhow::Result<()> {
        let new = folder.join("shown.new");
        // One that another user left behind could not be written to.
        let _ = fs::remove_file(&new);
        fs::write(&new, serde_json::to_vec(self)?)
            .and_then(|()| fs::rename(&new, folder.join("shown.json")))
            .with_context(|| format!("write what pages show of logons to {}", folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_watcher_writes_the_console_reads() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Shown::load(dir.path()).is_none());
        let detectors = Detectors::new(&judge::logins::Rules::default());
        let shown = Shown::of(&detectors, "2025-06-01T12:00:00Z".parse().unwrap());
        let folder = crate::wiring::logs::folder(dir.path());
        fs::create_dir(&folder).unwrap();
        shown.save(&folder).unwrap();
        assert_eq!(Shown::load(dir.path()), Some(shown));
    }
}
