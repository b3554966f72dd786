//! Forgetting and pruning: what is needed stays, whoever else works on the vault and whenever the process dies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use recover::Error;
use recover::vault::{
    CheckLevel, Fate, ForgetRequest, KeyCost, MaxUnused, Moment, Override, Period, Phase, PruneRequest,
    Rules, Snapshot, Unlock, Vault,
};

use crate::support::{PASSWORD, Place, below, census, noise, password};

/// A moment so many hours before or after the present, without an uptime: as another machine would see it.
fn at_hour(hours: i64) -> Moment {
    Moment { at: Timestamp::now() + SignedDuration::from_hours(hours), uptime: None }
}

pub(crate) fn prune_at(hours: i64) -> PruneRequest {
    PruneRequest { max_unused: MaxUnused::Bytes(0), now: at_hour(hours), ..PruneRequest::now() }
}

/// Backs up as if it were so many hours ago.
pub(crate) fn backup_ago(place: &Place, hours: i64) -> String {
    let mut request = place.request();
    request.time = Timestamp::now() - SignedDuration::from_hours(hours);
    place.vault.backup(request, &|_| ()).unwrap().snapshot.unwrap().0
}

/// Ten snapshots, a day apart: each file changes now and then, one stays.
pub(crate) fn ten_days(place: &Place) -> Vec<String> {
    days(place, 10)
}

fn days(place: &Place, count: u64) -> Vec<String> {
    place.write("stays", noise(1, 300_000));
    let mut ids = Vec::new();
    for day in 0..count {
        place.write(&format!("day-{day}"), noise(100 + day, 200_000));
        place.write("changes", noise(200 + day, 150_000));
        place.write("text", format!("day {day}\n").repeat(3000));
        if day >= 3 {
            fs::remove_file(place.source().join(format!("day-{}", day - 3))).unwrap();
        }
        ids.push(backup_ago(place, (count - day) as i64 * 24));
    }
    ids
}

/// A place on a file system in memory, where there is one: tests that write thousands of files do not wait for the disk.
pub(crate) fn in_memory() -> Place {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return Place::new() };
    let vault = Vault::init_with_cost(&dir.path().join("vault"), &password(), KeyCost::TEST).unwrap();
    fs::create_dir(dir.path().join("source")).unwrap();
    Place { dir, vault }
}

pub(crate) fn keep(period: Period, count: u32) -> ForgetRequest {
    let rules = Rules { keep: [(period, count)].into(), ..Rules::default() };
    let mut request = ForgetRequest::by_rules(rules);
    request.generations.keep = 0;
    request.zone = TimeZone::UTC;
    request
}

pub(crate) fn ids(vault: &Vault) -> BTreeSet<String> {
    vault.snapshots().unwrap().0.into_iter().map(|snapshot| snapshot.id.0).collect()
}

/// A snapshot and what it restores to.
type Restored = (Snapshot, Vec<(Vec<u8>, String)>);

/// Every snapshot restores byte for byte as it did before; returns nothing, fails loudly.
fn restores_as(place: &Place, expected: &[Restored]) {
    let vault = place.reopen();
    for (snapshot, before) in expected {
        let target = place.dir.path().join("again");
        let report = vault.restore(snapshot, &target, &[], &|_| ()).unwrap();
        assert_eq!(report.not_restored, [], "{}", snapshot.id.0);
        assert_eq!(contents(&target, &place.source()), *before, "{}", snapshot.id.0);
        fs::remove_dir_all(target).unwrap();
    }
}

fn contents(target: &Path, source: &Path) -> Vec<(Vec<u8>, String)> {
    census(&below(target, source)).into_iter().collect()
}

/// What each of these snapshots restores to now.
fn restored(place: &Place, wanted: &BTreeSet<String>) -> Vec<Restored> {
    let vault = place.reopen();
    let mut all = Vec::new();
    for id in wanted {
        let snapshot = vault.find(id).unwrap();
        let target = place.dir.path().join("before");
        assert_eq!(vault.restore(&snapshot, &target, &[], &|_| ()).unwrap().not_restored, []);
        all.push((snapshot, contents(&target, &place.source())));
        fs::remove_dir_all(target).unwrap();
    }
    all
}

