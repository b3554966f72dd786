//! Drills of stores that are sound, damaged, under attack, too large or full of malware.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::capture::{CaptureRequest, capture};
use recover::drill::{DrillRequest, SampleRequest, SampleSize, Scanner, drill, promised};
use recover::proof::{self, Earlier, RestoredTo};
use recover::vault::Snapshot;
use schema::{Drill, ShortfallKind};

use crate::support::{Place, noise};

const PATIENTS: u32 = 40;

/// A store of patients with one chart each, and documents beside it.
struct Store {
    place: Place,
}

impl Store {
    fn new() -> Store {
        let store = Store { place: Place::new() };
        (0..PATIENTS).for_each(|number| store.patient(number, number));
        for number in 0..60 {
            let text = format!("finding {number}\n").repeat(200 + number);
            store.place.write(&format!("letters/{number}.txt"), text);
        }
        store
    }

    fn record(&self, number: u32) -> PathBuf {
        let id = format!("{number:010}");
        self.place.source().join(format!(
            "ssmix2/{}/{}/{id}/-/ADT-00/{id}_-_ADT-00_999999999999999_20260101120000000_-_1",
            &id[..3],
            &id[3..6]
        ))
    }

    /// A record that is filed under one patient and names another, or the same.
    fn patient(&self, number: u32, named: u32) {
        let path = self.record(number);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let message = format!(
            "MSH|^~\\&|H|S|G|R|20260101||ADT^A08|1|P|2.5\rPID|1||{named:010}||Yamada^{number}||19480405|M\r"
        );
        fs::write(path, message).unwrap();
    }

    fn capture(&self) -> Snapshot {
        let staging = tempfile::tempdir_in(self.place.dir.path()).unwrap();
        let request = CaptureRequest {
            pulled: Vec::new(),
            moment: recover::capture::MomentChoice::Auto,
            filter: recover::vault::Filter::default(),
            time: None,
            cache: None,
            parent: recover::vault::ParentChoice::Newest,
            roots: vec![self.place.source()],
            sources: Vec::new(),
            exclude: Vec::new(),
            tags: Vec::new(),
            hostname: "emr".to_owned(),
            zone: TimeZone::UTC,
            staging: staging.path().to_path_buf(),
            recovery: Vec::new(),
        };
        let id = capture(&self.place.vault, &request, &Timestamp::now, &|_| ()).unwrap().snapshot;
        self.place.vault.find(&id.0).unwrap()
    }

    /// Drills and writes the proof, as the command does.
    fn drill(&self, snapshot: &Snapshot, sample: Option<&SampleRequest>, scanner: &Scanner) -> Drill {
        let previous: Option<Earlier> = proof::newest_proven_before(&self.place.vault, snapshot).unwrap();
        let sandbox = tempfile::tempdir_in(self.place.dir.path()).unwrap();
        let engines = tempfile::tempdir_in(self.place.dir.path()).unwrap();
        let request = DrillRequest {
            snapshot,
            sandbox: sandbox.path(),
            engines: Some(engines.path()),
            previous: previous.as_ref(),
            sample,
            scanner,
            zone: TimeZone::UTC,
            now: &Timestamp::now,
        };
        let vault = self.place.reopen();
        let drill = drill(&vault, &request, &|_| ()).unwrap();
        let proof = proof::of_drill(&drill, vault.id(), RestoredTo::Disk);
        proof::store(&vault, &proof, b"{}").unwrap();
        drill
    }

    fn prove(&self) -> Drill {
        self.drill(&self.capture(), None, &nobody())
    }
}

fn nobody() -> Scanner {
    Scanner::None("a test".to_owned())
}

fn kinds(drill: &Drill) -> Vec<ShortfallKind> {
    let mut kinds: Vec<ShortfallKind> = drill.shortfalls.iter().map(|shortfall| shortfall.kind).collect();
    kinds.dedup();
    kinds
}

#[test]
fn a_sound_store_is_proven_by_hashes_charts_and_times_of_each_group() {
    let store = Store::new();
    let snapshot = store.capture();
    let drill = store.drill(&snapshot, None, &nobody());
    assert_eq!((drill.shortfalls.as_slice(), drill.remarks.as_slice()), (&[][..], &[][..]));
    let evidence = &drill.evidence;
    assert_eq!((evidence.files_verified, evidence.charts_read), (u64::from(PATIENTS) + 60, 24));
    let roots: Vec<PathBuf> = snapshot.paths.iter().map(PathBuf::from).collect();
    let vault = store.place.reopen();
    assert_eq!(evidence.files_digest, promised(&vault.files(&snapshot), &roots).unwrap());
    assert_eq!(evidence.tree, snapshot.tree.to_string());
    assert_eq!(evidence.groups.len(), 1);
    assert!(evidence.groups[0].rpo_seconds.is_some() && evidence.groups[0].rto_seconds > 0.0);
    assert_eq!(evidence.malware_scan, "not scanned for malware: a test");
    // The proof in the vault says the same, and is readable again.
    let proofs = proof::proofs(&vault).unwrap();
    let kept = &proofs[0].evidence;
    assert!(kept.method_ja.contains("スナップショット全体"), "{}", kept.method_ja);
    assert!(proofs[0].method.contains("the whole snapshot was restored"), "{}", proofs[0].method);
    // How it was measured is only put into words for the proof.
    let kept = schema::Evidence { method_ja: String::new(), ..kept.clone() };
    assert_eq!((proofs.len(), &kept), (1, evidence));
}

