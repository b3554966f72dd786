//! Several at once on one vault, against a model: what was acknowledged and not forgotten is there.
//!
//! One works until a step of its choice; there another one works, from beginning to end, in the midst of which a third one may; then the
//! first goes on. Locks are honoured, or they are lost because their owners slept.

use std::sync::{Arc, Mutex};

use recover::Error;
use recover::vault::Vault;

use super::disk::{Verdict, Watched};
use super::scene::{Acknowledged, Dice, Scene, keep_newest, prune, prune_at, prune_at_once, restore_all};
use crate::support::{census, password};

const SEEDS: u64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Backup,
    Forget(u32),
    Prune,
    PruneAtOnce,
    CancelPrune,
    Unforget,
    /// Everybody's lock is gone: their owners slept for so long that somebody took them away.
    LocksLost,
}

/// What the vault is held against.
#[derive(Default)]
struct Model {
    acknowledged: Acknowledged,
    forgotten: Acknowledged,
    /// Hours that have passed since the beginning, for those who prune.
    hours: i64,
    /// Whether somebody may be at work whose lock was lost. Then nobody removes at once: that is what the delay is for.
    sleepers: bool,
    told: Vec<String>,
    done: usize,
    refused: usize,
}

#[derive(Clone)]
struct World {
    scene: Arc<Scene>,
    model: Arc<Mutex<Model>>,
    dice: Arc<Mutex<Dice>>,
}

impl World {
    fn roll(&self, sides: usize) -> usize {
        self.dice.lock().unwrap().roll(sides)
    }

    fn choose(&self) -> Act {
        match self.roll(16) {
            0..6 => Act::Backup,
            6..8 => Act::Forget(1 + self.roll(3) as u32),
            8..11 => Act::Prune,
            11 => Act::PruneAtOnce,
            12 => Act::CancelPrune,
            13 => Act::Unforget,
            _ => Act::LocksLost,
        }
    }

    /// A vault in whose use others come in between, at a step that is chosen now.
    fn open(&self, depth: usize) -> Result<Vault, Error> {
        let at = self.roll(45);
        let world = self.clone();
        let changes = Mutex::new(0);
        let disk = Watched::new(&self.scene.vault_dir(), move |_, step| {
            if step.is_change() && depth < 3 {
                let change = {
                    let mut changes = changes.lock().unwrap();
                    *changes += 1;
                    *changes - 1
                };
                if change == at {
                    world.tell(format!(
                        "{} in the midst of it, before {:?} {{",
                        " ".repeat(depth),
                        step.path()
                    ));
                    for _ in 0..1 + world.roll(2) {
                        let act = world.choose();
                        world.act(act, depth + 1);
                    }
                    world.tell(format!("{} }}", " ".repeat(depth)));
                }
            }
            Verdict::Do
        });
        Vault::open_on(disk, &self.scene.vault_dir(), &password())
    }

    fn tell(&self, text: String) {
        self.model.lock().unwrap().told.push(text);
    }

    fn act(&self, act: Act, depth: usize) {
        let has_sleepers = self.model.lock().unwrap().sleepers;
        // What nobody is promised to survive is not tried.
        if act == Act::PruneAtOnce && has_sleepers {
            return;
        }
        self.tell(format!("{} {act:?}", " ".repeat(depth)));
        let result = self.open(depth).and_then(|vault| self.carry_out(act, &vault, depth));
        let mut model = self.model.lock().unwrap();
        model.told.push(format!("{} {act:?} → {result:?}", " ".repeat(depth)));
        match result {
            Ok(()) => model.done += 1,
            Err(Error::Locked { .. } | Error::LockLost { .. } | Error::SnapshotNotFound { .. }) => {
                model.refused += 1
            }
            // What is gone is said; nothing was acknowledged.
            Err(Error::Missing { .. }) if act == Act::Unforget || has_sleepers || model.sleepers => {
                model.refused += 1
            }
            Err(error) => panic!("{error:?}\n{}", model.told.join("\n")),
        }
    }

