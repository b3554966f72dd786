//! What the sensor knows from one start to the next: which machines work with each other, and what its detectors remember.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use judge::network::{Detectors, LearntPair, Rules};
use serde::{Deserialize, Serialize};

/// Client, server, port.
pub(crate) type Pair = (IpAddr, IpAddr, u16);

const VERSION: u32 = 1;
/// 65,536 pairs take a tenth of it.
const BYTES_MAX: u64 = 256 << 20;

/// `learnt.json`: what people see and may take back. It outlives changes of the detectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Learnt {
    version: u32,
    /// When learning began.
    since: Timestamp,
    pairs: Vec<LearntPair>,
}

/// Both files in the sensor's folder.
#[derive(Debug)]
pub(crate) struct Kept {
    folder: PathBuf,
    learnt: Learnt,
    remembered: Option<Vec<u8>>,
    learning_until: Timestamp,
    learn_for: SignedDuration,
    /// A memory that was left where it is.
    too_large: Option<PathBuf>,
}

impl Kept {
    /// What lies in the folder, else nothing yet.
    pub(crate) fn load(folder: &Path, now: Timestamp, learn_seconds: i64) -> anyhow::Result<Self> {
        let learnt = match read(&folder.join("learnt.json"))? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("read what was learnt, {}", folder.join("learnt.json").display()))?,
            None => Learnt { version: VERSION, since: now, pairs: Vec::new() },
        };
        if learnt.version != VERSION {
            bail!("what was learnt is of version {}, which this program does not know", learnt.version);
        }
        let memory = folder.join("state.json");
        // What the detectors remember can be learnt again; a sensor that does not start sees nothing.
        let too_large = is_too_large(&memory).then(|| memory.clone());
        let remembered = if too_large.is_some() { None } else { read(&memory)? };
        let learn_for = SignedDuration::from_secs(learn_seconds);
        let learning_until = learnt.since.checked_add(learn_for).unwrap_or(Timestamp::MAX);
        Ok(Self { folder: folder.to_owned(), learnt, remembered, learning_until, learn_for, too_large })
    }

    /// What was not taken up, if anything.
    pub(crate) fn trouble(&self) -> Option<anyhow::Error> {
        let path = self.too_large.as_ref()?;
        Some(anyhow!("{} is larger than this program writes it: the detectors begin anew", path.display()))
    }

    /// Learning begins now.
    pub(crate) fn begin_anew(&mut self, now: Timestamp) {
        self.learnt.since = now;
        self.learning_until = now.checked_add(self.learn_for).unwrap_or(Timestamp::MAX);
    }

    /// The rules with what was learnt.
    pub(crate) fn rules(&self, rules: Rules) -> Rules {
        Rules {
            learnt: self.learnt.pairs.clone(),
            learning_until: Some(self.learning_until.as_microsecond()),
            ..rules
        }
    }

    /// The detectors with what they remember. A memory of another version is no error: they know the pairs all the same.
    pub(crate) fn detectors(&self, rules: &Rules) -> Detectors {
        let state = self.remembered.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok());
        match state {
            Some(state) => Detectors::resume(rules, state),
            None => Detectors::new(rules),
        }
    }

    /// Puts what the detectors know now on the disk, whole or not at all.
    pub(crate) fn save(&mut self, detectors: &Detectors) -> anyhow::Result<()> {
        self.learnt.pairs = detectors.learnt();
        let folder = &self.folder;
        write(folder, "learnt.json", &serde_json::to_vec(&self.learnt)?)?;
        let mut state = Bounded::default();
        serde_json::to_writer(&mut state, detectors.state()).context("keep what the detectors remember")?;
        write(folder, "state.json", &state.bytes)
    }

    pub(crate) fn pairs(&self) -> &[LearntPair] {
        &self.learnt.pairs
    }

    pub(crate) fn since(&self) -> Timestamp {
        self.learnt.since
    }

    pub(crate) fn learning_until(&self) -> Timestamp {
        self.learning_until
    }

    /// Without a sensor that runs. Forgetting everything begins the time of learning anew.
    pub(crate) fn forget(&mut self, which: Option<Pair>, now: Timestamp) -> anyhow::Result<usize> {
        let rules = self.rules(Rules::default());
        let mut detectors = self.detectors(&rules);
        let before = self.learnt.pairs.len();
        detectors.forget(which);
        if which.is_none() {
            self.begin_anew(now);
        }
        self.save(&detectors)?;
        Ok(before.saturating_sub(self.learnt.pairs.len()))
    }
}

