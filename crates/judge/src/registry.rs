use schema::Attack;

use crate::{gate, share};

/// What a detector says about itself.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// `family.name`; also the folder of its fixtures, with an underscore for the dot.
    pub id: &'static str,
    /// One sentence.
    pub title: &'static str,
    /// The same in Japanese.
    pub title_ja: &'static str,
    /// The techniques that its findings name.
    pub attacks: fn() -> Vec<Attack>,
    /// Makes a fresh one.
    pub make: Detector,
}

/// The sorts of detectors, by what they are given.
#[derive(Debug, Clone, Copy)]
pub enum Detector {
    /// Asked before an open may pass: one [`schema::GateInput`] at a time.
    Gate(fn() -> gate::Gate),
    /// Given looks at a share: one [`schema::ShareLook`] at a time.
    Share(fn() -> share::Share),
}

/// Every detector.
pub const REGISTRY: &[Entry] = &[gate::ENTRY, share::ENTRY, share::TAMPER];

/// The detector with this id.
pub fn entry(id: &str) -> Option<&'static Entry> {
    REGISTRY.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests read fixtures")]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use jiff::{SignedDuration, Timestamp};
    use schema::{GateInput, ShareLook, Verdict};

    use super::*;

    fn fixtures(entry: &Entry, side: &str) -> Vec<PathBuf> {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(entry.id.replace('.', "_"))
            .join(side);
        assert!(
            dir.join("README.md").is_file(),
            "{} has no README.md that says where it came from",
            dir.display()
        );
        let mut files: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{} holds no fixture", dir.display());
        files
    }

    /// Whether the detector says something to one of the fixture's lines.
    fn speaks(entry: &Entry, fixture: &Path) -> bool {
        let text = fs::read_to_string(fixture).unwrap();
        let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
        let place = |line: usize| format!("{}:{line}", fixture.display());
        match entry.make {
            Detector::Gate(make) => {
                let mut gate = make();
                lines.iter().any(|&(line, json)| {
                    let input: GateInput =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(line as i64 * 10);
                    matches!(gate.decide(&input, now), Verdict::Stop(_))
                })
            }
            Detector::Share(make) => {
                let mut share = make();
                lines.iter().any(|&(line, json)| {
                    let look: ShareLook =
                        serde_json::from_str(json).unwrap_or_else(|e| panic!("{}: {e}", place(line)));
                    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(line as i64 * 30);
                    share.look(&look, now).is_some_and(|said| said.detector == entry.id)
                })
            }
        }
    }

    #[test]
    fn every_detector_finds_its_attacks_and_leaves_the_benign_alone() {
        for entry in REGISTRY {
            for fixture in fixtures(entry, "attack") {
                assert!(speaks(entry, &fixture), "{} misses {}", entry.id, fixture.display());
            }
            for fixture in fixtures(entry, "benign") {
                assert!(!speaks(entry, &fixture), "{} alarms at {}", entry.id, fixture.display());
            }
        }
    }

    #[test]
    fn ids_are_unique_and_have_a_family() {
        let mut ids: Vec<_> = REGISTRY.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), REGISTRY.len());
        assert!(ids.iter().all(|id| id.split_once('.').is_some()));
    }
}
