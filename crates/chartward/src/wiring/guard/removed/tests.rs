use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use observe::files::{HeldContent, Stamp};

use super::keeper::shelf_of;
use super::*;

struct Store {
    dir: tempfile::TempDir,
    tree: PathBuf,
    place: Place,
}

impl Store {
    fn new(bytes_max: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        let bounds = Bounds { bytes_max, keep: SignedDuration::from_hours(1) };
        let place = Place::new(&dir.path().join("store"), bounds);
        Self { dir, tree, place }
    }

    /// Makes a file, opens it, removes it.
    fn removed(&self, name: &str, content: &[u8], at: Timestamp) -> Job {
        let path = self.tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4640)).unwrap();
        let pin = Arc::new(File::open(&path).unwrap());
        let stamp = Stamp::of(&pin).unwrap();
        fs::remove_file(&path).unwrap();
        let remover = Remover { words: "process 7 (rm)".into(), pid: Some(7), uid: Some(1000) };
        let held = HeldContent { pin, original: None, stamp, made: false };
        Job { path, tree: self.tree.clone(), at, remover, actor: 1, held }
    }

    fn keep(&self, jobs: Vec<Job>) -> Vec<bool> {
        shelf_of(self.place.clone(), jobs, &self.place.folder)
    }
}

fn ids(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.id).collect()
}

#[test]
fn what_was_removed_comes_back_as_it_was_and_goes_again() {
    let store = Store::new(1 << 20);
    let now = Timestamp::now();
    let jobs = vec![
        store.removed("a/b/one", b"first", now),
        store.removed("a/b/one", b"second", now),
        store.removed("two", b"two", now),
    ];
    assert_eq!(store.keep(jobs), [true; 3]);
    assert_eq!(fs::metadata(&store.place.folder).unwrap().permissions().mode() & 0o777, 0o700);
    let entries = store.place.entries();
    assert_eq!(ids(&entries), [1, 2, 3]);
    fs::remove_dir_all(store.tree.join("a")).unwrap();
    fs::write(store.tree.join("two"), "newer").unwrap();

    let brought = store.place.bring_back(&entries, None).unwrap();
    assert_eq!(brought.back, [store.tree.join("a/b/one")]);
    assert_eq!(brought.refused.len(), 1, "something stands there");
    assert_eq!(fs::read(store.tree.join("a/b/one")).unwrap(), b"second");
    assert_eq!(fs::read(store.tree.join("two")).unwrap(), b"newer");
    let meta = fs::metadata(store.tree.join("a/b/one")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o7777, 0o640, "no set-user-ID bit comes back");
    let mtime = (meta.mtime(), meta.mtime_nsec());
    assert_eq!(mtime, entries[1].attributes.mtime);

    let folders = store.place.brought(&brought.id[..8]);
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    let mut undo = Undo::read(folder).unwrap();
    let turned = undo.apply(folder, act::undo::Way::Undo).unwrap();
    assert_eq!((turned.turned, turned.refused.len()), (1, 0));
    assert!(!store.tree.join("a/b/one").exists());
    assert_eq!(store.place.entries().len(), 3, "it is still kept");

    let beside = store.dir.path().join("beside");
    fs::create_dir(&beside).unwrap();
    let brought = store.place.bring_back(&entries, Some(&beside)).unwrap();
    assert_eq!((brought.back.len(), brought.refused.len()), (2, 0));
    assert!(beside.join(store.tree.strip_prefix("/").unwrap()).join("two").is_file());
}

#[test]
fn a_link_in_the_way_leads_nowhere() {
    let store = Store::new(1 << 20);
    assert_eq!(store.keep(vec![store.removed("d/evil", b"root runs this", Timestamp::now())]), [true]);
    let elsewhere = store.dir.path().join("cron.d");
    fs::create_dir(&elsewhere).unwrap();
    fs::remove_dir(store.tree.join("d")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, store.tree.join("d")).unwrap();
    let brought = store.place.bring_back(&store.place.entries(), None).unwrap();
    assert_eq!((brought.back.len(), brought.refused.len()), (0, 1));
    assert!(!elsewhere.join("evil").exists());
}

#[test]
fn what_is_too_old_or_too_much_goes_and_the_newest_stays() {
    let store = Store::new(10_000);
    let now = Timestamp::now();
    let long_ago = now - SignedDuration::from_hours(2);
    let jobs = vec![
        store.removed("old", &[1; 100], long_ago),
        store.removed("one", &[1; 4000], now),
        store.removed("large", &[1; 9000], now),
        store.removed("two", &[2; 4000], now),
        store.removed("three", &[3; 4000], now),
    ];
    assert_eq!(store.keep(jobs), [true, true, false, true, true]);
    let kept = store.place.entries();
    let names: Vec<_> = kept.iter().map(|entry| entry.path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["two", "three"]);
    // A guard that starts again goes on counting, and clears what has no note.
    fs::write(store.place.folder.join("99"), "left by a guard that was killed").unwrap();
    assert_eq!(store.keep(vec![store.removed("four", &[4; 100], now)]), [true]);
    assert_eq!(store.place.entries().last().unwrap().id, 100);
    assert!(!store.place.folder.join("99").exists());
}
