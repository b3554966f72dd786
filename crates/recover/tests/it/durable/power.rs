//! The power fails after each step that a vault takes on its disk.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use recover::vault::{KeyCost, Password, Vault};

use super::disk::{Named, Step, Verdict, Watched};
use super::scene::{
    Acknowledged, Content, Dice, Scene, in_memory, is_intact, keep_newest, prune, prune_at, prune_at_once,
    said,
};
use super::volume::{Remains, Volume};
use crate::support::{PASSWORD, census, password};

const SEED: u64 = 0x0da_2018;

/// What happened, in order.
#[derive(Debug, Clone)]
enum Event {
    Step(Step),
    /// The operator was told that this snapshot is there.
    Acknowledged(String, Content),
    /// Somebody set out to forget these snapshots.
    Leaving(Vec<String>),
    /// From here on one of these passphrases has to open the vault.
    Passphrases(Vec<&'static str>),
}

/// Keeps what happens.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    fn disk(&self, root: &Path) -> Arc<Watched> {
        let log = self.clone();
        Watched::new(root, move |_, step| {
            if step.is_change() {
                log.note(Event::Step(step.clone()));
            }
            Verdict::Do
        })
    }

    fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }

    fn backup(&self, scene: &Scene, vault: &Vault) {
        let content = census(&scene.source());
        let id = vault.backup(scene.request(), &|_| ()).unwrap().snapshot.unwrap().0;
        self.note(Event::Acknowledged(id, content));
    }

    fn forget(&self, vault: &Vault, keep: u32) {
        let ids: Vec<String> = vault.snapshots().unwrap().0.into_iter().map(|s| s.id.0).collect();
        self.note(Event::Leaving(ids[..ids.len() - keep as usize].to_vec()));
        vault.forget(&keep_newest(keep)).unwrap();
    }
}

/// What a power loss must leave.
#[derive(Clone, Default)]
struct Owed {
    acknowledged: Acknowledged,
    passphrases: Vec<&'static str>,
}

/// One state after a power loss, with what it must hold.
struct Case {
    after: usize,
    remains: Remains,
    owed: Owed,
}

/// Every state that is tried for these events: for each step what may be left after it, each only once.
fn cases(start: Volume, events: &[Event], seed: u64, random: usize) -> Vec<Case> {
    let mut volume = start;
    let mut owed = Owed { passphrases: vec![PASSWORD], ..Owed::default() };
    let (mut dice, mut seen, mut cases) = (Dice::new(seed), HashSet::new(), Vec::new());
    for (after, event) in events.iter().enumerate() {
        match event {
            Event::Step(step) => volume.step(step),
            Event::Acknowledged(id, content) => {
                owed.acknowledged.insert(id.clone(), content.clone());
                seen.clear();
            }
            Event::Leaving(ids) => ids.iter().for_each(|id| {
                owed.acknowledged.remove(id);
            }),
            Event::Passphrases(these) => {
                owed.passphrases = these.clone();
                seen.clear();
            }
        }
        for remains in volume.remains(&mut dice, random) {
            if seen.insert(remains.fingerprint()) {
                cases.push(Case { after, remains, owed: owed.clone() });
            }
        }
    }
    cases
}

