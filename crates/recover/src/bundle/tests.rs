//! The bundle on disk: what is in it, what stays, and what nobody else can read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use schema::Lang;

use super::*;
use crate::charts::{Basis, Charts, Origin, Source};
use crate::downtime::signed;

const PASSPHRASE: &str = "停電の日も カルテを 読む 2018";

fn patient(store: &Path, id: u32, name: &str) {
    let id = format!("{id:010}");
    let folder = store.join(format!("{}/{}/{id}/-/ADT-00", &id[..3], &id[3..6]));
    fs::create_dir_all(&folder).unwrap();
    let message = format!(
        "MSH|^~\\&|H|S|G|R|2018||ADT^A08|1|P|2.5\rPID|1||{id}||{name}^花子^^^^^L^I~サイトウ^ハナコ^^^^^L^P||19480405|F\r"
    );
    let message = encoding_rs::ISO_2022_JP.encode(&message).0.into_owned();
    fs::write(folder.join(format!("{id}_-_ADT-00_999999999999999_20181014120000000_-_1")), message).unwrap();
}

fn hospital(dir: &Path, patients: u32) -> std::path::PathBuf {
    let store = dir.join("store");
    (0..patients).for_each(|id| patient(&store, 1_000_000 + 17 * id, "斎藤"));
    store
}

fn exported(store: &Path, to: &Path, passphrase: &str, new_key: bool) -> Result<Exported, Error> {
    let charts = Charts::open(Source::folder(store)).unwrap();
    let basis = Basis { origin: Origin::Folder { path: "store".into() }, as_of: None, newest_record: None };
    let request = Request {
        dir: to,
        passphrase,
        new_key,
        lang: Lang::Ja,
        zone: &TimeZone::UTC,
        lock_after_seconds: 600,
        now: Timestamp::UNIX_EPOCH,
    };
    export(&charts, &basis, &request, &mut |_, _| {})
}

fn data(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir.join("data")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn everybody_is_in_it_and_nothing_of_them_in_the_open() {
    let dir = tempfile::tempdir().unwrap();
    let (store, to) = (hospital(dir.path(), 40), dir.path().join("stick/bundle"));
    assert!(matches!(exported(&store, &to, PASSPHRASE, false), Err(Error::Absent { .. })));
    fs::create_dir(dir.path().join("stick")).unwrap();
    assert_eq!(look(&to), Presence::Absent);
    let made = exported(&store, &to, PASSPHRASE, false).unwrap();
    assert_eq!((made.patients, made.without_chart, made.edition), (40, 0, 1));
    assert_eq!(made.parts, data(&to).len() as u64);
    let checked = check(&to, PASSPHRASE).unwrap().unwrap();
    assert!(checked.is_whole() && checked.patients == 40, "{checked:?}");
    assert!(matches!(look(&to), Presence::Bundle { bundle, .. } if bundle == made.bundle));
    assert_eq!(public_key(&to, PASSPHRASE).unwrap().unwrap(), made.public_key);
    assert!(matches!(public_key(&to, "停電"), Err(Error::WrongPassphrase { .. })));
    let full_width: String = "停電の日も カルテを 読む ２０１８".into();
    assert!(public_key(&to, &full_width).is_ok(), "an input method's spelling of the same");
    for (name, content) in data(&to) {
        let text = String::from_utf8(content).unwrap();
        for told in ["1000", "斎藤", "サイトウ", "1948"] {
            // Base64 holds digits, too: what is looked for in it is the text as it would stand there.
            assert!(!name.contains("0001000") && (told == "1000" || !text.contains(told)), "{name}");
        }
    }
}

#[test]
fn the_next_edition_writes_what_changed_and_sweeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, to) = (hospital(dir.path(), 40), dir.path().join("bundle"));
    let first = exported(&store, &to, PASSPHRASE, false).unwrap();
    let before = data(&to);
    let same = exported(&store, &to, PASSPHRASE, false).unwrap();
    assert_eq!((same.edition, same.parts_written, same.parts_removed), (2, 0, 0));
    assert_eq!((&same.bundle, &same.public_key), (&first.bundle, &first.public_key));
    assert_eq!(data(&to), before);

    patient(&store, 1_000_000, "佐藤");
    let changed = exported(&store, &to, PASSPHRASE, false).unwrap();
    assert_eq!((changed.parts_written, changed.parts_removed), (2, 2), "charts and index");

    // What was left behind by an export that was killed, and a part that rotted.
    fs::write(to.join("data/00112233445566778899aabbccddeeff.js"), "half").unwrap();
    fs::write(to.join("manifest.js.new"), "half").unwrap();
    let victim = to.join("data").join(data(&to).keys().find(|it| !it.starts_with("0011")).unwrap());
    let mut rotten = fs::read(&victim).unwrap();
    let middle = rotten.len() / 2;
    rotten[middle] = if rotten[middle] == b'A' { b'B' } else { b'A' };
    fs::write(&victim, rotten).unwrap();
    assert_eq!(check(&to, PASSPHRASE).unwrap().unwrap().parts_faulty, 1);
    let healed = exported(&store, &to, PASSPHRASE, false).unwrap();
    assert_eq!((healed.parts_written, healed.parts_removed), (1, 2));
    assert!(check(&to, PASSPHRASE).unwrap().unwrap().is_whole());
    assert!(!to.join("manifest.js.new").exists());
}

