//! Repositories that only somebody with the passphrase could have made, and would make to do harm.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::codec::Codec;
use super::file_kind::FileKind;
use super::id::{BlobKind, Id};
use super::index::{IndexFile, IndexedPack};
use super::pack::Entry;
use super::snapshot::{Snapshot, SnapshotFile};
use super::tree::{self, Node};
use super::write::{PACK_WRITERS, Stopped, Writer};
use super::{CheckLevel, KeyCost, Kind, Password, Vault, random_bytes};
use crate::Error;

fn vault(dir: &Path) -> Vault {
    Vault::init_with_cost(&dir.join("vault"), &Password::new("x"), KeyCost::TEST).unwrap()
}

/// Stores a snapshot whose root `build` makes from blobs of its own.
fn snapshot(vault: &Vault, build: impl FnOnce(&Writer<'_>, &mut Codec) -> Result<Id, Stopped>) -> Snapshot {
    let writer = Writer::new(vault);
    let mut codec = vault.codecs.take().unwrap();
    let tree = std::thread::scope(|scope| {
        for _ in 0..PACK_WRITERS {
            scope.spawn(|| writer.write_packs());
        }
        let tree = build(&writer, &mut codec).and_then(|tree| writer.seal().map(|()| tree));
        writer.close();
        tree.unwrap()
    });
    let file = SnapshotFile {
        time: Timestamp::UNIX_EPOCH,
        parent: None,
        tree,
        paths: vec!["/".to_owned()],
        hostname: String::new(),
        username: String::new(),
        uid: 0,
        gid: 0,
        excludes: Vec::new(),
        tags: None,
        program_version: None,
    };
    let sealed = codec.seal_file(&serde_json::to_vec(&file).unwrap(), true).unwrap();
    let id = vault.backend.save(FileKind::Snapshot, &sealed).unwrap();
    file.into_snapshot(id)
}

fn file(name: &[u8], content: Id) -> Node {
    let mut node = Node::new(name, Kind::File);
    node.mode = 0o644;
    node.content = Some(vec![content]);
    node
}

#[test]
fn names_that_lead_out_are_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let names: [&[u8]; 7] = [b"", b".", b"..", b"../x", b"/etc/x", b"a/b", b"nul\0"];
    let snapshot = snapshot(&vault, |writer, codec| {
        let blob = writer.save(codec, BlobKind::Data, b"harm")?;
        let mut nodes: Vec<Node> = names.iter().map(|name| file(name, blob)).collect();
        nodes.push(file(b"harmless", blob));
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        writer.save(codec, BlobKind::Tree, &tree::write(&nodes))
    });
    let target = dir.path().join("a/target");
    let report = vault.restore(&snapshot, &target, &[], &|_| ()).unwrap();
    assert_eq!((report.files, report.not_restored.len()), (1, names.len()));
    let below = |dir: &Path| fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(below(&target), ["harmless"]);
    assert_eq!(below(&dir.path().join("a")), ["target"]);
    assert_eq!(vault.files(&snapshot).walk("/".as_ref()).unwrap().count(), 2);
    assert!(!vault.check(CheckLevel::Structure, &|_| ()).unwrap().is_whole());
}

#[test]
fn a_symbolic_link_and_a_folder_of_the_same_name_do_not_open_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let snapshot = snapshot(&vault, |writer, codec| {
        let blob = writer.save(codec, BlobKind::Data, b"harm")?;
        let below = writer.save(codec, BlobKind::Tree, &tree::write(&[file(b"victim", blob)]))?;
        let mut link = Node::new(b"way", Kind::Symlink);
        link.set_link_target(outside.as_os_str().as_encoded_bytes());
        let folder = Node { subtree: Some(below), ..Node::new(b"way", Kind::Dir) };
        writer.save(codec, BlobKind::Tree, &tree::write(&[link, folder]))
    });
    // A directory with the same name twice is no directory.
    let report = vault.restore(&snapshot, &dir.path().join("target"), &[], &|_| ()).unwrap();
    assert_eq!((report.files, report.not_restored.len()), (0, 1));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn endless_depth_and_absurd_sizes_end_in_a_named_problem() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let deep = snapshot(&vault, |writer, codec| {
        let mut tree = writer.save(codec, BlobKind::Tree, &tree::write(&[]))?;
        for _ in 0..tree::MAX_DEPTH + 50 {
            let node = Node { subtree: Some(tree), ..Node::new(b"d", Kind::Dir) };
            tree = writer.save(codec, BlobKind::Tree, &tree::write(&[node]))?;
        }
        Ok(tree)
    });
    assert!(!vault.check(CheckLevel::Structure, &|_| ()).unwrap().is_whole());
    assert!(vault.files(&deep).walk("/".as_ref()).unwrap().count() <= tree::MAX_DEPTH + 1);

    let absurd = snapshot(&vault, |writer, codec| {
        let blob = writer.save(codec, BlobKind::Data, b"four")?;
        let mut liar = file(b"liar", blob);
        liar.size = u64::MAX;
        let nowhere = file(b"nowhere", Id([7; 32]));
        let lost = Node { subtree: Some(Id([8; 32])), ..Node::new(b"lost", Kind::Dir) };
        let listless = Node::new(b"listless", Kind::Dir);
        let mut nodes = vec![liar, nowhere, lost, listless];
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        writer.save(codec, BlobKind::Tree, &tree::write(&nodes))
    });
    let target = dir.path().join("target");
    let report = vault.restore(&absurd, &target, &[], &|_| ()).unwrap();
    let lost: Vec<PathBuf> = report.not_restored.into_iter().map(|lost| lost.path).collect();
    assert_eq!(lost, ["/listless", "/lost", "/nowhere"].map(PathBuf::from));
    assert_eq!(fs::read(target.join("liar")).unwrap(), b"four");
    let files = vault.files(&absurd);
    assert!(matches!(files.read_path("/liar", 1 << 20), Err(Error::TooLarge { .. })));
}