pub(crate) fn is_whole(place: &Place) {
    let report = place.reopen().check(CheckLevel::ReadData, &|_| ()).unwrap();
    assert!(report.is_whole(), "{report:?}");
}

fn size(place: &Place) -> u64 {
    place.packs().iter().map(|pack| fs::metadata(pack).unwrap().len()).sum()
}

#[test]
fn a_prune_plans_marks_waits_and_removes_and_a_stock_restic_agrees_at_each_step() {
    let test = "a_prune_plans_marks_waits_and_removes_and_a_stock_restic_agrees_at_each_step";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    ten_days(&place);
    let plan = place.vault.forget(&keep(Period::Each, 3)).unwrap();
    assert_eq!(plan.with(Fate::Forgotten).len(), 7);
    assert_eq!(ids(&place.vault).len(), 3);
    let expected = restored(&place, &ids(&place.vault));

    let before = size(&place);
    let plan = place.vault.plan_prune(&prune_at(0)).unwrap();
    assert_eq!((size(&place), plan.bytes_before), (before, before), "a plan changes nothing");
    assert!(plan.remove.packs > 0 && plan.repack.packs > 0 && plan.unused_after == 0, "{plan:?}");

    let report = place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!((report.plan.remove, report.plan.repack, report.removed.packs), (plan.remove, plan.repack, 0));
    assert_eq!(report.marked.packs, plan.remove.packs + plan.repack.packs);
    assert_eq!(size(&place), before + report.written.bytes, "nothing is removed before the delay is over");
    place.restic(&restic, &["check", "--read-data"]);
    restores_as(&place, &expected);

    // A backup does not take over what is marked.
    let packs = place.packs().len();
    backup_ago(&place, 0);
    let waiting = place.vault.plan_prune(&prune_at(23)).unwrap();
    assert_eq!((waiting.waiting.packs, waiting.due.packs), (report.marked.packs, 0), "{waiting:?}");
    assert_eq!(waiting.take_back.packs, 0);
    place.vault.prune(&prune_at(23), &|_| ()).unwrap();
    assert!(place.packs().len() >= packs);

    let report = place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert_eq!((report.removed.packs, report.problems.len()), (waiting.waiting.packs, 0));
    assert!(size(&place) <= plan.bytes_after + 100_000, "{} {plan:?}", size(&place));
    assert!(place.vault.plan_prune(&prune_at(26)).unwrap().is_empty());
    is_whole(&place);
    restores_as(&place, &expected);
    let said = place.restic(&restic, &["check", "--read-data", "--check-unused"]);
    assert!(said.status.success());
    for (snapshot, before) in &expected {
        let target = place.dir.path().join("by-restic");
        place.restic(&restic, &["restore", &snapshot.id.0, "--target", target.to_str().unwrap()]);
        assert_eq!(contents(&target, &place.source()), *before);
        fs::remove_dir_all(target).unwrap();
    }
    assert_eq!(fs::read_dir(place.vault_dir().join("chartward/forgotten")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(place.vault_dir().join("chartward/removals")).unwrap().count(), 0);
}

#[test]
fn until_it_is_carried_out_a_prune_and_a_forget_can_be_taken_back() {
    let test = "until_it_is_carried_out_a_prune_and_a_forget_can_be_taken_back";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    let all = ten_days(&place);
    let expected = restored(&place, &all.iter().cloned().collect());
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let marked = place.vault.prune(&prune_at(0), &|_| ()).unwrap().marked;
    // An incident's hold keeps everybody from pruning, and nobody from taking back.
    let hold = place.vault.hold().unwrap();
    assert!(matches!(place.vault.prune(&prune_at(30), &|_| ()), Err(Error::Locked { .. })));
    assert!(matches!(place.vault.forget(&keep(Period::Each, 1)), Err(Error::Locked { .. })));
    let cancelled = place.vault.cancel_prune().unwrap();
    assert_eq!((cancelled.packs.packs, cancelled.problems), (marked.packs, vec![]));
    for id in &all[..8] {
        assert_eq!(place.vault.unforget(&id[..12]).unwrap().id.0, *id);
    }
    drop(hold);
    restores_as(&place, &expected);
    is_whole(&place);
    place.restic(&restic, &["check", "--read-data"]);
    // Nothing is due: the next plan begins anew.
    assert_eq!(place.vault.plan_prune(&prune_at(30)).unwrap().due.packs, 0);

    // When it was carried out, what is gone is said.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    let forgotten = place.vault.forgotten().unwrap();
    assert_eq!(forgotten.len(), 8);
    for pack in place.packs() {
        let is_listed = place.reopen().damaged_packs();
        assert_eq!(is_listed, 0, "{pack:?}");
    }
    place.vault.prune(&PruneRequest { delay: SignedDuration::ZERO, ..prune_at(1) }, &|_| ()).unwrap();
    assert!(matches!(place.vault.unforget(&all[0]), Err(Error::SnapshotNotFound { .. })));
}

#[test]
fn a_snapshot_that_is_forgotten_again_waits_as_long_as_the_first_time() {
    let place = in_memory();
    let all = ten_days(&place);
    let forget_at = |hours| {
        let request = ForgetRequest { now: at_hour(hours).at, ..ForgetRequest::by_ids(vec![all[0].clone()]) };
        place.vault.forget(&request).unwrap();
    };
    forget_at(-72);
    place.vault.unforget(&all[0]).unwrap();
    forget_at(0);
    // The note of three days ago is due; that of today is not.
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    assert_eq!(place.vault.unforget(&all[0]).unwrap().id.0, all[0]);
}

/// The files that a killed prune may leave behind are told from what it must not touch by a copy of the vault.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

const KILLED: &str = "CHARTWARD_TEST_PRUNE";

#[test]
fn a_prune_that_is_killed_at_any_moment_leaves_a_vault_that_restores_everything() {
    if let Some(dir) = std::env::var_os(KILLED) {
        // The process that is killed: both phases, one after the other.
        let vault = Vault::open(&PathBuf::from(dir), &password()).unwrap();
        vault.prune(&prune_at(0), &|_| ()).unwrap();
        vault.prune(&prune_at(25), &|_| ()).unwrap();
        return;
    }
    let place = in_memory();
    days(&place, 5);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let expected = restored(&place, &ids(&place.vault));
    let whole = place.dir.path().join("whole");
    copy(&place.vault_dir(), &whole);
    let restic = testkit::tool("a_prune_that_is_killed_at_any_moment (restic's own check)", "restic");
    let prune = || {
        let name =
            "vault_prune::a_prune_that_is_killed_at_any_moment_leaves_a_vault_that_restores_everything";
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--test-threads", "1"])
            .env(KILLED, place.vault_dir())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    };
    let again = || {
        fs::remove_dir_all(place.vault_dir()).unwrap();
        copy(&whole, &place.vault_dir());
    };
    let begun = std::time::Instant::now();
    assert!(prune().wait().unwrap().success());
    let full = begun.elapsed();
    is_whole(&place);
    let smallest = size(&place);
    let mut seed = 0x5eed_u64;
    let mut seen = BTreeSet::new();
    for round in 0..160_u32 {
        // On a busy machine they may all come too early: then there are more, and later ones.
        if round >= 40 && seen.len() > 3 {
            break;
        }
        again();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = prune();
        let within = full * (1 + round / 40);
        std::thread::sleep(within.mul_f64((seed >> 40) as f64 / f64::from(1 << 24)));
        child.kill().unwrap();
        child.wait().unwrap();
        let indexes = fs::read_dir(place.vault_dir().join("index")).unwrap().count();
        // In blocks: how far a pack was written counts, how well an index packs does not.
        let state = (place.packs().len(), indexes, size(&place) / 4096);
        seen.insert(state);
        is_whole(&place);
        restores_as(&place, &expected);
        if let (Some(restic), 0) = (&restic, round % 10) {
            place.restic(restic, &["unlock"]);
            place.restic(restic, &["check", "--read-data"]);
        }
        // The next one ends what this one began.
        if round % 5 == 0 {
            let vault = place.reopen();
            vault.prune(&prune_at(50), &|_| ()).unwrap();
            vault.prune(&prune_at(75), &|_| ()).unwrap();
            is_whole(&place);
            restores_as(&place, &expected);
            assert!(size(&place) <= smallest + smallest / 10, "{} {smallest}", size(&place));
        }
    }
    assert!(seen.len() > 3, "the kills hit the same moment: {seen:?}");
}

/// Processes that a test started are ended by it, also when it fails.
pub(crate) struct Running(pub(crate) std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn while_a_stock_restic_backs_up_nobody_prunes_and_the_other_way_round() {
    let test = "while_a_stock_restic_backs_up_nobody_prunes_and_the_other_way_round";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let place = in_memory();
    ten_days(&place);
    // A backup that reads from a pipe goes on until the pipe ends.
    let mut running = Running(
        Command::new(&restic)
            .args(["--no-cache", "-q", "backup", "--stdin", "-r"])
            .arg(place.vault_dir())
            .env("RESTIC_PASSWORD", PASSWORD)
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap(),
    );
    // Not counting one that is still being written under another name.
    let is_named = |entry: &fs::DirEntry| entry.file_name().len() == 64;
    let locks = || fs::read_dir(place.vault_dir().join("locks")).unwrap().flatten().filter(is_named).count();
    while locks() == 0 && running.0.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let refused = place.vault.prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(
        matches!(&refused, Error::Locked { by, .. } if by.contains(&running.0.id().to_string())),
        "{refused}"
    );
    assert!(matches!(place.vault.forget(&keep(Period::Each, 1)), Err(Error::Locked { .. })));
    assert!(matches!(place.vault.remove_key("00"), Err(Error::Locked { .. })));
    // Its process lives, so its lock is nobody else's to remove.
    assert_eq!(place.vault.unlock(Unlock::All).unwrap(), Vec::<String>::new());
    std::io::Write::write_all(&mut running.0.stdin.take().unwrap(), b"from a pipe").unwrap();
    assert!(running.0.wait().unwrap().success());

    // The other way round: from within a prune, everybody else is refused.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let asked = std::cell::Cell::new(false);
    let report = place.vault.prune(&prune_at(0), &|progress| {
        if progress.phase == Phase::Repack && !asked.replace(true) {
            let said = place.restic_unchecked(&restic, &["backup", place.source().to_str().unwrap()]);
            assert!(String::from_utf8_lossy(&said.stderr).contains("exclusively"), "{said:?}");
            assert!(matches!(place.reopen().backup(place.request(), &|_| ()), Err(Error::Locked { .. })));
            assert!(matches!(place.reopen().prune(&prune_at(0), &|_| ()), Err(Error::Locked { .. })));
        }
    });
    assert!(asked.get(), "{report:?}");
    assert_eq!(locks(), 0);
    is_whole(&place);
    place.restic(&restic, &["check", "--read-data"]);
}

#[test]
fn a_lock_that_was_removed_under_a_prune_ends_it_before_anything_is_removed() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let before = place.packs();
    let expected = restored(&place, &ids(&place.vault));
    let result = place.vault.prune(&prune_at(0), &|progress| {
        if progress.phase == Phase::Repack {
            for lock in fs::read_dir(place.vault_dir().join("locks")).unwrap() {
                fs::remove_file(lock.unwrap().path()).unwrap();
            }
        }
    });
    assert!(matches!(result, Err(Error::LockLost { .. })), "{result:?}");
    assert!(before.iter().all(|pack| pack.exists()));
    is_whole(&place);
    restores_as(&place, &expected);
    // What is unfinished is taken up: both indexes are there, and the marks count for nothing until the next run's.
    place.vault.prune(&prune_at(30), &|_| ()).unwrap();
    assert!(place.vault.prune(&prune_at(31), &|_| ()).unwrap().removed.packs == 0);
    assert!(place.vault.prune(&prune_at(60), &|_| ()).unwrap().removed.packs > 0);
    is_whole(&place);
    restores_as(&place, &expected);
}

#[test]
fn what_a_stock_restic_wrote_is_pruned_by_us_and_what_it_prunes_is_read_by_us() {
    let test = "what_a_stock_restic_wrote_is_pruned_by_us_and_what_it_prunes_is_read_by_us";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    // Version 1, version 2, and version 2 with what version 1 had stored uncompressed.
    for (version, upgrade) in [("1", false), ("2", false), ("1", true)] {
        let place = in_memory();
        fs::remove_dir_all(place.vault_dir()).unwrap();
        place.restic(&restic, &["init", "--repository-version", version]);
        let source = place.source();
        let source = source.to_str().unwrap();
        for day in 0..4_u64 {
            place.write("changes", noise(day, 150_000));
            place.write(&format!("text-{day}"), format!("day {day}\n").repeat(20_000));
            place.write(&format!("small-{day}"), noise(50 + day, 3000));
            if day == 2 {
                fs::remove_file(place.source().join("text-0")).unwrap();
                if upgrade {
                    place.restic(&restic, &["migrate", "upgrade_repo_v2"]);
                }
            }
            place.restic(&restic, &["backup", source]);
        }
        let vault = place.reopen();
        let plan = vault.forget(&keep(Period::Each, 2)).unwrap();
        assert_eq!(plan.with(Fate::Forgotten).len(), 2);
        let expected = restored(&place, &ids(&vault));
        let report = vault.prune(&prune_at(0), &|_| ()).unwrap();
        assert!(report.marked.packs > 0 && report.problems.is_empty(), "{report:?}");
        assert!(vault.prune(&prune_at(25), &|_| ()).unwrap().removed.packs > 0);
        is_whole(&place);
        restores_as(&place, &expected);
        place.restic(&restic, &["check", "--read-data", "--check-unused"]);

        // Now it forgets and prunes, with marks of ours about that it does not know of.
        let all = ids(&vault);
        let newest = vault.find("latest").unwrap().id.0;
        vault
            .forget(&ForgetRequest {
                overriding: word(),
                ..ForgetRequest::by_ids(all.iter().filter(|id| **id != newest).cloned().collect())
            })
            .unwrap();
        vault.prune(&prune_at(0), &|_| ()).unwrap();
        place.write("later", noise(99, 100_000));
        place.restic(&restic, &["backup", source]);
        place.restic(&restic, &["forget", "--keep-last", "1", "--prune", "--max-unused", "0"]);
        is_whole(&place);
        let report = vault.prune(&prune_at(25), &|_| ()).unwrap();
        assert_eq!((report.removed.packs, report.problems), (0, vec![]));
        let (restored, report) = place.restore_latest("latest");
        assert_eq!(report.not_restored, []);
        assert_eq!(census(&restored), census(&place.source()));
        place.restic(&restic, &["check", "--read-data"]);
    }
}

pub(crate) fn word() -> Option<Override> {
    Some(Override { by: "Dr. Sato".to_owned(), reason: "a test".to_owned() })
}

#[test]
fn a_damaged_pack_is_named_and_stays() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 3)).unwrap();
    let plan = place.vault.plan_prune(&prune_at(0)).unwrap();
    assert!(plan.repack.packs > 1);
    // One bit of every pack: whichever is copied from, its damage is found.
    let before = place.packs();
    for pack in &before {
        let mut bytes = fs::read(pack).unwrap();
        let middle = bytes.len() / 3;
        // Data only: without its directories, nobody can tell what a snapshot needs.
        if bytes.len() > 100_000 {
            bytes[middle] ^= 4;
            fs::remove_file(pack).unwrap();
            fs::write(pack, bytes).unwrap();
        }
    }
    let lost = |place: &Place, name: &str| {
        let vault = place.reopen();
        let newest = vault.find("latest").unwrap();
        let target = place.dir.path().join(name);
        vault.restore(&newest, &target, &[], &|_| ()).unwrap().not_restored.len()
    };
    let lost_before = lost(&place, "damaged");
    let report = place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    assert!(!report.problems.is_empty(), "{report:?}");
    assert!(report.problems.iter().all(|text| text.contains("stays")), "{:?}", report.problems);
    place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert_eq!(lost(&place, "pruned"), lost_before, "nothing more is lost");
    for problem in &report.problems {
        let named =
            before.iter().filter(|pack| problem.contains(pack.file_name().unwrap().to_str().unwrap()));
        assert!(named.clone().count() == 1 && named.clone().all(|pack| pack.exists()), "{problem}");
    }
}