#[test]
fn parts_of_another_name_age_or_bundle_do_not_pass() {
    let dir = tempfile::tempdir().unwrap();
    let (store, to) = (hospital(dir.path(), 40), dir.path().join("bundle"));
    exported(&store, &to, PASSPHRASE, false).unwrap();
    let old = data(&to);
    patient(&store, 1_000_000, "佐藤");
    exported(&store, &to, PASSPHRASE, false).unwrap();
    let new = data(&to);
    let (name, good) = new.iter().next().unwrap();
    for other in old.values().chain(new.values()).filter(|other| *other != good) {
        fs::write(to.join("data").join(name), other).unwrap();
        assert_eq!(check(&to, PASSPHRASE).unwrap().unwrap().parts_faulty, 1);
    }
    fs::remove_file(to.join("data").join(name)).unwrap();
    assert_eq!(check(&to, PASSPHRASE).unwrap().unwrap().parts_faulty, 1);
}

#[test]
fn a_new_key_makes_it_anew_and_another_passphrase_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let (store, to) = (hospital(dir.path(), 5), dir.path().join("bundle"));
    let first = exported(&store, &to, PASSPHRASE, false).unwrap();
    let wrong = exported(&store, &to, "another one, long enough", false);
    assert!(matches!(wrong, Err(Error::WrongPassphrase { .. })));
    assert!(check(&to, PASSPHRASE).unwrap().unwrap().is_whole(), "nothing was touched");
    let renewed = exported(&store, &to, PASSPHRASE, true).unwrap();
    assert!(
        renewed.bundle != first.bundle && renewed.public_key != first.public_key && !renewed.former_is_lost
    );
    let manifest = manifest::open(&to, PASSPHRASE).unwrap().unwrap().manifest;
    assert_eq!(manifest.former[0].bundle, first.bundle, "its notes can still be taken over");
    let lost = exported(&store, &to, "another one, long enough", true).unwrap();
    assert!(lost.former_is_lost && check(&to, "another one, long enough").unwrap().unwrap().is_whole());
    let signer = manifest::open(&to, "another one, long enough").unwrap().unwrap().manifest.signing;
    use base64::Engine;
    let key = base64::engine::general_purpose::STANDARD.decode(signer.private_key).unwrap();
    assert_eq!(signed::Signer::from_pkcs8(&key).unwrap().public_key(), lost.public_key);
}

#[test]
fn nothing_is_written_beside_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = hospital(dir.path(), 2);
    for (file, refused) in [
        ("thesis.odt", true),
        ("data/thesis.odt", true),
        ("index.html.bak", true),
        ("System Volume Information/x", false),
        (".Trash-1000/x", false),
    ] {
        let to = tempfile::tempdir_in(dir.path()).unwrap();
        let path = to.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        let made = exported(&store, to.path(), PASSPHRASE, false);
        assert_eq!(matches!(made, Err(Error::NotOurs { .. })), refused, "{file}: {made:?}");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        assert_eq!(to.path().join("index.html").exists(), !refused);
    }
    assert!(matches!(exported(&store, &dir.path().join("empty"), "", false), Err(Error::Passphrase)));
}

#[test]
fn hostile_manifests_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let (store, to) = (hospital(dir.path(), 2), dir.path().join("bundle"));
    exported(&store, &to, PASSPHRASE, false).unwrap();
    let good = fs::read_to_string(to.join("manifest.js")).unwrap();
    let iterations = format!("\"iterations\":{}", keys::ITERATIONS);
    for bad in [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("chartward-bundle/1", "chartward-bundle/9"),
        good.replace(&iterations, "\"iterations\":4294967295"),
        good.replace(&iterations, "\"iterations\":1"),
        good.replace("\"bundle\":\"", "\"bundle\":\"../"),
    ] {
        assert_ne!(bad, good);
        fs::write(to.join("manifest.js"), &bad).unwrap();
        let opened = check(&to, PASSPHRASE);
        assert!(matches!(opened, Err(Error::Damaged { .. } | Error::WrongPassphrase { .. })), "{opened:?}");
    }
}