/// Bytes up to the most that are read again.
#[derive(Debug, Default)]
struct Bounded {
    bytes: Vec<u8>,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > BYTES_MAX {
            return Err(io::Error::other("it is larger than would be read again"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn is_too_large(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.len() > BYTES_MAX)
}

fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(meta) if meta.len() > BYTES_MAX => {
            bail!("{} is larger than this program writes it", path.display())
        }
        Ok(_) => Ok(Some(fs::read(path).with_context(|| format!("read {}", path.display()))?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Root writes for the user that the sensor runs as.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    let fresh = folder.join(format!("{name}.new"));
    act::evidence::write_private(&fresh, bytes)?;
    // Otherwise a power cut may leave the new name with nothing in it.
    let synced = fs::File::open(&fresh).and_then(|file| file.sync_all());
    synced.and_then(|()| fs::rename(&fresh, &path)).with_context(|| format!("replace {}", path.display()))?;
    let owner = fs::metadata(folder).with_context(|| format!("look at {}", folder.display()))?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        chown(&path, Some(owner.uid()), Some(owner.gid()))
            .with_context(|| format!("give {} to the sensor's user", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_kept_shown_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-05-04T10:00:00Z".parse().unwrap();
        let pair = |last: u8| LearntPair {
            client: [10, 0, 0, last].into(),
            server: [10, 0, 1, 1].into(),
            port: 445,
            first: 1,
            last: 2,
        };
        let mut kept = Kept::load(dir.path(), now, 3600).unwrap();
        assert_eq!((kept.pairs(), kept.learning_until()), (&[][..], now + SignedDuration::from_secs(3600)));
        let rules = Rules { learnt: vec![pair(1), pair(2)], ..Rules::default() };
        kept.save(&Detectors::new(&rules)).unwrap();
        let later = now + SignedDuration::from_secs(60);
        let mut kept = Kept::load(dir.path(), later, 3600).unwrap();
        assert_eq!((kept.pairs(), kept.since()), (&[pair(1), pair(2)][..], now));
        assert_eq!(kept.forget(Some((pair(1).client, pair(1).server, 445)), later).unwrap(), 1);
        assert_eq!(Kept::load(dir.path(), later, 0).unwrap().pairs(), [pair(2)]);
        fs::write(dir.path().join("state.json"), b"{\"of\":\"another version\"}").unwrap();
        let mut kept = Kept::load(dir.path(), later, 0).unwrap();
        assert_eq!(kept.detectors(&kept.rules(Rules::default())).learnt(), [pair(2)]);
        assert_eq!(kept.forget(None, later).unwrap(), 1);
        let kept = Kept::load(dir.path(), later, 0).unwrap();
        assert_eq!((kept.pairs(), kept.since()), (&[][..], later));
        // A live one forgets as well.
        let mut kept = Kept::load(dir.path(), later, 3600).unwrap();
        kept.begin_anew(later + SignedDuration::from_secs(60));
        assert_eq!(kept.learning_until(), later + SignedDuration::from_secs(3660));
        assert_eq!(
            kept.rules(Rules::default()).learning_until,
            Some((later + SignedDuration::from_secs(3660)).as_microsecond())
        );
        fs::File::create(dir.path().join("state.json")).unwrap().set_len(BYTES_MAX + 1).unwrap();
        let kept = Kept::load(dir.path(), later, 0).unwrap();
        assert!(kept.trouble().is_some() && kept.remembered.is_none());
        let mut bounded = Bounded { bytes: vec![0; BYTES_MAX as usize] };
        assert!(io::Write::write(&mut bounded, b"x").is_err());
        fs::write(dir.path().join("learnt.json"), b"{").unwrap();
        assert!(Kept::load(dir.path(), later, 0).is_err());
    }
}
