//! What anybody who has a key of the vault may have written into it. Each of these takes any bytes and returns; the fuzz targets call them,
//! and so do the tests below, with what is almost right.

use super::chunker::{Chunker, MIN, Scan};
use super::codec::limit;
use super::crypto::OVERHEAD;
use super::forget::ForgetNote;
use super::goformat::{quote, unquote};
use super::id::Id;
use super::index::{Index, IndexFile};
use super::lock::LockFile;
use super::prune::{MarkFile, Moment};
use super::repository::parse_config;
use super::roots::distinct_texts;
use super::snapshot::SnapshotFile;
use super::{key, pack, tree};

/// Four bytes with the length of the blobs, then an opened header: what is taken is what would be written.
pub fn pack_header(bytes: &[u8]) {
    let Some((size, header)) = bytes.split_first_chunk::<4>() else { return };
    let size = u64::from(u32::from_le_bytes(*size));
    if let Ok(entries) = pack::parse_header(header, size) {
        assert_eq!(pack::write_header(&entries), header);
        assert_eq!(pack::expected_size(&entries), size + header.len() as u64 + OVERHEAD as u64 + 4);
    }
}

/// A directory: its entries are ordered, and read back as they are written.
pub fn tree(bytes: &[u8]) {
    if let Ok(nodes) = tree::parse(bytes) {
        assert!(nodes.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(tree::parse(&tree::write(&nodes)).as_deref(), Ok(nodes.as_slice()));
    }
}

/// A name in a directory.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(name) = unquote(text) {
        assert_eq!(unquote(&quote(&name)), Some(name));
    }
}

/// An index: no place that it names makes anybody take more memory than a blob may need.
pub fn index(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<IndexFile>(bytes) else { return };
    let mut index = Index::default();
    for pack in &file.packs {
        let entries = pack.entries();
        index.add(pack.id, &entries, Some(pack::expected_size(&entries)));
        assert!(!index.add(pack.id, &entries, None));
        for entry in entries {
            let longest = limit(entry.kind) as usize + OVERHEAD;
            assert!(
                index.locations(entry.kind, &entry.id).iter().all(|place| place.length as usize <= longest)
            );
        }
    }
    assert_eq!(index.by_pack().iter().map(Vec::len).sum::<usize>(), index.packs().len());
}

/// A snapshot.
pub fn snapshot(bytes: &[u8]) {
    let Ok(file) = serde_json::from_slice::<SnapshotFile>(bytes) else { return };
    let snapshot = file.into_snapshot(Id::of(bytes));
    assert_eq!(distinct_texts(snapshot.paths.clone()), snapshot.paths);
    let _ = snapshot.is_proof();
}

/// A configuration: what one chunks with ends.
pub fn config(bytes: &[u8]) {
    if let Ok((_, Some(polynomial))) = parse_config(bytes) {
        let _ = Chunker::new(polynomial).cut(&mut Scan::default(), &vec![0; MIN]);
    }
}

/// A key file: it asks for no more memory than is stated. What it asks for is not done here.
pub fn key_file(bytes: &[u8]) {
    let id = Id::of(bytes);
    let _ = (key::describe(id, bytes, None), key::work(&id, bytes));
    assert!(key::memory(&id, bytes).is_none_or(|memory| memory <= key::MAX_MEMORY));
}