#[test]
fn nothing_is_removed_when_nobody_can_tell_what_is_needed() {
    let place = in_memory();
    let all = ten_days(&place);
    place.vault.forget(&keep(Period::Each, 3)).unwrap();
    let before = place.packs();
    let path = place.vault_dir().join("snapshots").join(&all[9]);
    let whole = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &whole[..40]).unwrap();
    let refused = place.vault.prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(refused.to_string().contains(&all[9][..8]) && refused.next_step().is_some(), "{refused}");
    fs::write(&path, &whole).unwrap();
    // Its root directory lies in the smallest pack of its day.
    let newest = place.vault.find("latest").unwrap();
    let trees = before.iter().filter(|pack| fs::metadata(pack).unwrap().len() < 20_000);
    for pack in trees {
        fs::rename(pack, pack.with_extension("away")).unwrap();
    }
    let refused = place.reopen().prune(&prune_at(0), &|_| ()).unwrap_err();
    assert!(matches!(refused, Error::NeedUnknown { .. }), "{refused} {newest:?}");
    for pack in &before {
        if !pack.exists() {
            fs::rename(pack.with_extension("away"), pack).unwrap();
        }
    }
    assert_eq!(place.packs(), before);
    place.reopen().prune(&prune_at(0), &|_| ()).unwrap();
    is_whole(&place);
}

