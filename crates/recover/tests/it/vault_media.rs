//! Media in rotation: the failures of the field, on folders and on file systems in loop devices.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use recover::media::{
    Book, Outcome, PlainFolder, Presence, Trouble, WriteRequest, look, prepare, verify, write,
};
use recover::vault::{CheckLevel, CopyRequest, Phase, Vault, folder_on};

use crate::support::{PASSWORD, Place, noise, password};

/// A file system in a file, mounted; both go when it is dropped.
struct Disk {
    mount: PathBuf,
    image: PathBuf,
    file_system: &'static str,
}

impl Disk {
    /// `None` after saying why: the kernel, or the tools, do not have that file system.
    fn new(test: &str, dir: &Path, name: &str, file_system: &'static str, megabytes: u64) -> Option<Disk> {
        if !testkit::root(test) {
            return None;
        }
        let make = testkit::tool(test, &format!("mkfs.{file_system}"))?;
        let (image, mount) = (dir.join(format!("{name}.img")), dir.join(name));
        fs::create_dir_all(&mount).unwrap();
        fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        let quiet = if file_system == "ext4" { vec!["-q", "-m", "0"] } else { vec![] };
        assert!(Command::new(make).args(quiet).arg(&image).output().unwrap().status.success());
        let disk = Disk { mount, image, file_system };
        if disk.put_in("rw") {
            return Some(disk);
        }
        testkit::skip(test, &format!("{file_system} cannot be mounted from a loop device here"));
        None
    }

    fn put_in(&self, how: &str) -> bool {
        let options = format!("loop,{how}");
        // A kernel without the module, and the same file system in user space.
        let kinds: &[&str] =
            if self.file_system == "exfat" { &["exfat", "exfat-fuse"] } else { &[self.file_system] };
        let mount = |kind: &&str| {
            let mut mount = Command::new("mount");
            mount.args(["-t", kind, "-o", &options]).arg(&self.image).arg(&self.mount);
            mount.output().unwrap().status.success()
        };
        // A file system in user space goes on writing for a moment after it was unmounted.
        (0..20).any(|_| {
            kinds.iter().any(mount) || {
                std::thread::sleep(std::time::Duration::from_millis(100));
                false
            }
        })
    }

    fn take_out(&self) {
        assert!(Command::new("umount").arg(&self.mount).status().unwrap().success());
    }

    fn pull_out(&self) {
        assert!(Command::new("umount").arg("-l").arg(&self.mount).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        while look(&self.mount) != Presence::Absent
            && Command::new("umount")
                .arg("-l")
                .arg(&self.mount)
                .output()
                .is_ok_and(|out| out.status.success())
        {}
    }
}

fn place() -> Place {
    let place = Place::new();
    for number in 0..40 {
        place.write(&format!("記録/{number}"), noise(number, 300_000));
    }
    place.backup();
    place.write("text", "new\n");
    place.backup();
    place
}

fn request<'r>(path: &'r Path, wanted: Option<(&'r str, &'r str)>) -> WriteRequest<'r> {
    WriteRequest { path, wanted, since: None, newest: None, read_all: true }
}

fn put(place: &Place, book: &mut Book, path: &Path, set: &str) -> Outcome {
    write(&place.vault, book, &request(path, Some(("offsite", set))), &Timestamp::now, &|_| ()).unwrap()
}

fn made(place: &Place, book: &mut Book, path: &Path, set: &str) {
    let plain = PlainFolder::Meant;
    let identity = prepare(&place.vault, path, "offsite", set, plain, Timestamp::now()).unwrap();
    book.add(&identity, path);
}

fn trouble(outcome: &Outcome) -> Option<Trouble> {
    match outcome {
        Outcome::Failed { trouble, .. } => Some(*trouble),
        _ => None,
    }
}

fn is_written(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Written { .. })
}