#[test]
fn a_blob_that_claims_another_length_or_decompresses_without_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    let mut codec = vault.codecs.take().unwrap();
    let zeros = vec![0; 4 << 20];
    let sealed = codec.seal_blob(&zeros, true).unwrap();
    let id = Id::of(&zeros);
    for (claim, expected) in [
        (Some(4 << 20), true),
        (Some(1000), false),
        (Some(8 << 20), false),
        (Some(u32::MAX), false),
        (None, false),
    ] {
        let (mut bytes, mut opened) = (sealed.bytes.clone(), Vec::new());
        let result = codec.open_blob(BlobKind::Data, &id, &mut bytes, claim, &mut opened);
        assert_eq!(result.is_ok(), expected, "{claim:?}");
    }
    // 300 MB in a few kilobytes: more than any file but a pack may have.
    let bomb = codec.seal_file(&vec![b'{'; 300 << 20], true).unwrap();
    assert!(bomb.len() < 100_000);
    assert!(codec.open_file(&mut bomb.clone()).is_err());
}

/// A pack's blobs as an index lists them, changed by `lie`.
fn listed(vault: &Vault, lie: impl Fn(&Entry) -> Entry) -> Vec<IndexedPack> {
    let index = vault.index();
    let entries = |number: usize| index.entries(number as u32).iter().map(&lie).collect::<Vec<Entry>>();
    index
        .packs()
        .iter()
        .enumerate()
        .map(|(number, pack)| IndexedPack::new(pack.id, &entries(number)))
        .collect()
}

fn add_index(vault: &Vault, packs: Vec<IndexedPack>) {
    let mut codec = vault.codecs.take().unwrap();
    let text = serde_json::to_vec(&IndexFile { packs }).unwrap();
    vault.backend.save(FileKind::Index, &codec.seal_file(&text, true).unwrap()).unwrap();
}

#[test]
fn an_archive_goes_by_how_long_content_is_and_not_by_how_long_an_index_says() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(dir.path());
    // Two blobs that do not compress, so that forged lengths can add up to the true ones.
    let records: [Vec<u8>; 2] = std::array::from_fn(|_| {
        let mut record = vec![0; 5000];
        random_bytes(&mut record).unwrap();
        record
    });
    let snapshot = snapshot(&vault, |writer, codec| {
        let [one, two] = [&records[0], &records[1]].map(|record| writer.save(codec, BlobKind::Data, record));
        writer.save(codec, BlobKind::Tree, &tree::write(&[file(b"record", one?), file(b"then", two?)]))
    });
    for more in [100, 200, 300, 400] {
        let lie = |e: &Entry| match (e.kind, e.offset) {
            (BlobKind::Tree, _) => *e,
            (_, 0) => Entry { length: e.length + more, ..*e },
            _ => Entry { length: e.length - more, ..*e },
        };
        add_index(&vault, listed(&vault, lie));
    }
    vault.load_index().unwrap();
    let mut archive = Vec::new();
    let report = vault.dump(&snapshot, Path::new("/"), &mut archive).unwrap();
    assert_eq!((report.files, report.bytes, report.not_dumped), (2, 10_000, vec![]));
    for record in &records {
        assert_eq!(archive.windows(5000).filter(|part| part == record).count(), 1);
    }
    assert_eq!(archive.len() % 512, 0);
}

#[test]
fn a_forged_index_hides_nothing() {
    // With the true index beside it, and with that one gone: the pack's own header tells then.
    for is_true_index_there in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (made, wanted) = {
            let vault = vault(dir.path());
            let mut wanted = None;
            let snapshot = snapshot(&vault, |writer, codec| {
                let content = writer.save(codec, BlobKind::Data, b"a patient's record")?;
                wanted = Some(content);
                writer.save(codec, BlobKind::Tree, &tree::write(&[file(b"record", content)]))
            });
            // As long as the true entries, so that the lengths raise no doubt.
            let forged = listed(&vault, |e| Entry { id: Id::of(&e.id.0), ..*e });
            if !is_true_index_there {
                for (id, _) in vault.backend.list(FileKind::Index).unwrap() {
                    fs::remove_file(vault.backend.path(FileKind::Index, &id)).unwrap();
                }
            }
            add_index(&vault, forged);
            (snapshot, wanted.unwrap())
        };
        let vault = Vault::open(&dir.path().join("vault"), &Password::new("x")).unwrap();
        let target = dir.path().join("back");
        let report = vault.restore(&made, &target, &[], &|_| ()).unwrap();
        assert_eq!(report.not_restored, []);
        assert_eq!(fs::read(target.join("record")).unwrap(), b"a patient's record");
        let mut archive = Vec::new();
        let dumped = vault.dump(&made, Path::new("/"), &mut archive).unwrap();
        assert_eq!((dumped.files, dumped.bytes, dumped.not_dumped), (1, 18, vec![]));
        // One header, one block of content and the end: what the index claims moves nothing.
        assert_eq!(
            (archive.len() % 512, archive.windows(18).filter(|w| w == b"a patient's record").count()),
            (0, 1)
        );
        // It is said in either case.
        assert!(!report.notes.is_empty());
        assert!(!vault.locate(BlobKind::Data, &wanted).unwrap().is_empty());
        let checked = vault.check(CheckLevel::ReadData, &|_| ()).unwrap();
        assert!(checked.problems.iter().any(|p| p.what.contains("other blobs")), "{:?}", checked.problems);
    }
}
