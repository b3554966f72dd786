//! A vault with its sources on a disk in memory, and what was acknowledged so far.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::SignedDuration;
use recover::Error;
use recover::vault::{
    BackupRequest, CheckLevel, Disk, ForgetRequest, KeyCost, MaxUnused, Moment, Period, PruneReport,
    PruneRequest, Rules, Vault,
};

use crate::support::{PASSWORD, below, census, noise, password};

/// What a folder holds, as [`census`] tells it.
pub(crate) type Content = BTreeMap<Vec<u8>, String>;
/// Snapshots that were acknowledged, with what each must restore to.
pub(crate) type Acknowledged = BTreeMap<String, Content>;

pub(crate) struct Scene {
    pub(crate) dir: tempfile::TempDir,
}

/// A folder in memory where there is one: a thousand flushes of a real disk would take minutes and prove nothing more.
pub(crate) fn in_memory() -> tempfile::TempDir {
    let place = Path::new("/dev/shm");
    if place.is_dir() { tempfile::tempdir_in(place).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl Scene {
    /// An empty vault and a source with a few files.
    pub(crate) fn new() -> Scene {
        let scene = Scene { dir: in_memory() };
        Vault::init_with_cost(&scene.vault_dir(), &password(), KeyCost::TEST).unwrap();
        scene.fill();
        scene
    }

    /// The source of a scene that has no vault yet.
    pub(crate) fn fill(&self) {
        fs::create_dir(self.source()).unwrap();
        fs::create_dir(self.source().join("ward")).unwrap();
        fs::write(self.source().join("stays"), noise(1, 20_000)).unwrap();
        self.change(0);
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    pub(crate) fn vault_dir(&self) -> PathBuf {
        self.dir.path().join("vault")
    }

    /// Changes some files, so that each snapshot shares something with the one before.
    pub(crate) fn change(&self, seed: u64) {
        let write = |name: String, content: Vec<u8>| fs::write(self.source().join(name), content).unwrap();
        write("changes".to_owned(), noise(1000 + seed, 9000));
        write(format!("ward/{}", seed % 3), noise(2000 + seed, 5000));
        write("text".to_owned(), format!("PID|{seed}\r").repeat(500).into_bytes());
    }

    pub(crate) fn open(&self) -> Vault {
        Vault::open(&self.vault_dir(), &password()).unwrap()
    }

    pub(crate) fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Vault, Error> {
        Vault::open_on(disk, &self.vault_dir(), &password())
    }

    pub(crate) fn request(&self) -> BackupRequest<'static> {
        BackupRequest::new(vec![self.source()])
    }

    /// Backs the source up and notes what the snapshot has to restore to.
    pub(crate) fn backup(&self, vault: &Vault, acknowledged: &mut Acknowledged) -> String {
        let content = census(&self.source());
        let id = vault.backup(self.request(), &|_| ()).unwrap().snapshot.unwrap().0;
        acknowledged.insert(id.clone(), content);
        id
    }

    /// Copies the vault as it is.
    pub(crate) fn copy_vault(&self, to: &Path) {
        copy(&self.vault_dir(), to);
    }

    /// Puts a copy of the vault in its place.
    pub(crate) fn put_back(&self, from: &Path) {
        fs::remove_dir_all(self.vault_dir()).unwrap();
        copy(from, &self.vault_dir());
    }

    pub(crate) fn survives(&self, acknowledged: &Acknowledged) -> Result<(), String> {
        survives(&self.vault_dir(), &self.source(), acknowledged)
    }

    /// What a stock restic says of the vault, if there is one.
    pub(crate) fn restic_check(&self, test: &str) -> Option<std::process::Output> {
        let restic = testkit::tool(test, "restic")?;
        let mut command = Command::new(restic);
        command.args(["--no-cache", "-q", "--no-lock", "-r"]).arg(self.vault_dir());
        Some(command.args(["check", "--read-data"]).env("RESTIC_PASSWORD", PASSWORD).output().unwrap())
    }

    pub(crate) fn restic_finds_nothing(&self, test: &str) {
        if let Some(output) = self.restic_check(test) {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// An error with its causes.
pub(crate) fn said(error: Error) -> String {
    format!("{error:?}")
}

/// The vault opens and is intact.
pub(crate) fn survives(vault: &Path, source: &Path, acknowledged: &Acknowledged) -> Result<(), String> {
    let vault = Vault::open(vault, &password()).map_err(|e| format!("it does not open: {}", said(e)))?;
    is_intact(&vault, source, acknowledged)
}

/// Every acknowledged snapshot is listed, restores byte for byte, and a check of everything finds nothing.
pub(crate) fn is_intact(vault: &Vault, source: &Path, acknowledged: &Acknowledged) -> Result<(), String> {
    let checked = vault.check(CheckLevel::ReadData, &|_| ()).map_err(said)?;
    if !checked.is_whole() {
        return Err(format!("the check finds damage: {:?}", checked.problems));
    }
    restore_all(vault, source, acknowledged)
}

/// Every acknowledged snapshot is listed and restores byte for byte; every other that is listed restores without a loss.
pub(crate) fn restore_all(vault: &Vault, source: &Path, acknowledged: &Acknowledged) -> Result<(), String> {
    let (snapshots, damaged) = vault.snapshots().map_err(said)?;
    if !damaged.is_empty() {
        return Err(format!("damaged snapshots: {damaged:?}"));
    }
    if let Some(lost) = acknowledged.keys().find(|id| !snapshots.iter().any(|s| s.id.0 == **id)) {
        return Err(format!("snapshot {lost} is gone"));
    }
    for snapshot in &snapshots {
        let target = in_memory();
        let report = vault.restore(snapshot, target.path(), &[], &|_| ()).map_err(said)?;
        if !report.not_restored.is_empty() {
            return Err(format!("of {} is lost: {:?}", snapshot.id.0, report.not_restored));
        }
        if let Some(content) = acknowledged.get(&snapshot.id.0)
            && census(&below(target.path(), source)) != *content
        {
            return Err(format!("{} restores to something else", snapshot.id.0));
        }
    }
    Ok(())
}

/// Forgets all but the newest.
pub(crate) fn keep_newest(count: u32) -> ForgetRequest {
    let mut request =
        ForgetRequest::by_rules(Rules { keep: [(Period::Each, count)].into(), ..Rules::default() });
    request.generations.keep = 0;
    request
}

/// Prunes everything that is of no use, so many hours from now, with a day's delay.
pub(crate) fn prune_at(hours: i64) -> PruneRequest {
    let at = jiff::Timestamp::now() + SignedDuration::from_hours(hours);
    PruneRequest { max_unused: MaxUnused::Bytes(0), now: Moment { at, uptime: None }, ..PruneRequest::now() }
}

/// As [`prune_at`] now, without a delay.
pub(crate) fn prune_at_once() -> PruneRequest {
    PruneRequest { delay: SignedDuration::ZERO, ..prune_at(0) }
}

pub(crate) fn prune(vault: &Vault, request: &PruneRequest) -> Result<PruneReport, Error> {
    vault.prune(request, &|_| ())
}

/// Numbers that look random and are the same for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d)
    }

    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides.max(1) as u64) as usize
    }
}
