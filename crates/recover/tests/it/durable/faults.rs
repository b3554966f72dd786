//! Each step in turn fails, ends early or is only pretended. Whatever a backup, a prune, a forget or a restore then says, what was
//! acknowledged is there when the disk is well again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use recover::Error;
use recover::vault::{CheckLevel, Vault};
use rustix::io::Errno;

use super::disk::{Step, Verdict, Watched};
use super::scene::{
    Acknowledged, Content, Dice, Scene, in_memory, keep_newest, prune, prune_at, prune_at_once, restore_all,
    said,
};
use crate::support::{below, census, noise};

const SEED: u64 = 0x10c;

type Act = fn(&Vault, &Scene) -> Result<Option<String>, Error>;

const BACKUP: Act = |vault, scene| vault.backup(scene.request(), &|_| ()).map(|r| r.snapshot.map(|id| id.0));
const FORGET: Act = |vault, _| vault.forget(&keep_newest(2)).map(|_| None);
const PRUNE: Act = |vault, _| prune(vault, &prune_at(0)).map(|_| None);
const PRUNE_AT_ONCE: Act = |vault, _| prune(vault, &prune_at_once()).map(|_| None);

/// A vault with four snapshots of which two are forgotten, aside, and what has to survive.
struct Rehearsal {
    scene: Scene,
    aside: tempfile::TempDir,
    acknowledged: Acknowledged,
}

impl Rehearsal {
    fn new() -> Rehearsal {
        let scene = Scene::new();
        let mut acknowledged = Acknowledged::new();
        let vault = scene.open();
        for seed in 1..5 {
            scene.backup(&vault, &mut acknowledged);
            scene.change(seed);
        }
        vault.forget(&keep_newest(2)).unwrap();
        let kept = vault.snapshots().unwrap().0;
        acknowledged.retain(|id, _| kept.iter().any(|snapshot| snapshot.id.0 == *id));
        let aside = in_memory();
        scene.copy_vault(&aside.path().join("vault"));
        Rehearsal { scene, aside, acknowledged }
    }

    fn begin(&self) {
        self.scene.put_back(&self.aside.path().join("vault"));
    }

    /// The steps of an act when nothing goes wrong.
    fn steps(&self, act: Act) -> Vec<Step> {
        self.begin();
        let steps = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&steps);
        let disk = Watched::new(&self.scene.vault_dir(), move |_, step| {
            seen.lock().unwrap().push(step.clone());
            Verdict::Do
        });
        act(&self.scene.open_on(disk).unwrap(), &self.scene).unwrap();
        let steps = steps.lock().unwrap();
        steps.clone()
    }

    /// Lets one step of an act go wrong.
    fn act(&self, act: Act, at: usize, wrong: Verdict) -> Result<Option<String>, Error> {
        self.act_where(act, at, wrong, |_| true)
    }

    /// Lets one step of an act go wrong if it is one of those: threads may bring another step to the same place in another run.
    fn act_where(
        &self,
        act: Act,
        at: usize,
        wrong: Verdict,
        is_meant: fn(&Step) -> bool,
    ) -> Result<Option<String>, Error> {
        self.begin();
        let disk = Watched::new(&self.scene.vault_dir(), move |number, step| {
            if number == at && is_meant(step) { wrong } else { Verdict::Do }
        });
        let vault = self.scene.open_on(disk)?;
        act(&vault, &self.scene)
    }

    /// Everything acknowledged is there and the next backup succeeds.
    fn goes_on(&self, told: &Result<Option<String>, Error>) -> Result<(), String> {
        let mut acknowledged = self.acknowledged.clone();
        if let Ok(Some(id)) = told {
            acknowledged.insert(id.clone(), census(&self.scene.source()));
        }
        self.scene.survives(&acknowledged)?;
        BACKUP(&self.scene.open(), &self.scene).map(drop).map_err(said)
    }
}

fn errno(error: Errno) -> Verdict {
    Verdict::Fail(error.raw_os_error())
}

