use std::fs;
use std::io::Read;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::vault::Id;

const ROOMY: u64 = 1 << 30;

struct Place {
    host: Host,
    dir: tempfile::TempDir,
}

fn settings(retain_s: i64, delay_s: i64) -> Settings {
    Settings {
        retain: SignedDuration::from_secs(retain_s),
        delay: SignedDuration::from_secs(delay_s),
        immutable: false,
    }
}

fn place(settings: Settings) -> (Place, std::sync::Arc<Repository>) {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::serve(&dir.path().join("host"), settings).unwrap();
    let name = ClientName::parse("clinic").unwrap();
    host.registry().add(name.clone(), Vec::new(), ROOMY, Timestamp::now()).unwrap();
    let repository = host.repository(&name).unwrap();
    (Place { host, dir }, repository)
}

fn named(kind: Kind, content: &[u8]) -> FileName {
    if kind == Kind::Config { FileName::CONFIG } else { FileName { kind, id: Id::of(content) } }
}

fn put(repository: &Repository, kind: Kind, content: &[u8]) -> Result<FileName, Refusal> {
    let name = named(kind, content);
    let mut upload = repository.receive(name, content.len() as u64, ROOMY, "clinic")?;
    upload.write(content)?;
    upload.finish()?;
    Ok(name)
}

fn content(repository: &Repository, name: &FileName, view: View) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    repository.read(name, view).ok()?.0.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

#[test]
fn a_file_is_there_when_all_of_it_is_and_never_before() {
    let (place, repository) = place(settings(0, 0));
    let body = b"a pack".as_slice();
    let name = named(Kind::Data, body);
    let is_absent = || {
        assert!(content(&repository, &name, View::Now).is_none());
        assert!(repository.list(Kind::Data, View::Now).unwrap().is_empty());
        let incoming = place.dir.path().join("host/incoming/clinic");
        assert_eq!(fs::read_dir(incoming).unwrap().count(), 0);
    };
    // Broken off, too short, too long, and something else under the name.
    drop(repository.receive(name, 6, ROOMY, "clinic").unwrap());
    is_absent();
    let mut short = repository.receive(name, 6, ROOMY, "clinic").unwrap();
    short.write(b"a pa").unwrap();
    assert!(matches!(short.finish(), Err(Refusal::WrongLength)));
    is_absent();
    let mut long = repository.receive(name, 6, ROOMY, "clinic").unwrap();
    assert!(matches!(long.write(b"a pack and more"), Err(Refusal::WrongLength)));
    drop(long);
    is_absent();
    let mut other = repository.receive(name, 6, ROOMY, "clinic").unwrap();
    other.write(b"a paCk").unwrap();
    assert!(matches!(other.finish(), Err(Refusal::WrongName)));
    is_absent();

    // Two at once: the second finds the name taken.
    let mut one = repository.receive(name, 6, ROOMY, "clinic").unwrap();
    let mut two = repository.receive(name, 6, ROOMY, "clinic").unwrap();
    one.write(body).unwrap();
    two.write(body).unwrap();
    one.finish().unwrap();
    assert!(matches!(two.finish(), Err(Refusal::Exists)));
    assert_eq!(content(&repository, &name, View::Now).as_deref(), Some(body));
    assert!(matches!(put(&repository, Kind::Data, body), Err(Refusal::Exists)));
    put(&repository, Kind::Config, b"first").unwrap();
    assert!(matches!(put(&repository, Kind::Config, b"second"), Err(Refusal::Exists)));
    assert_eq!(content(&repository, &FileName::CONFIG, View::Now).as_deref(), Some(b"first".as_slice()));
}

#[test]
fn a_share_counts_small_files_in_blocks_and_uploads_under_way() {
    let (_place, repository) = place(settings(0, 0));
    let quota = 3 * 4096;
    let begin = |content: &[u8]| {
        repository.receive(named(Kind::Data, content), content.len() as u64, quota, "clinic")
    };
    put(&repository, Kind::Data, b"1").unwrap();
    let under_way = begin(b"2").unwrap();
    let _another = begin(b"3").unwrap();
    assert!(matches!(begin(b"4"), Err(Refusal::Quota { quota }) if quota == 12_288));
    drop(under_way);
    assert!(begin(b"4").is_ok());
    assert!(matches!(begin(&vec![0; 8193]), Err(Refusal::Quota { .. })));
    let huge = named(Kind::Keys, b"5");
    assert!(matches!(repository.receive(huge, 1 << 20, quota, "clinic"), Err(Refusal::TooLarge)));
    // Locks are for coordination, and a full share must not keep anybody from reading.
    put(&repository, Kind::Locks, b"lock").unwrap();
    for number in 0..64 {
        put(&repository, Kind::Keys, format!("key {number}").as_bytes()).unwrap();
    }
    assert!(matches!(put(&repository, Kind::Keys, b"one too many"), Err(Refusal::TooMany)));
}