#[test]
fn a_written_medium_is_a_whole_vault_for_us_and_for_a_stock_restic() {
    let place = place();
    let (mut book, medium) = (Book::default(), place.dir.path().join("medium"));
    made(&place, &mut book, &medium, "A");
    let Outcome::Written { report, receipt, .. } = put(&place, &mut book, &medium, "A") else { panic!() };
    assert_eq!((report.snapshots, report.snapshots_copied), (2, 2));
    assert!(report.is_whole() && report.packs_copied > 0 && report.read_back.bytes() > 12_000_000);
    assert_eq!((receipt.number, receipt.snapshots), (1, 2));
    // The passphrase of the vault opens it: nothing else is needed on a bare machine.
    let copy = Vault::open(&folder_on(&medium), &password()).unwrap();
    assert!(copy.check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
    assert_eq!(copy.id(), place.vault.id());

    // Only what is new goes there the next time, and what is gone from the vault stays on the medium.
    place.write("text", "newer\n");
    place.backup();
    let Outcome::Written { report, receipt, .. } = put(&place, &mut book, &medium, "A") else { panic!() };
    assert_eq!((report.snapshots, report.snapshots_copied, receipt.number), (3, 1, 2));
    assert!(report.bytes_copied < 1_000_000, "{}", report.bytes_copied);
    assert!(is_written(&verify(&place.vault, &book, &medium, &|_| ()).unwrap()));

    let test = "a_written_medium_is_a_whole_vault_for_us_and_for_a_stock_restic";
    let Some(restic) = testkit::tool(test, "restic") else { return };
    let target = place.dir.path().join("restored");
    for args in
        [vec!["check", "--read-data"], vec!["restore", "latest", "--target", target.to_str().unwrap()]]
    {
        let output = Command::new(&restic)
            .args(["--no-cache", "-q", "-r"])
            .arg(folder_on(&medium))
            .args(&args)
            .env("RESTIC_PASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let restored = crate::support::below(&target, &place.source());
    assert_eq!(fs::read(restored.join("記録/7")).unwrap(), noise(7, 300_000));
}

#[test]
fn what_is_in_and_holds_nothing_is_never_counted() {
    let place = place();
    let mut book = Book::default();
    let (empty, blank, other) =
        (place.dir.path().join("empty"), place.dir.path().join("b"), place.dir.path().join("other"));
    fs::create_dir(&empty).unwrap();
    // Uda: put in, and nothing on it. An empty folder is no medium, and is not made into one by itself.
    assert_eq!(trouble(&put(&place, &mut book, &empty, "A")), Some(Trouble::Absent));
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    assert!(prepare(&place.vault, &empty, "offsite", "A", PlainFolder::Refused, Timestamp::now()).is_err());
    // Prepared, and never written.
    made(&place, &mut book, &blank, "B");
    assert_eq!(trouble(&verify(&place.vault, &book, &blank, &|_| ()).unwrap()), Some(Trouble::Incomplete));
    assert!(book.generations().is_empty());
    fs::create_dir(&other).unwrap();
    fs::write(other.join("photos.zip"), "x").unwrap();
    assert_eq!(trouble(&put(&place, &mut book, &other, "A")), Some(Trouble::Foreign));
    assert!(prepare(&place.vault, &other, "offsite", "A", PlainFolder::Meant, Timestamp::now()).is_err());
}

#[test]
fn media_that_are_swapped_copied_or_set_back_are_noticed() {
    let place = place();
    let mut book = Book::default();
    let (a, b) = (place.dir.path().join("a"), place.dir.path().join("b"));
    made(&place, &mut book, &a, "A");
    made(&place, &mut book, &b, "B");
    assert!(is_written(&put(&place, &mut book, &a, "A")));
    assert!(is_written(&put(&place, &mut book, &b, "B")));
    assert_eq!(trouble(&put(&place, &mut book, &b, "A")), Some(Trouble::WrongSet));
    // The label was changed by hand: the seal says otherwise.
    let path = b.join("chartward-medium.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(r#""set": "B""#, r#""set": "A""#)).unwrap();
    assert_eq!(trouble(&put(&place, &mut book, &b, "A")), Some(Trouble::Swapped));
    fs::write(&path, text).unwrap();
    // An older state of the same medium.
    let old = fs::read(a.join("chartward-receipt.json")).unwrap();
    assert!(is_written(&put(&place, &mut book, &a, "A")));
    fs::write(a.join("chartward-receipt.json"), old).unwrap();
    assert_eq!(trouble(&put(&place, &mut book, &a, "A")), Some(Trouble::Swapped));
    // The medium of another vault.
    let elsewhere = self::place();
    assert_eq!(trouble(&put(&elsewhere, &mut Book::default(), &b, "B")), Some(Trouble::Swapped));
    // This machine's book is lost: the receipts on the media are learnt again.
    let mut lost = Book::default();
    let request = WriteRequest { since: Some(Timestamp::UNIX_EPOCH), ..request(&b, Some(("offsite", "B"))) };
    let outcome = write(&place.vault, &mut lost, &request, &Timestamp::now, &|_| ()).unwrap();
    assert!(matches!(outcome, Outcome::Done(_)));
    assert_eq!(lost.generations().len(), 1);
}

#[test]
fn a_byte_that_rots_on_the_shelf_is_found() {
    let place = place();
    let (mut book, medium) = (Book::default(), place.dir.path().join("medium"));
    made(&place, &mut book, &medium, "A");
    assert!(is_written(&put(&place, &mut book, &medium, "A")));
    let pack = packs(&folder_on(&medium)).pop().unwrap();
    let mut content = fs::read(&pack).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&pack, content).unwrap();
    for outcome in
        [verify(&place.vault, &book, &medium, &|_| ()).unwrap(), put(&place, &mut book, &medium, "A")]
    {
        assert_eq!(trouble(&outcome), Some(Trouble::ReadsBackWrong));
    }
    assert_eq!(book.generations().len(), 1, "the write before it still counts, and its failure is told");
    assert_eq!(book.attempts["offsite"].trouble, Some(Trouble::ReadsBackWrong));
}

#[test]
fn a_copy_that_was_cut_off_goes_on_and_takes_away_what_is_torn() {
    let place = place();
    let copy = place.dir.path().join("copy");
    place.vault.begin_copy(&copy).unwrap();
    let first = packs(&place.vault_dir());
    // As a killed copy leaves it: one whole pack that no index lists, one torn one under its final name, one unfinished.
    let name = |pack: &Path| copy.join(pack.strip_prefix(place.vault_dir()).unwrap());
    fs::copy(&first[0], name(&first[0])).unwrap();
    let torn = fs::read(&first[1]).unwrap();
    fs::write(name(&first[1]), &torn[..torn.len() / 2]).unwrap();
    fs::write(format!("{}-tmp-0011223344556677", name(&first[2]).display()), "half").unwrap();
    let report = place.vault.copy_to(&copy, &CopyRequest::default(), &|_| ()).unwrap();
    assert!(report.is_whole(), "{:?}", report.problems);
    assert_eq!(report.packs_copied, first.len() as u64 - 1);
    let copied = Vault::open(&copy, &password()).unwrap();
    assert!(copied.check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
    assert_eq!(packs(&copy).len(), first.len());
}

#[test]
fn damage_in_the_vault_costs_the_snapshots_that_need_it_and_no_others() {
    let place = Place::new();
    place.write("old", noise(1, 3_000_000));
    place.backup();
    let damaged = packs(&place.vault_dir());
    fs::remove_file(place.source().join("old")).unwrap();
    place.write("new", noise(2, 3_000_000));
    place.backup();
    for pack in damaged {
        let mut content = fs::read(&pack).unwrap();
        content[100] ^= 1;
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&pack, content).unwrap();
    }
    let copy = place.dir.path().join("copy");
    place.vault.begin_copy(&copy).unwrap();
    let report = place.vault.copy_to(&copy, &CopyRequest::default(), &|_| ()).unwrap();
    assert_eq!((report.snapshots, report.snapshots_copied), (1, 1));
    assert!(!report.is_whole() && !report.medium_fails);
    assert!(
        Vault::open(&copy, &password()).unwrap().check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole()
    );
}

fn packs(vault: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(vault.join("data")).unwrap();
    let mut packs: Vec<PathBuf> = folders
        .flat_map(|dir| fs::read_dir(dir.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    packs.sort();
    packs
}

#[test]
fn a_medium_pulled_out_in_the_middle_counts_for_nothing_and_goes_on_when_it_is_back() {
    pull_out("a_medium_pulled_out_in_the_middle_counts_for_nothing_and_goes_on_when_it_is_back", "ext4");
}

#[test]
fn a_fat_medium_is_pulled_out_in_the_middle() {
    pull_out("a_fat_medium_is_pulled_out_in_the_middle", "vfat");
}

#[test]
fn an_exfat_medium_is_pulled_out_in_the_middle() {
    pull_out("an_exfat_medium_is_pulled_out_in_the_middle", "exfat");
}

fn pull_out(test: &str, file_system: &'static str) {
    let place = place();
    let Some(disk) = Disk::new(test, place.dir.path(), "medium", file_system, 64) else { return };
    assert_eq!(look(&disk.mount), Presence::Blank);
    let mut book = Book::default();
    assert_eq!(trouble(&put(&place, &mut book, &disk.mount, "A")), Some(Trouble::Blank));
    made(&place, &mut book, &disk.mount, "A");
    for before in [Phase::Copy, Phase::ReadData] {
        let pulled = std::cell::Cell::new(false);
        let request = request(&disk.mount, Some(("offsite", "A")));
        let outcome = write(&place.vault, &mut book, &request, &Timestamp::now, &|progress| {
            if progress.phase == before && !pulled.replace(true) {
                disk.pull_out();
            }
        });
        assert!(pulled.get());
        assert_eq!(trouble(&outcome.unwrap()), Some(Trouble::PulledOut), "{file_system} {before:?}");
        assert!(book.generations().is_empty());
        assert_eq!(fs::read_dir(&disk.mount).unwrap().count(), 0, "nothing is written to the folder below");
        assert!(disk.put_in("rw"));
    }
    assert!(is_written(&put(&place, &mut book, &disk.mount, "A")), "{file_system}");
    disk.take_out();
    assert_eq!(look(&disk.mount), Presence::Absent);
    assert!(disk.put_in("ro"));
    assert!(is_written(&verify(&place.vault, &book, &disk.mount, &|_| ()).unwrap()));
    place.write("more", "x");
    place.backup();
    assert_eq!(trouble(&put(&place, &mut book, &disk.mount, "A")), Some(Trouble::ReadOnly));
}

#[test]
fn a_full_medium_keeps_what_it_holds_and_says_so() {
    let test = "a_full_medium_keeps_what_it_holds_and_says_so";
    let place = place();
    let Some(disk) = Disk::new(test, place.dir.path(), "medium", "ext4", 40) else { return };
    let mut book = Book::default();
    made(&place, &mut book, &disk.mount, "A");
    assert!(is_written(&put(&place, &mut book, &disk.mount, "A")));
    place.write("large", noise(99, 30 << 20));
    place.backup();
    assert_eq!(trouble(&put(&place, &mut book, &disk.mount, "A")), Some(Trouble::Full));
    // Room that vanishes while it is written to.
    let filler = disk.mount.join("filler");
    let run = Command::new("fallocate").args(["-l", "100K"]).arg(&filler).status();
    assert!(run.unwrap().success());
    let copy = Vault::open(&folder_on(&disk.mount), &password()).unwrap();
    assert!(copy.check(CheckLevel::ReadData, &|_| ()).unwrap().is_whole());
    assert_eq!(book.generations()[0].snapshots, 2);
}