#[test]
fn each_change_to_the_disk_may_fail_once_and_nothing_is_lost() {
    let rehearsal = Rehearsal::new();
    let mut tried = 0;
    for (name, act) in
        [("backup", BACKUP), ("forget", FORGET), ("prune", PRUNE), ("prune at once", PRUNE_AT_ONCE)]
    {
        for (at, step) in rehearsal.steps(act).iter().enumerate().filter(|(_, step)| step.is_change()) {
            let wrong = match (step, tried % 2) {
                (Step::Write(..), 0) => Verdict::Half,
                (_, 0) => errno(Errno::NOSPC),
                _ => errno(Errno::IO),
            };
            tried += 1;
            let told = rehearsal.act(act, at, wrong);
            let goes_on = rehearsal.goes_on(&told);
            assert_eq!(goes_on, Ok(()), "{name}, step {at} ({:?}) {wrong:?}: {told:?}", step.path());
        }
    }
    println!("{tried} changes failed once");
    assert!(tried > 80);
}

#[test]
fn each_look_at_the_disk_may_fail_end_early_or_be_stale_and_nothing_is_lost() {
    let rehearsal = Rehearsal::new();
    let mut tried = 0;
    for (name, act) in [("backup", BACKUP), ("prune", PRUNE), ("prune at once", PRUNE_AT_ONCE)] {
        let steps = rehearsal.steps(act);
        rehearsal.begin();
        let looks = chosen(&rehearsal, &steps);
        for (at, step) in looks {
            let is_list = matches!(step, Step::List(_));
            let wrong = [errno(Errno::IO), Verdict::Half, Verdict::Pretend][tried % 3];
            tried += 1;
            // Nobody can remove at once and be safe from a store that hides a snapshot: that is what the delay is for.
            if is_list && !matches!(wrong, Verdict::Fail(_)) && name == "prune at once" {
                continue;
            }
            let told = rehearsal.act_where(act, at, wrong, |step| !step.is_change());
            // Whoever was marked by mistake is taken back by the prune that would remove it.
            if name == "prune" {
                let again = prune(&rehearsal.scene.open(), &prune_at(25));
                assert!(again.is_ok(), "seed {SEED:#x}, {name}, step {at} ({step:?}) {wrong:?}: {again:?}");
            }
            let goes_on = rehearsal.goes_on(&told);
            assert_eq!(goes_on, Ok(()), "seed {SEED:#x}, {name}, step {at} ({step:?}) {wrong:?}: {told:?}");
        }
    }
    println!("{tried} looks went wrong");
    assert!(tried > 100);
}

/// The first two looks at each file and at each folder that holds something; of the packs and their folders, some.
fn chosen<'s>(rehearsal: &Rehearsal, steps: &'s [Step]) -> Vec<(usize, &'s Step)> {
    let mut dice = Dice::new(SEED);
    let mut seen: BTreeMap<&Path, usize> = BTreeMap::new();
    let looks = steps.iter().enumerate().filter(|(_, step)| !step.is_change());
    looks
        .filter(|(_, step)| {
            let path = step.path();
            let seen = seen.entry(path).or_default();
            *seen += 1;
            let here = rehearsal.scene.vault_dir().join(path);
            let is_empty = std::fs::read_dir(&here).is_ok_and(|dir| dir.count() == 0);
            if path.starts_with("data") { !is_empty && dice.roll(12) == 0 } else { *seen <= 2 }
        })
        .collect()
}

/// Of a disk that says it has done what it has not: the check finds it, or nothing is missing.
#[test]
fn each_change_may_be_only_pretended_and_the_check_says_so() {
    let rehearsal = Rehearsal::new();
    let (mut tried, mut found) = (0, 0);
    for (name, act) in [("backup", BACKUP), ("prune", PRUNE), ("prune at once", PRUNE_AT_ONCE)] {
        for (at, step) in rehearsal.steps(act).iter().enumerate().filter(|(_, step)| step.is_change()) {
            tried += 1;
            let told = rehearsal.act(act, at, Verdict::Pretend);
            let checked = rehearsal.scene.open().check(CheckLevel::ReadData, &|_| ()).unwrap();
            if !checked.is_whole() {
                found += 1;
                continue;
            }
            let mut acknowledged = rehearsal.acknowledged.clone();
            if let Ok(Some(id)) = &told {
                acknowledged.insert(id.clone(), census(&rehearsal.scene.source()));
            }
            let restored = restore_all(&rehearsal.scene.open(), &rehearsal.scene.source(), &acknowledged);
            assert_eq!(restored, Ok(()), "{name}, step {at} ({step:?}) pretended: {told:?}");
        }
    }
    println!("{tried} changes pretended, {found} found by the check");
    assert!(found > 3);
}