#[test]
fn a_removal_can_be_cancelled_until_it_is_due_and_the_past_can_be_seen() {
    let (place, repository) = place(settings(3600, 3600));
    let before = Timestamp::now() - SignedDuration::from_secs(1);
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    let snapshot = put(&repository, Kind::Snapshots, b"snapshot").unwrap();
    put(&repository, Kind::Config, b"config").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let then = Timestamp::now();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let forged = put(&repository, Kind::Index, b"forged").unwrap();

    let number = repository.set_aside(&snapshot, "boss").unwrap();
    assert_eq!(repository.set_aside(&pack, "boss").unwrap(), number, "one removal");
    assert!(matches!(repository.set_aside(&FileName::CONFIG, "boss"), Err(Refusal::Never)));
    assert!(matches!(repository.set_aside(&pack, "boss"), Err(Refusal::NotFound)));
    assert!(content(&repository, &pack, View::Now).is_none());
    assert_eq!(repository.remove_due("host").unwrap(), (0, 0), "nothing is due");

    // As it was before the removal, and before anything came.
    let view = View::AsOf(then);
    assert_eq!(content(&repository, &pack, view).as_deref(), Some(b"pack".as_slice()));
    assert_eq!(repository.list(Kind::Snapshots, view).unwrap(), [(snapshot, 8)]);
    assert!(content(&repository, &forged, view).is_none());
    assert!(repository.list(Kind::Index, view).unwrap().is_empty());
    assert!(content(&repository, &pack, View::AsOf(before)).is_none());

    // Cancelled by another process.
    let beside = Host::visit(place.host.root(), settings(0, 0)).unwrap();
    let removals = beside.repository(&ClientName::parse("clinic").unwrap()).unwrap().removals().unwrap();
    assert_eq!((removals.len(), removals[0].files, removals[0].snapshots), (1, 2, 1));
    assert_eq!(beside.repository(repository.name()).unwrap().cancel(number, "operator").unwrap(), 2);
    assert_eq!(content(&repository, &pack, View::Now).as_deref(), Some(b"pack".as_slice()));
    assert!(repository.removals().unwrap().is_empty());
    assert_ne!(repository.set_aside(&pack, "boss").unwrap(), number, "a cancelled removal is over");
}

#[test]
fn what_comes_again_after_it_was_removed_was_there_all_the_time() {
    let (place, repository) = place(settings(3600, 3600));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    let then = View::AsOf(Timestamp::now());
    std::thread::sleep(std::time::Duration::from_millis(5));
    // Two stolen credentials, an administrator's and the client's, take nothing out of the past.
    let number = repository.set_aside(&pack, "boss").unwrap();
    put(&repository, Kind::Data, b"pack").unwrap();
    for view in [then, View::Now] {
        assert_eq!(repository.list(Kind::Data, view).unwrap(), [(pack, 4)], "{view:?}");
        assert_eq!(content(&repository, &pack, view).as_deref(), Some(b"pack".as_slice()), "{view:?}");
    }
    assert_eq!(repository.usage().unwrap(), (4096, None));
    assert_eq!(
        (
            repository.cancel(number, "operator").unwrap(),
            place.host.receipts(repository.name()).unwrap().0.len()
        ),
        (0, 3)
    );
}

#[test]
fn a_receipt_that_claims_any_length_is_counted_and_harms_nothing() {
    let (Place { host, dir }, repository) = place(settings(0, 0));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    put(&repository, Kind::Data, b"another").unwrap();
    let (root, name) = (host.root().to_owned(), repository.name().clone());
    drop((host, repository));
    let chain = root.join("receipts/clinic.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    fs::write(&chain, text.replace("\"size\":4", "\"size\":18446744073709551615")).unwrap();
    let repository = Host::serve(&root, settings(0, 0)).unwrap().repository(&name).unwrap();
    assert_eq!(repository.usage().unwrap(), (u64::MAX, Some(2)));
    assert!(matches!(put(&repository, Kind::Keys, b"no room is known"), Err(Refusal::Quota { .. })));
    assert_eq!(content(&repository, &pack, View::Now).as_deref(), Some(b"pack".as_slice()));
    drop(dir);
}

#[test]
fn nothing_goes_before_the_newest_snapshot_that_may_need_it() {
    let (place, repository) = place(settings(0, 0));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    repository.set_aside(&pack, "boss").unwrap();
    assert_eq!(repository.remove_due("host").unwrap(), (1, 4));
    assert!(repository.removals().unwrap().is_empty());
    drop((place, repository));

    let (place, repository) = self::place(settings(2, 0));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let snapshot = put(&repository, Kind::Snapshots, b"snapshot").unwrap();
    // Removing the snapshot first shortens nothing.
    repository.set_aside(&snapshot, "boss").unwrap();
    repository.set_aside(&pack, "boss").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(
        repository.remove_due("host").unwrap(),
        (0, 0),
        "the pack is two seconds old, the snapshot is not"
    );
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(repository.remove_due("host").unwrap().0, 2);
    let (receipts, broken) = place.host.receipts(repository.name()).unwrap();
    assert_eq!((receipts.len(), broken), (6, None));
}