#[test]
fn a_chart_that_names_another_patient_fails_the_drill() {
    let store = Store::new();
    (0..PATIENTS).for_each(|number| store.patient(number, number + 500));
    let drill = store.prove();
    assert_eq!(kinds(&drill), [ShortfallKind::Chart]);
    assert_eq!((drill.shortfalls.len(), drill.evidence.charts_read), (24, 0));
    assert!(drill.first_cause().unwrap().detail.contains("another patient"), "{:?}", drill.first_cause());
}

#[test]
fn a_snapshot_that_cannot_be_opened_is_a_failed_drill_with_its_cause_first() {
    let store = Store::new();
    let snapshot = store.capture();
    for pack in store.place.packs() {
        fs::remove_file(pack).unwrap();
    }
    let drill = store.drill(&snapshot, None, &nobody());
    assert!(!drill.passed());
    assert_eq!(drill.evidence.first_cause, Some(ShortfallKind::NotOpened));
    assert_eq!(proof::newest_proven(&store.place.reopen()).unwrap(), None);
}

#[test]
fn what_was_encrypted_renamed_or_deleted_since_the_last_proof_is_told_by_class() {
    type Attack = fn(&Store);
    let attacks: [(Attack, ShortfallKind, &str); 3] = [
        (
            |store| {
                for number in 0..60 {
                    let path = store.place.source().join(format!("letters/{number}.txt"));
                    fs::write(path, noise(number, 4_000)).unwrap();
                }
            },
            ShortfallKind::Encrypted,
            "EncryptedData",
        ),
        (
            |store| {
                for number in 0..60 {
                    let path = store.place.source().join(format!("letters/{number}.txt"));
                    fs::rename(&path, path.with_file_name(format!("{number:08x}"))).unwrap();
                }
            },
            ShortfallKind::Renamed,
            "RenamedFiles",
        ),
        (
            |store| fs::remove_dir_all(store.place.source().join("letters")).unwrap(),
            ShortfallKind::Deleted,
            "DeletedUsefulFiles",
        ),
    ];
    for (attack, kind, class) in attacks {
        let store = Store::new();
        assert_eq!(store.prove().shortfalls, []);
        attack(&store);
        let drill = store.prove();
        let found = drill.shortfalls.iter().find(|shortfall| shortfall.what == class);
        let found = found.unwrap_or_else(|| panic!("{class}: {:?}", drill.shortfalls));
        assert_eq!((found.kind, drill.first_cause().unwrap().kind), (kind, kind), "{found:?}");
        assert!(found.detail.contains("60"), "{found:?}");
    }
}

#[test]
fn daily_work_is_no_attack() {
    let store = Store::new();
    assert!(store.prove().passed());
    for number in 0..PATIENTS {
        // A record is replaced: the old one gets another flag in its name.
        let old = store.record(number);
        let name = old.file_name().unwrap().to_str().unwrap().replace("_-_1", "_-_2");
        fs::rename(&old, old.with_file_name(name)).unwrap();
        let new = old.file_name().unwrap().to_str().unwrap().replace("20260101", "20260102");
        store.patient(number, number);
        fs::rename(&old, old.with_file_name(new)).unwrap();
    }
    let drill = store.prove();
    assert_eq!(drill.shortfalls, []);
    assert_eq!(drill.evidence.activity.unwrap().total(), 2 * u64::from(PATIENTS));
}

#[test]
fn a_sample_states_its_coverage_and_never_proves_the_whole() {
    let store = Store::new();
    let snapshot = store.capture();
    let request = SampleRequest { size: SampleSize::Count(30), seed: "2026".to_owned() };
    let drill = store.drill(&snapshot, Some(&request), &nobody());
    assert_eq!(drill.shortfalls, []);
    let coverage = drill.evidence.coverage.clone().unwrap();
    assert_eq!((coverage.files, coverage.files_total), (30, u64::from(PATIENTS) + 60));
    assert_eq!((drill.census.files, drill.evidence.files_verified), (30, 30));
    assert!(coverage.bytes > 0 && coverage.bytes < coverage.bytes_total);
    // The same seed chooses the same files, another one others.
    assert_eq!(
        store.drill(&snapshot, Some(&request), &nobody()).evidence.files_digest,
        drill.evidence.files_digest
    );
    let other = SampleRequest { seed: "2027".to_owned(), ..request };
    assert_ne!(
        store.drill(&snapshot, Some(&other), &nobody()).evidence.files_digest,
        drill.evidence.files_digest
    );
    let vault = store.place.reopen();
    assert_eq!(proof::newest_proven(&vault).unwrap(), None, "three samples and no proof");
    let full = store.drill(&snapshot, None, &nobody());
    store.drill(&snapshot, Some(&other), &nobody());
    let proven = proof::newest_proven(&vault).unwrap().unwrap();
    assert_eq!(proven.evidence.files_digest, full.evidence.files_digest, "a sample takes no full proof away");
}