/// Whether a report names a file, or a folder above it.
fn is_named(not_restored: &str, source: &Path, file: &str) -> bool {
    source.join(file).ancestors().any(|path| not_restored.contains(&format!("{path:?}")))
}

#[test]
fn a_restore_on_a_disk_that_fails_names_what_it_does_not_bring_back() {
    let rehearsal = Rehearsal::new();
    const RESTORE: Act = |vault, scene| {
        let target = scene.dir.path().join("restored");
        let _ = std::fs::remove_dir_all(&target);
        let wanted = std::fs::read_to_string(scene.dir.path().join("wanted")).unwrap();
        let report = vault.restore(&vault.find(&wanted)?, &target, &[], &|_| ())?;
        Ok(Some(format!("{:?}", report.not_restored)))
    };
    let newest = rehearsal.scene.open().find("latest").unwrap().id.0;
    std::fs::write(rehearsal.scene.dir.path().join("wanted"), &newest).unwrap();
    let steps = rehearsal.steps(RESTORE);
    let content = &rehearsal.acknowledged[&newest];
    let (mut tried, mut named) = (0, 0);
    for (at, step) in steps
        .iter()
        .enumerate()
        .filter(|(at, step)| !matches!(step, Step::List(p) if p.starts_with("data") && at % 64 != 0))
    {
        for wrong in [errno(Errno::IO), Verdict::Half, Verdict::Pretend] {
            tried += 1;
            let Ok(Some(not_restored)) = rehearsal.act(RESTORE, at, wrong) else { continue };
            let root = below(&rehearsal.scene.dir.path().join("restored"), &rehearsal.scene.source());
            let back = if root.exists() { census(&root) } else { Content::new() };
            named += usize::from(not_restored != "[]");
            for (path, what) in content {
                let text = String::from_utf8_lossy(path).into_owned();
                let is_file = what.contains('#');
                let is_right = back.get(path) == Some(what);
                assert!(
                    is_right || !is_file || is_named(&not_restored, &rehearsal.scene.source(), &text),
                    "step {at} ({step:?}) {wrong:?}: {text} is {:?}, not {what}; named: {not_restored}",
                    back.get(path)
                );
            }
        }
    }
    println!("{tried} faults in restores, {named} of them named files");
    assert!(tried > 30);
}

/// A medium of 3 MB that is really full.
struct SmallMedium(std::path::PathBuf);

impl Drop for SmallMedium {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_medium_ends_a_backup_without_a_snapshot_and_keeps_the_old_ones() {
    let test = "a_full_medium_ends_a_backup_without_a_snapshot_and_keeps_the_old_ones";
    if !testkit::root(test) {
        return;
    }
    let scene = Scene { dir: in_memory() };
    scene.fill();
    std::fs::create_dir(scene.vault_dir()).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=3m,mode=700", "chartward-durable"])
        .arg(scene.vault_dir())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        return testkit::skip(test, "tmpfs cannot be mounted here");
    }
    let _medium = SmallMedium(scene.vault_dir());
    Vault::init_with_cost(&scene.vault_dir(), &crate::support::password(), recover::vault::KeyCost::TEST)
        .unwrap();
    let mut acknowledged = Acknowledged::new();
    scene.backup(&scene.open(), &mut acknowledged);
    std::fs::write(scene.source().join("large"), noise(5, 800_000)).unwrap();
    scene.backup(&scene.open(), &mut acknowledged);
    let large = scene.source().join("too large");
    std::fs::write(&large, noise(6, 4_000_000)).unwrap();
    let failure = BACKUP(&scene.open(), &scene).unwrap_err();
    assert!(matches!(failure, Error::VaultFull { .. }), "{failure:?}");
    assert_eq!(scene.survives(&acknowledged), Ok(()));
    std::fs::remove_file(large).unwrap();
    // Filled to the last block: nothing can be added, and what is there can still be read.
    let filler = scene.vault_dir().join("lost+found");
    let _ = std::fs::write(&filler, vec![1; 4 << 20]);
    assert!(BACKUP(&scene.open(), &scene).is_err());
    assert_eq!(scene.survives(&acknowledged), Ok(()));
    std::fs::remove_file(filler).unwrap();
    scene.backup(&scene.open(), &mut acknowledged);
    assert_eq!(scene.survives(&acknowledged), Ok(()));
    scene.restic_finds_nothing(test);
}