/// Lays each case out and asks, until `enough` have failed; returns what those say.
fn failures(
    cases: &[Case],
    events: &[Event],
    enough: usize,
    ask: &(dyn Fn(&Path, &Case, usize) -> Result<(), String> + Sync),
) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let place = in_memory();
                let root = place.path().join("vault");
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    let has_enough = found.lock().unwrap().len() >= enough;
                    let Some(case) = cases.get(number).filter(|_| !has_enough) else { break };
                    case.remains.lay_out(&root);
                    if let Err(error) = ask(&root, case, number) {
                        let last = match &events[case.after] {
                            Event::Step(Step::Write(path, bytes)) => {
                                format!("a write of {} bytes to {path:?}", bytes.len())
                            }
                            Event::Step(step) => format!("{step:?}"),
                            _ => "an acknowledgement".to_owned(),
                        };
                        let text =
                            format!("seed {SEED:#x}, case {number}, event {} ({last}): {error}", case.after);
                        found.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn open(root: &Path, passphrases: &[&str]) -> Result<Vault, String> {
    let mut failure = String::new();
    for passphrase in passphrases {
        match Vault::open(root, &Password::new(*passphrase)) {
            Ok(vault) => return Ok(vault),
            Err(error) => failure = said(error),
        }
    }
    Err(format!("it does not open: {failure}"))
}

/// The vault opens and is intact; in every third case the next backup and a prune go well, too.
fn goes_on(root: &Path, source: &Path, case: &Case, number: usize) -> Result<(), String> {
    let vault = open(root, &case.owed.passphrases)?;
    is_intact(&vault, source, &case.owed.acknowledged)?;
    if number.is_multiple_of(3) {
        let content = census(source);
        let request = recover::vault::BackupRequest::new(vec![source.to_owned()]);
        let report = vault.backup(request, &|_| ()).map_err(|e| format!("the next backup: {}", said(e)))?;
        prune(&vault, &prune_at_once()).map_err(|e| format!("the next prune: {}", said(e)))?;
        let mut owed = case.owed.acknowledged.clone();
        owed.insert(report.snapshot.unwrap().0, content);
        let vault = open(root, &case.owed.passphrases)?;
        is_intact(&vault, source, &owed).map_err(|e| format!("after the next backup: {e}"))?;
    }
    Ok(())
}

/// Two backups, a forget, both phases of a prune, another passphrase and its change.
fn a_life(scene: &Scene) -> (Volume, Vec<Event>) {
    let log = Log::default();
    let start = Volume::of(&scene.vault_dir());
    let mut vault = scene.open_on(log.disk(&scene.vault_dir())).unwrap();
    for seed in 1..4 {
        log.backup(scene, &vault);
        scene.change(seed);
    }
    log.backup(scene, &vault);
    log.forget(&vault, 2);
    prune(&vault, &prune_at(0)).unwrap();
    let removed = prune(&vault, &prune_at(25)).unwrap().removed;
    assert!(removed.packs > 0);
    log.forget(&vault, 1);
    prune(&vault, &prune_at_once()).unwrap();
    vault.add_key(&password(), &Password::new("second"), KeyCost::TEST).unwrap();
    log.note(Event::Passphrases(vec!["second"]));
    log.note(Event::Passphrases(vec![PASSWORD]));
    vault.change_password(&password(), &Password::new("third"), KeyCost::TEST).unwrap();
    log.note(Event::Passphrases(vec!["third"]));
    (start, log.events())
}

#[test]
fn whatever_a_power_loss_leaves_what_was_acknowledged_is_there_and_the_next_backup_succeeds() {
    let scene = Scene::new();
    let (start, mut events) = a_life(&scene);
    // While the passphrase is changed, one of the two opens.
    let changing =
        events.iter().position(|e| matches!(e, Event::Passphrases(these) if *these == [PASSWORD])).unwrap();
    events[changing] = Event::Passphrases(vec![PASSWORD, "third"]);
    let cases = cases(start, &events, SEED, 2);
    let source = scene.source();
    let failed = failures(&cases, &events, 20, &|root, case, number| goes_on(root, &source, case, number));
    println!("{} states after power losses at {} steps", cases.len(), events.len());
    assert!(cases.len() > 300);
    assert!(failed.is_empty(), "{} of {} fail: {}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn an_init_that_a_power_loss_ends_can_be_begun_again() {
    let scene = Scene { dir: in_memory() };
    scene.fill();
    let log = Log::default();
    let start = Volume::of(&scene.vault_dir());
    Vault::init_on(log.disk(&scene.vault_dir()), &scene.vault_dir(), &password(), KeyCost::TEST).unwrap();
    log.note(Event::Acknowledged("the vault".to_owned(), Content::new()));
    let events = log.events();
    let mut cases = cases(start, &events, SEED, 1);
    let is_prefix =
        |path: &PathBuf| path.starts_with("data") && path.file_name().is_some_and(|n| n != "data");
    cases.retain(|case| match &events[case.after] {
        Event::Step(Step::MakeDir(path)) if is_prefix(path) => case.after.is_multiple_of(10),
        _ => true,
    });
    let source = scene.source();
    let failed = failures(&cases, &events, 20, &|root, case, _| {
        let vault = match Vault::open(root, &password()) {
            Ok(vault) => vault,
            Err(error) if !case.owed.acknowledged.is_empty() => return Err(said(error)),
            Err(_) => Vault::init_with_cost(root, &password(), KeyCost::TEST).map_err(said)?,
        };
        let request = recover::vault::BackupRequest::new(vec![source.clone()]);
        let content = census(&source);
        let id = vault.backup(request, &|_| ()).map_err(said)?.snapshot.unwrap().0;
        is_intact(&open(root, &[PASSWORD])?, &source, &[(id, content)].into())
    });
    println!("{} states of an init", cases.len());
    assert!(cases.len() > 40);
    assert!(failed.is_empty(), "{} of {} fail; the first: {}", failed.len(), cases.len(), failed[0]);
}

/// The test of the test: without any one kind of flush, something is lost.
#[test]
fn the_replay_notices_each_flush_that_is_left_out() {
    let scene = Scene::new();
    let log = Log::default();
    let start = Volume::of(&scene.vault_dir());
    let vault = scene.open_on(log.disk(&scene.vault_dir())).unwrap();
    log.backup(&scene, &vault);
    scene.change(1);
    log.backup(&scene, &vault);
    log.forget(&vault, 1);
    prune(&vault, &prune_at_once()).unwrap();
    let flushes: &[Named] = &[
        ("of files", |step| matches!(step, Step::Flush(_))),
        ("of snapshots", |step| matches!(step, Step::Flush(path) if path.starts_with("snapshots"))),
        ("of packs", |step| matches!(step, Step::Flush(path) if path.starts_with("data"))),
        ("of the index", |step| matches!(step, Step::Flush(path) if path.starts_with("index"))),
        ("of all folders", |step| matches!(step, Step::FlushDir(_))),
        ("of the folder of snapshots", |step| *step == Step::FlushDir("snapshots".into())),
        ("of the folder of the index", |step| *step == Step::FlushDir("index".into())),
        ("of the folders of packs", |step| matches!(step, Step::FlushDir(path) if path.starts_with("data"))),
    ];
    for (what, is_left_out) in flushes {
        let mut events = log.events();
        events.retain(|event| !matches!(event, Event::Step(step) if is_left_out(step)));
        // What is lost shows at the latest when something was acknowledged.
        let mut cases = cases(start.clone(), &events, SEED, 2);
        cases.retain(|case| {
            events[case.after..].iter().take(2).any(|e| !matches!(e, Event::Step(_))) || case.after % 9 == 0
        });
        let source = scene.source();
        let failed = failures(&cases, &events, 1, &|root, case, _| {
            is_intact(&open(root, &[PASSWORD])?, &source, &case.owed.acknowledged)
        });
        assert!(!failed.is_empty(), "nothing is lost without the flush {what} in {} cases", cases.len());
    }
}
