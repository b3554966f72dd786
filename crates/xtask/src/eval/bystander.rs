//! Somebody innocent who works in the tree while it is attacked: must neither be stopped nor lose anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::stage::Stage;
use super::tidy;

/// Its folder in the tree.
pub(crate) const FOLDER: &str = "bystander";
const SCRIPT: &str = include_str!("../../attackers/bystander.py");
/// A busy machine lets a process wait for a while; one that stands still for so long was stopped.
const PATIENCE: Duration = Duration::from_secs(3);
/// It was in the midst of one of them when the case ended.
const NOTES_UNFINISHED_MAX: usize = 1;

/// The process; the end of the case ends it.
#[derive(Debug)]
pub(crate) struct Bystander {
    child: Child,
    own: PathBuf,
    shadow: PathBuf,
}

impl Bystander {
    pub(crate) fn start(stage: &Stage<'_>, tree: &Path, place: &Path) -> anyhow::Result<Self> {
        let shadow = place.join(FOLDER);
        let mut command = Command::new(&stage.python);
        command
            .args(["-B", "-I", "-c", SCRIPT])
            .args([tree, &shadow])
            .arg(stage.settings.seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = tidy::start(std::os::unix::process::CommandExt::process_group(&mut command, 0))?;
        let started = Self { child, own: tree.join(FOLDER), shadow };
        // It is at work before the attacker comes.
        let end = Instant::now() + PATIENCE;
        while started.beats() == 0 && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(started)
    }

    /// Whether it is still let work.
    pub(crate) fn goes_on(&self) -> bool {
        let (before, end) = (self.beats(), Instant::now() + PATIENCE);
        while Instant::now() < end {
            if self.beats() > before {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// After its end: how many of its notes are not as it wrote them.
    pub(crate) fn notes_harmed(&mut self) -> usize {
        // The end of the case has killed it.
        let _ = self.child.wait();
        let notes = fs::read_dir(&self.shadow).into_iter().flatten().flatten();
        let harmed = notes.filter(|note| {
            let name = note.file_name();
            name != "heartbeat" && fs::read(note.path()).ok() != fs::read(self.own.join(&name)).ok()
        });
        harmed.count().saturating_sub(NOTES_UNFINISHED_MAX)
    }

    fn beats(&self) -> u64 {
        fs::metadata(self.shadow.join("heartbeat")).map_or(0, |meta| meta.len())
    }
}
