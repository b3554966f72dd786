//! The process is killed at any step of a backup, a forget and a prune, in the middle of a write, too; the next one finds what it left.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::{Signal, getpid, kill_process};

use super::disk::{Step, Verdict, Watched};
use super::scene::{Acknowledged, Dice, Scene, keep_newest, prune, prune_at, prune_at_once};
use crate::support::census;

const SEED: u64 = 0x6b11;
const KILLS: usize = 200;
const TEST: &str = "durable::kill::a_vault_survives_two_hundred_kills_at_any_step";

/// What a child does, and at which change to the disk it dies.
#[derive(Debug, Clone, Copy)]
enum Job {
    Backup,
    Prune,
    PruneAtOnce,
}

/// The part of this test that is killed runs in a process of its own: this program again, told by its environment what to do.
fn run_as_child(dir: PathBuf) {
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let dies_at = number("CHARTWARD_DURABLE_KILL");
    let source = dir.join("source");
    let changes = std::sync::atomic::AtomicUsize::new(0);
    let disk = Watched::new(&dir.join("vault"), move |_, step| {
        if !step.is_change() {
            return Verdict::Do;
        }
        let change = changes.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        match step {
            // Half of the bytes first.
            Step::Write(..) if change == dies_at => Verdict::Half,
            _ if change >= dies_at => {
                kill_process(getpid(), Signal::KILL).unwrap();
                unreachable!("killed");
            }
            _ => Verdict::Do,
        }
    });
    let vault =
        recover::vault::Vault::open_on(disk, &dir.join("vault"), &crate::support::password()).unwrap();
    match number("CHARTWARD_DURABLE_JOB") {
        0 => {
            let request = recover::vault::BackupRequest::new(vec![source]);
            let id = vault.backup(request, &|_| ()).unwrap().snapshot.unwrap();
            std::fs::write(dir.join("acknowledged"), id.0).unwrap();
        }
        1 => {
            vault.forget(&keep_newest(3)).unwrap();
            prune(&vault, &prune_at(0)).unwrap();
            prune(&vault, &prune_at(25)).unwrap();
        }
        _ => {
            vault.forget(&keep_newest(2)).unwrap();
            prune(&vault, &prune_at_once()).unwrap();
        }
    }
}

/// Whether the child was killed; anything else that goes wrong in it is a failure.
fn run(scene: &Scene, job: Job, dies_at: usize) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--test-threads=1"])
        .env("CHARTWARD_DURABLE_DIR", scene.dir.path())
        .env("CHARTWARD_DURABLE_JOB", (job as usize).to_string())
        .env("CHARTWARD_DURABLE_KILL", dies_at.to_string())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let is_killed = output.status.signal() == Some(Signal::KILL.as_raw());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(is_killed || output.status.success(), "seed {SEED:#x}, {job:?} killed at {dies_at}: {told}");
    is_killed
}

#[test]
fn a_vault_survives_two_hundred_kills_at_any_step() {
    if let Some(dir) = std::env::var_os("CHARTWARD_DURABLE_DIR") {
        return run_as_child(PathBuf::from(dir));
    }
    let scene = Scene::new();
    let mut dice = Dice::new(SEED);
    let mut acknowledged = Acknowledged::new();
    scene.backup(&scene.open(), &mut acknowledged);
    let (mut kills, mut runs) = ([0; 3], 0);
    while kills.iter().sum::<usize>() < KILLS {
        runs += 1;
        scene.change(runs);
        let job = [Job::Backup, Job::Backup, Job::Prune, Job::PruneAtOnce][dice.roll(4)];
        // Most backups take some forty changes, most prunes fewer; those that are not reached let the vault grow.
        let dies_at = dice.roll(if matches!(job, Job::Backup) { 44 } else { 64 });
        let kept = match job {
            Job::Backup => usize::MAX,
            Job::Prune => 3,
            Job::PruneAtOnce => 2,
        };
        let before: Vec<String> = listed(&scene);
        let content = census(&scene.source());
        kills[job as usize] += usize::from(run(&scene, job, dies_at));
        let after = listed(&scene);
        // What was there and not to be forgotten is there; what has come is what the source is now.
        let stays = &before[before.len().saturating_sub(kept)..];
        assert!(
            stays.iter().all(|id| after.contains(id)),
            "seed {SEED:#x}, run {runs}: {job:?} at {dies_at}"
        );
        acknowledged.retain(|id, _| after.contains(id));
        for id in after.iter().filter(|id| !before.contains(id)) {
            acknowledged.insert(id.clone(), content.clone());
        }
        if let Ok(id) = std::fs::read_to_string(scene.dir.path().join("acknowledged")) {
            assert!(
                after.contains(&id),
                "seed {SEED:#x}, run {runs}: {id} was acknowledged and is not listed"
            );
            std::fs::remove_file(scene.dir.path().join("acknowledged")).unwrap();
        }
        if runs % 8 == 0 {
            let survived = scene.survives(&acknowledged);
            assert_eq!(survived, Ok(()), "seed {SEED:#x}, run {runs}: {job:?} killed at {dies_at}");
        }
        if runs % 75 == 0 {
            scene.restic_finds_nothing(TEST);
        }
    }
    println!("{kills:?} kills in backup, prune and prune at once, of {runs} runs");
    assert!(kills.iter().all(|kills| *kills > 30), "{kills:?}");
    // The next ones go through and leave nothing behind.
    scene.backup(&scene.open(), &mut acknowledged);
    scene.open().forget(&keep_newest(2)).unwrap();
    prune(&scene.open(), &prune_at_once()).unwrap();
    let left = listed(&scene);
    acknowledged.retain(|id, _| left.contains(id));
    assert_eq!((left.len(), scene.survives(&acknowledged)), (2, Ok(())));
    scene.restic_finds_nothing(TEST);
    assert_eq!(temporary_files(&scene.vault_dir()), Vec::<PathBuf>::new());
}

fn listed(scene: &Scene) -> Vec<String> {
    scene.open().snapshots().unwrap().0.into_iter().map(|snapshot| snapshot.id.0).collect()
}

fn temporary_files(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(temporary_files(&path));
        } else if path.to_string_lossy().contains("-tmp-") {
            found.push(path);
        }
    }
    found
}