#[test]
fn what_nobody_lists_is_taken_back_when_it_is_needed_and_marked_when_not() {
    let place = in_memory();
    ten_days(&place);
    let expected = restored(&place, &ids(&place.vault));
    // A damaged index and one that is gone: their packs' headers tell.
    let mut indexes: Vec<PathBuf> =
        fs::read_dir(place.vault_dir().join("index")).unwrap().map(|e| e.unwrap().path()).collect();
    indexes.sort();
    fs::remove_file(&indexes[0]).unwrap();
    let mut bytes = fs::read(&indexes[1]).unwrap();
    bytes[50] ^= 1;
    fs::remove_file(&indexes[1]).unwrap();
    fs::write(&indexes[1], bytes).unwrap();
    let report = place.reopen().prune(&prune_at(0), &|_| ()).unwrap();
    assert!(report.plan.take_back.packs >= 2 && report.problems.len() == 1, "{report:?}");
    assert_eq!((report.marked.packs, place.vault.notes()), (0, vec![]));
    is_whole(&place);
    restores_as(&place, &expected);
    assert_eq!(place.reopen().notes(), Vec::<String>::new());

    // A mark on what is needed after all, as a killed run may leave it, counts for nothing.
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    place.vault.prune(&prune_at(0), &|_| ()).unwrap();
    let forgotten = place.vault_dir().join("chartward/forgotten");
    for snapshot in fs::read_dir(&forgotten).unwrap() {
        let path = snapshot.unwrap().path();
        fs::rename(&path, place.vault_dir().join("snapshots").join(path.file_name().unwrap())).unwrap();
    }
    let report = place.vault.prune(&prune_at(25), &|_| ()).unwrap();
    assert!(report.plan.take_back.packs > 0, "{report:?}");
    place.vault.prune(&prune_at(50), &|_| ()).unwrap();
    is_whole(&place);
    restores_as(&place, &expected);
}