/// A lock, a list of packs to remove, and a note of a forget.
pub fn own_files(bytes: &[u8]) {
    if let Ok(lock) = serde_json::from_slice::<LockFile>(bytes) {
        let _ = (lock.is_stale(), lock.describe());
    }
    if let Ok(mark) = serde_json::from_slice::<MarkFile>(bytes) {
        let _ = mark.is_due(jiff::SignedDuration::from_hours(24), &Moment::now());
    }
    let _ = serde_json::from_slice::<ForgetNote>(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::id::BlobKind;
    use super::super::index::IndexedPack;
    use super::super::key::KeyCost;
    use super::super::meta;
    use super::super::password::Password;
    use super::super::tree::{Attribute, Kind, Node};
    use super::*;

    type Door = fn(&[u8]);

    /// Something right for each door, to begin from.
    fn samples() -> Vec<(Door, Vec<u8>)> {
        let entry = |kind, byte, offset, uncompressed| pack::Entry {
            kind,
            id: Id([byte; 32]),
            offset,
            length: 100,
            uncompressed,
        };
        let entries = [entry(BlobKind::Data, 1, 0, Some(300)), entry(BlobKind::Tree, 2, 100, None)];
        let header = [200u32.to_le_bytes().to_vec(), pack::write_header(&entries)].concat();
        let mut file = Node::new(b"x-ray \xff\"1\"", Kind::File);
        file.content = Some(vec![Id([3; 32])]);
        file.extended_attributes = vec![Attribute { name: "user.a".to_owned(), value: vec![0, 1] }];
        let mut link = Node::new("写真".as_bytes(), Kind::Symlink);
        link.set_link_target(b"\xfe/elsewhere");
        let packs = vec![IndexedPack::new(Id([9; 32]), &entries)];
        let json = |value: serde_json::Value| value.to_string().into_bytes();
        let id = "ab".repeat(32);
        let (_, key) = key::create(&Password::new("x"), KeyCost::TEST, "host", "user").unwrap();
        vec![
            (pack_header, header),
            (tree, tree::write(&[file, link])),
            (name, br"a\xffb\u00e9\101\n".to_vec()),
            (index, serde_json::to_vec(&IndexFile { packs }).unwrap()),
            (
                snapshot,
                json(serde_json::json!({
                    "time": "2026-11-22T02:13:10Z", "tree": id, "paths": ["/a", "/a/b", "/c"], "tags": ["daily"],
                })),
            ),
            (
                config,
                json(serde_json::json!({
                    "version": 2, "id": id, "chunker_polynomial": "3f9a9a5d4a1a6d",
                })),
            ),
            (key_file, key),
            (
                own_files,
                json(serde_json::json!({
                    "time": "2026-11-22T02:13:10Z", "exclusive": true, "hostname": meta::hostname(), "pid": 1,
                    "at": "2026-11-22T02:13:10Z", "uptime": {"boot": "b", "seconds": 3}, "packs": [id],
                    "by": "x", "snapshots": [id],
                })),
            ),
        ]
    }

    /// What is put in some place: single bytes, and what bounds are made of.
    fn splinter() -> impl Strategy<Value = Vec<u8>> {
        let telling: Vec<&[u8]> = vec![
            b"",
            b"-",
            b"0",
            b"18446744073709551615",
            b"-9223372036854775808",
            b"4294967295",
            b"1e999",
            b"\"",
            b"{",
            b"[[[[",
            b"null",
            b"\\u0000",
            b"\\ud800",
            b"\xff\xff\xff\xff",
            b"\0\0\0\0",
            b",",
            b"-5",
            b"-009999-01-01T00:00:00Z",
            b"9999-12-31T23:59:59Z",
        ];
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..4),
            proptest::sample::select(telling).prop_map(<[u8]>::to_vec),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn what_is_almost_right_is_taken_or_refused_and_harms_nothing(
            cuts in proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..24, splinter()), 0..6),
        ) {
            for (door, sample) in samples() {
                let mut bytes = sample;
                for (at, length, splinter) in &cuts {
                    let at = at.index(bytes.len() + 1);
                    let end = (at + length).min(bytes.len());
                    bytes.splice(at..end, splinter.iter().copied());
                }
                door(&bytes);
            }
        }

        #[test]
        fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for (door, _) in samples() {
                door(&bytes);
            }
        }
    }

    #[test]
    fn a_lock_of_no_process_that_can_be_is_as_old_as_it_says() {
        for pid in [0, -1, i32::MIN] {
            let host = meta::hostname();
            let text = serde_json::json!({"time": "9999-12-30T00:00:00Z", "exclusive": true, "hostname": host, "pid": pid});
            let lock: LockFile = serde_json::from_value(text).unwrap();
            assert!(!lock.is_stale(), "{pid}");
        }
    }
}