#[test]
fn files_and_receipts_come_together_again_after_a_crash() {
    let (Place { host, dir }, repository) = place(settings(0, 3600));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    let index = put(&repository, Kind::Index, b"index").unwrap();
    let lost = put(&repository, Kind::Keys, b"key").unwrap();
    repository.set_aside(&index, "boss").unwrap();
    let root = host.root().to_owned();
    let live = |name: &FileName| root.join("repositories/clinic").join(name.place().0).join(name.place().1);
    let name = repository.name().clone();
    assert!(matches!(Host::serve(&root, settings(0, 0)), Err(Error::HostServed { .. })));
    drop((host, repository));
    // Killed between a file and its receipt, between a removal's receipt and the move, and within an upload and a line.
    let unreceipted = named(Kind::Snapshots, b"snapshot");
    fs::write(live(&unreceipted), b"snapshot").unwrap();
    fs::write(live(&index), b"index").unwrap();
    fs::remove_file(root.join("aside/clinic").join(index.place().0).join(index.place().1)).unwrap();
    fs::write(root.join("incoming/clinic/half"), b"half").unwrap();
    fs::remove_file(live(&lost)).unwrap();
    let chain = root.join("receipts/clinic.jsonl");
    let mut text = fs::read_to_string(&chain).unwrap();
    text.push_str("{\"n\":7,\"at\":");
    fs::write(&chain, text).unwrap();

    let host = Host::serve(&root, settings(0, 3600)).unwrap();
    let repository = host.repository(&name).unwrap();
    assert_eq!(repository.list(Kind::Snapshots, View::Now).unwrap(), [(unreceipted, 8)]);
    assert!(content(&repository, &index, View::Now).is_none());
    assert_eq!(repository.removals().unwrap()[0].files, 1);
    assert_eq!(content(&repository, &pack, View::Now).as_deref(), Some(b"pack".as_slice()));
    assert_eq!(fs::read_dir(root.join("incoming/clinic")).unwrap().count(), 0);
    let (receipts, broken) = host.receipts(&name).unwrap();
    assert_eq!((receipts.last().unwrap().event, broken), (Event::Found, None));
    let (audit, _) = host.audit().unwrap();
    assert!(audit.iter().any(|line| line.what == "files-missing" && line.detail.contains(&lost.to_string())));
    drop(dir);
}

#[test]
fn receipts_that_were_changed_remove_nothing() {
    let (place, repository) = place(settings(0, 0));
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    repository.set_aside(&pack, "boss").unwrap();
    let root = place.host.root().to_owned();
    let name = repository.name().clone();
    let Place { host, dir } = place;
    drop((host, repository));
    let chain = root.join("receipts/clinic.jsonl");
    let text = fs::read_to_string(&chain).unwrap();
    fs::write(&chain, text.replacen("\"by\":\"clinic\"", "\"by\":\"nobody\"", 1)).unwrap();
    let host = Host::serve(&root, settings(0, 0)).unwrap();
    let repository = host.repository(&name).unwrap();
    assert!(matches!(repository.remove_due("host"), Err(Error::ReceiptsBroken { line: 2, .. })));
    put(&repository, Kind::Data, b"backups go on").unwrap();
    drop(dir);
}

#[test]
fn links_in_a_repository_lead_nowhere() {
    let (place, repository) = place(settings(0, 0));
    let secret = place.dir.path().join("secret");
    fs::write(&secret, b"secret").unwrap();
    let name = named(Kind::Keys, b"secret");
    let keys = place.host.root().join("repositories/clinic/keys");
    std::os::unix::fs::symlink(&secret, keys.join(name.place().1)).unwrap();
    assert!(content(&repository, &name, View::Now).is_none());
    assert!(repository.list(Kind::Keys, View::Now).unwrap().is_empty());
}

#[test]
fn a_frozen_file_resists_root_and_can_still_be_set_aside() {
    let test = "a_frozen_file_resists_root_and_can_still_be_set_aside";
    if !testkit::root(test) {
        return;
    }
    let (place, repository) = {
        let dir = tempfile::tempdir().unwrap();
        if let Err(cause) = Host::try_immutable(dir.path()) {
            return testkit::skip(test, &format!("{}: {cause}", std::error::Error::source(&cause).unwrap()));
        }
        place(Settings { immutable: true, ..settings(0, 0) })
    };
    let pack = put(&repository, Kind::Data, b"pack").unwrap();
    let path = repository.path().join(pack.place().0).join(pack.place().1);
    assert!(fs::remove_file(&path).is_err() && fs::write(&path, b"x").is_err());
    assert!(fs::rename(&path, path.with_extension("x")).is_err());
    let number = repository.set_aside(&pack, "boss").unwrap();
    assert_eq!(repository.cancel(number, "operator").unwrap(), 1);
    assert!(fs::remove_file(&path).is_err(), "frozen again");
    repository.set_aside(&pack, "boss").unwrap();
    assert_eq!(repository.remove_due("host").unwrap().0, 1);
    drop(place);
}