#[test]
fn an_incident_that_begins_while_a_prune_runs_stops_it() {
    let place = in_memory();
    ten_days(&place);
    place.vault.forget(&keep(Period::Each, 2)).unwrap();
    let before = place.packs();
    let holding = place.reopen();
    let wishes = || fs::read_dir(place.vault_dir().join("chartward/holds")).map_or(0, Iterator::count);
    std::thread::scope(|scope| {
        let asked = std::cell::Cell::new(false);
        let hold = std::cell::RefCell::new(None);
        let result = place.vault.prune(&prune_at(0), &|progress| {
            if progress.phase == Phase::Repack && !asked.replace(true) {
                hold.replace(Some(scope.spawn(|| holding.hold())));
                while wishes() == 0 {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        });
        assert!(matches!(result, Err(Error::Locked { .. })), "{result:?}");
        let hold = hold.into_inner().unwrap().join().unwrap().unwrap();
        assert!(matches!(place.vault.prune(&prune_at(0), &|_| ()), Err(Error::Locked { .. })));
        drop(hold);
    });
    assert_eq!(wishes(), 0);
    assert!(before.iter().all(|pack| pack.exists()));
    is_whole(&place);
    assert!(place.vault.prune(&prune_at(0), &|_| ()).unwrap().marked.packs > 0);
    is_whole(&place);
}