#[test]
fn a_share_of_nothing_is_one_and_not_everything() {
    let store = Store::new();
    let snapshot = store.capture();
    let request = SampleRequest { size: SampleSize::Percent(0.000_001), seed: "2026".to_owned() };
    let drill = store.drill(&snapshot, Some(&request), &nobody());
    let coverage = drill.evidence.coverage.clone().unwrap();
    assert_eq!((coverage.files, drill.census.files, drill.evidence.files_verified), (1, 1, 1));
}

/// A signature of this test's own for a text that is harmless and means nothing.
fn signature(folder: &Path) -> (PathBuf, String) {
    let harmless = ["chartward", "test", "pattern", "8f1c"].join("-");
    let database = folder.join("test.ndb");
    let hexadecimal: String = harmless.bytes().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&database, format!("Chartward.Test.Pattern:0:*:{hexadecimal}\n")).unwrap();
    (database, harmless)
}

#[test]
fn malware_that_clamav_knows_is_found_by_program_and_by_daemon() {
    let test = "malware_that_clamav_knows_is_found_by_program_and_by_daemon";
    let (Some(_), Some(clamd)) = (testkit::tool(test, "clamscan"), testkit::tool(test, "clamd")) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (signatures, pattern) = signature(folder.path());
    let daemon = crate::servers::Clamd::start(&clamd, folder.path());
    let store = Store::new();
    let clean = store.capture();
    store.place.write("letters/note.txt", format!("see {pattern} there"));
    let infected = store.capture();
    for scanner in [Scanner::Clamscan { signatures }, Scanner::Clamd(daemon.socket.clone())] {
        let drill = store.drill(&clean, None, &scanner);
        assert_eq!(drill.shortfalls, [], "{scanner:?}");
        assert!(
            drill.evidence.malware_scan.starts_with("100 files scanned by ClamAV"),
            "{}",
            drill.evidence.malware_scan
        );
        let drill = store.drill(&infected, None, &scanner);
        assert_eq!(kinds(&drill), [ShortfallKind::Malware], "{scanner:?}: {:?}", drill.shortfalls);
        let found = &drill.shortfalls[0];
        assert!(found.what.ends_with("/letters/note.txt"), "{found:?}");
        assert!(found.detail.contains("Chartward.Test.Pattern"), "{found:?}");
    }
}

/// A file system in memory of so many bytes, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn of(bytes: u64) -> Small {
        let dir = tempfile::tempdir().unwrap();
        let option = format!("size={bytes},mode=700");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &option, "chartward"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Small(dir)
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(self.0.path()).unwrap();
        found.f_bavail * found.f_frsize
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn drilled_in(store: &Store, snapshot: &Snapshot, sandbox: &Path) -> Result<Drill, recover::Error> {
    let request = DrillRequest {
        snapshot,
        sandbox,
        engines: None,
        previous: None,
        sample: None,
        scanner: &nobody(),
        zone: TimeZone::UTC,
        now: &Timestamp::now,
    };
    drill(&store.place.reopen(), &request, &|_| ())
}

#[test]
fn a_drill_that_does_not_fit_is_refused_before_it_begins() {
    if !testkit::root("a_drill_that_does_not_fit") {
        return;
    }
    let store = Store::new();
    for number in 0..24 {
        store.place.write(&format!("images/{number}"), noise(number, 1 << 20));
    }
    let snapshot = store.capture();
    let small = Small::of(16 << 20);
    let error = drilled_in(&store, &snapshot, small.0.path()).err().unwrap();
    assert!(matches!(error, recover::Error::SandboxSmall { .. }), "{error}");
    assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 0, "something was restored all the same");
    assert!(drilled_in(&store, &snapshot, Small::of(64 << 20).0.path()).unwrap().passed());
}

#[test]
fn a_restore_that_takes_more_than_it_may_is_stopped() {
    if !testkit::root("a_restore_that_takes_more") {
        return;
    }
    let store = Store::new();
    for number in 0..64 {
        store.place.write(&format!("images/{number}"), noise(number, 1 << 20));
    }
    let snapshot = store.capture();
    // Room for a part: by what stays free for the others, and by what may be restored.
    for (bytes_max, keep_free) in [(u64::MAX, 24 << 20), (8 << 20, 0)] {
        let small = Small::of(96 << 20);
        let room = recover::vault::Room { dir: small.0.path().to_path_buf(), bytes_max, keep_free };
        if bytes_max == u64::MAX {
            // Somebody else takes room meanwhile.
            fs::write(small.0.path().join("others"), vec![1; 24 << 20]).unwrap();
        }
        let target = small.0.path().join("target");
        let stopped = store.place.reopen().restore_within(&snapshot, &target, &[], Some(room), &|_| ());
        assert!(matches!(stopped, Err(recover::Error::SandboxFull { .. })), "{stopped:?}");
        assert!(small.free() > 4 << 20, "it went on until nothing was left: {}", small.free());
    }
}