    fn carry_out(&self, act: Act, vault: &Vault, depth: usize) -> Result<(), Error> {
        let hours = self.model.lock().unwrap().hours;
        match act {
            Act::Backup => {
                let content = census(&self.scene.source());
                let id = vault.backup(self.scene.request(), &|_| ())?.snapshot.unwrap().0;
                self.model.lock().unwrap().acknowledged.insert(id, content);
            }
            Act::Forget(count) => {
                let result = vault.forget(&keep_newest(count));
                // Also one that ended early may have forgotten some.
                let gone = vault.forgotten()?;
                let mut model = self.model.lock().unwrap();
                for snapshot in gone {
                    if let Some(content) = model.acknowledged.remove(&snapshot.id.0) {
                        model.forgotten.insert(snapshot.id.0, content);
                    }
                }
                drop(model);
                result?;
            }
            Act::Prune => drop(prune(vault, &prune_at(hours))?),
            Act::PruneAtOnce => drop(prune(vault, &prune_at_once())?),
            Act::CancelPrune => drop(vault.cancel_prune()?),
            Act::Unforget => {
                let Some(snapshot) = vault.forgotten()?.pop() else { return Ok(()) };
                vault.unforget(&snapshot.id.0)?;
                let mut model = self.model.lock().unwrap();
                if let Some(content) = model.forgotten.remove(&snapshot.id.0) {
                    model.acknowledged.insert(snapshot.id.0, content);
                }
            }
            Act::LocksLost => {
                self.model.lock().unwrap().sleepers = depth > 0;
                for lock in std::fs::read_dir(self.scene.vault_dir().join("locks")).unwrap() {
                    let _ = std::fs::remove_file(lock.unwrap().path());
                }
            }
        }
        Ok(())
    }
}

fn run(seed: u64) -> (usize, usize) {
    let world = World {
        scene: Arc::new(Scene::new()),
        model: Arc::default(),
        dice: Arc::new(Mutex::new(Dice::new(seed))),
    };
    world.act(Act::Backup, 3);
    let holds = |what: &str| {
        let model = world.model.lock().unwrap();
        let restored = restore_all(&world.scene.open(), &world.scene.source(), &model.acknowledged);
        assert_eq!(restored, Ok(()), "seed {seed}, {what}:\n{}", model.told.join("\n"));
    };
    for turn in 0..5 {
        world.scene.change(seed * 10 + turn);
        world.model.lock().unwrap().sleepers = false;
        let act = world.choose();
        world.act(act, 0);
        world.model.lock().unwrap().hours += 13;
        holds("after a turn");
    }
    // In the end everything is carried out that was begun.
    let hours = world.model.lock().unwrap().hours;
    for later in [0, 25, 50] {
        prune(&world.scene.open(), &prune_at(hours + later)).unwrap();
    }
    holds("in the end");
    let model = world.model.lock().unwrap();
    let survived = world.scene.survives(&model.acknowledged);
    assert_eq!(survived, Ok(()), "seed {seed}:\n{}", model.told.join("\n"));
    if seed.is_multiple_of(20) {
        world.scene.restic_finds_nothing("several_at_once_lose_nothing_that_was_acknowledged");
    }
    (model.done, model.refused)
}

#[test]
fn several_at_once_lose_nothing_that_was_acknowledged() {
    let (mut done, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let (more, less) = run(seed);
        done += more;
        refused += less;
    }
    println!("{SEEDS} seeds: {done} acts went through, {refused} were refused");
    assert!(done > 150 && refused > 15, "{done} {refused}");
}

/// A machine that sleeps for two days in the midst of a backup, while the others forget, mark and remove.
#[test]
fn a_backup_that_slept_through_both_phases_of_a_prune_fails_or_can_be_restored() {
    let (mut failed, mut went_well) = (0, 0);
    for at in (0..40).step_by(2) {
        let scene = Arc::new(Scene::new());
        let mut acknowledged = Acknowledged::new();
        for seed in 1..3 {
            scene.backup(&scene.open(), &mut acknowledged);
            scene.change(seed);
        }
        // What the first snapshot holds is what the sleeper finds, and what is forgotten meanwhile.
        scene.change(0);
        let (others, changes) = (Arc::clone(&scene), Mutex::new(0));
        let disk = Watched::new(&scene.vault_dir(), move |_, step| {
            let mut changes = changes.lock().unwrap();
            *changes += usize::from(step.is_change());
            if *changes == at + 1 && step.is_change() {
                for lock in std::fs::read_dir(others.vault_dir().join("locks")).unwrap() {
                    std::fs::remove_file(lock.unwrap().path()).unwrap();
                }
                let vault = others.open();
                vault.forget(&keep_newest(1)).unwrap();
                for hours in [0, 25] {
                    prune(&vault, &prune_at(hours)).unwrap();
                }
            }
            Verdict::Do
        });
        let content = census(&scene.source());
        let told = scene.open_on(disk).and_then(|vault| vault.backup(scene.request(), &|_| ()));
        acknowledged.retain(|id, _| scene.open().find(id).is_ok());
        match &told {
            Ok(report) => {
                went_well += 1;
                acknowledged.insert(report.snapshot.clone().unwrap().0, content);
            }
            Err(_) => failed += 1,
        }
        prune(&scene.open(), &prune_at(50)).unwrap();
        assert_eq!(scene.survives(&acknowledged), Ok(()), "before change {at}: {told:?}");
    }
    println!("{went_well} sleepers ended well, {failed} were told that they did not");
    assert!(failed > 0 && went_well > 0);
}
