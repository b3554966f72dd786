use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use testkit::evtx as made;

use super::*;

const AT: i64 = 1_793_664_000_000_000;

fn record(number: u64) -> made::Record {
    let data = [("TargetUserName", "sato"), ("IpAddress", "192.0.2.7")];
    let event = made::event("Security", "P", 4625, "WS07", "2026-11-03T00:00:00Z", &data);
    made::Record { number, at: AT, event }
}

fn log(numbers: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    made::file(&numbers.map(record).collect::<Vec<_>>())
}

fn line(number: u64) -> String {
    format!(r#"{{"EventID":4625,"Channel":"Security","RecordNumber":{number},"TargetUserName":"sato"}}"#)
}

fn xml(number: u64) -> String {
    format!(
        "<Event><System><EventID>4625</EventID><EventRecordID>{number}</EventRecordID><Channel>Security</Channel></System></Event>\r\n"
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// An archive of deflated members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(content).unwrap();
        let packed = packer.finish().unwrap();
        let at = bytes.len() as u32;
        let mut entry = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry.extend((packed.len() as u32).to_le_bytes());
        entry.extend((content.len() as u32).to_le_bytes());
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend([0, 0]);
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&entry);
        bytes.extend(name.as_bytes());
        bytes.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&entry);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, (members.len() as u16).to_le_bytes());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[derive(Default)]
struct Found {
    numbers: BTreeMap<String, Vec<u64>>,
    in_order: Vec<u64>,
    damages: Vec<String>,
    failures: Vec<String>,
}

impl Found {
    fn take(&mut self, piece: Piece) -> bool {
        match piece {
            Piece::Failed(error) => self.failures.push(error.to_string()),
            Piece::Block(block) => {
                let name = block.name.rsplit('/').next().unwrap().to_owned();
                let flow = block.read(&mut Reader::new(), &mut LogRecord::default(), |item| {
                    match item {
                        Item::Record(record) => {
                            self.numbers.entry(name.clone()).or_default().push(record.number);
                            self.in_order.push(record.number);
                        }
                        Item::Damage(damage) => self.damages.push(damage.what.clone()),
                    }
                    ControlFlow::Continue(())
                });
                assert!(flow.is_continue());
            }
        }
        true
    }

    fn of(path: &Path) -> Found {
        let mut found = Found::default();
        assert!(read(path, &Limits::default(), &mut |piece| found.take(piece)));
        found
    }

    fn all(&self) -> Vec<u64> {
        self.in_order.clone()
    }
}

#[test]
fn a_folder_is_read_in_the_order_of_names_whatever_its_files_are() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(xml(5).encode_utf16().flat_map(u16::to_le_bytes)).collect();
    put("a/one.evtx", &log(1..=3));
    put("b.xml", format!("<Events>{}{}</Events>", xml(4), xml(4)).as_bytes());
    put("c.XML", &utf16);
    put("d.jsonl", format!("{}\n{}\nno json\n{}", line(6), line(6), line(6)).as_bytes());
    put("e.evtx.gz", &gzip(&log(7..=8)));
    put("f.zip", &zip(&[("z.json", line(10).as_bytes()), ("x/y.evtx", &log(9..=9))]));
    put("g.txt", b"not looked at");
    put("h.json", b"neither");
    put("i.json", b"");
    let found = Found::of(folder.path());
    assert_eq!(found.all(), [1, 2, 3, 4, 4, 5, 6, 6, 6, 7, 8, 9, 10]);
    assert_eq!(
        (found.damages.len(), found.failures.len()),
        (1, 1),
        "{:?} {:?}",
        found.damages,
        found.failures
    );
    assert!(found.failures[0].contains("h.json"), "{:?}", found.failures);
}

#[test]
fn links_and_pipes_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), line(1)).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("round")).unwrap();
    std::os::unix::fs::symlink("a.json", folder.path().join("b.json")).unwrap();
    assert_eq!(Found::of(folder.path()).all(), [1]);
    assert_eq!(Found::of(&folder.path().join("b.json")).all(), [1]);
    assert_eq!(Found::of(&folder.path().join("none")).failures.len(), 1);
}

#[test]
fn a_log_that_came_round_begins_with_its_oldest_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let (old, new) = (log(1..=3), log(4..=5));
    let round = [&old[..made::HEADER_LEN], &new[made::HEADER_LEN..], &old[made::HEADER_LEN..]].concat();
    fs::write(&path, &round).unwrap();
    assert_eq!(Found::of(&path).all(), [1, 2, 3, 4, 5]);
}

#[test]
fn a_damaged_header_and_a_cut_file_lose_nothing_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let mut bytes = log(1..=50);
    bytes[..200].fill(0xaa);
    fs::write(&path, &bytes).unwrap();
    let found = Found::of(&path);
    assert_eq!((found.all().len(), found.failures.len()), (50, 0));
    fs::write(&path, &bytes[..made::HEADER_LEN + 30_000]).unwrap();
    let found = Found::of(&path);
    assert!(
        found.all().len() > 20 && found.damages.iter().any(|what| what.starts_with("cut off")),
        "{:?}",
        found.damages
    );
}

#[test]
fn what_grows_beyond_all_measure_is_named_and_the_next_file_read() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = vec![b' '; 8 << 20];
    let bomb = [b"{\"EventID\":1,\"Channel\":\"C\"}\n".as_slice(), &bomb].concat();
    fs::write(folder.path().join("a.json.gz"), gzip(&bomb)).unwrap();
    fs::write(folder.path().join("b.zip"), zip(&[("a.json", &bomb)])).unwrap();
    fs::write(folder.path().join("c.json"), line(2)).unwrap();
    let limits = Limits { unpacked: 1 << 20, ratio: 20, ..Limits::default() };
    let mut found = Found::default();
    read(folder.path(), &limits, &mut |piece| found.take(piece));
    assert_eq!(
        found.failures.iter().filter(|what| what.contains("grows")).count(),
        2,
        "{:?}",
        found.failures
    );
    assert!(found.all().contains(&2));
}

#[test]
fn members_that_share_their_bytes_unpack_to_no_more_than_the_archive_allows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let content = (line(1) + "\n").repeat(2_000);
    let whole = zip(&[("a.json", content.as_bytes())]);
    let start = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let end = whole.windows(4).position(|window| window == b"PK\x05\x06").unwrap();
    let (entry, mut tail) = (whole[start..end].repeat(100), whole[end..].to_vec());
    tail[12..16].copy_from_slice(&(entry.len() as u32).to_le_bytes());
    fs::write(&path, [&whole[..start], &entry, &tail].concat()).unwrap();
    let limits = Limits { unpacked: 10 * content.len() as u64, ratio: 1, ..Limits::default() };
    let mut found = Found::default();
    assert!(read(&path, &limits, &mut |piece| found.take(piece)));
    assert!((10 * 2_000..12 * 2_000).contains(&found.all().len()), "{}", found.all().len());
    assert!(found.failures.iter().any(|what| what.contains("grows")), "{:?}", found.failures);
    assert!(found.failures.len() <= 2, "{:?}", found.failures);
}

#[test]
fn a_line_without_end_costs_itself_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let long = "x".repeat(decode::evtx::TEXT_MAX + 10);
    fs::write(&path, format!("{}\n{long}\n{}\n", line(1), line(2))).unwrap();
    let found = Found::of(&path);
    assert_eq!((found.all(), found.failures.len()), (vec![1, 2], 1));
}

#[test]
fn many_lines_and_elements_are_cut_where_records_end() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = 1..=30_000_u64;
    fs::write(folder.path().join("a.jsonl"), numbers.clone().map(|n| line(n) + "\n").collect::<String>())
        .unwrap();
    fs::write(folder.path().join("b.xml"), numbers.clone().map(xml).collect::<String>()).unwrap();
    let found = Found::of(folder.path());
    assert!(found.damages.is_empty() && found.failures.is_empty(), "{:?}", found.damages);
    for all in found.numbers.values() {
        assert!(all.iter().copied().eq(numbers.clone()));
    }
}

fn looked(follow: &mut Follow) -> Vec<u64> {
    let mut found = Found::default();
    follow.have_rested();
    assert!(follow.look(&mut |piece| found.take(piece)));
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    found.all()
}

#[test]
fn a_live_log_gives_what_is_new_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let mut follow = Follow::new(&path, false).unwrap();
    assert!(looked(&mut follow).is_empty());
    // The server's file is written in place.
    fs::write(&path, log(1..=3)).unwrap();
    assert_eq!(looked(&mut follow), [1, 2, 3]);
    assert!(looked(&mut follow).is_empty());
    fs::write(&path, log(1..=5)).unwrap();
    assert_eq!(looked(&mut follow), [4, 5]);
    // It comes round: the first chunk holds the newest records.
    let (old, new) = (log(4..=5), log(6..=7));
    fs::write(&path, [&new[..], &old[made::HEADER_LEN..]].concat()).unwrap();
    assert_eq!(looked(&mut follow), [6, 7]);
    // It is cleared.
    fs::write(&path, log(1..=2)).unwrap();
    assert_eq!(looked(&mut follow), [1, 2]);
    // Another file takes its place.
    fs::write(folder.path().join("b"), log(1..=4)).unwrap();
    fs::rename(folder.path().join("b"), &path).unwrap();
    assert_eq!(looked(&mut follow), [1, 2, 3, 4]);
    assert!(looked(&mut Follow::new(&path, true).unwrap()).is_empty());
    // After a restart it goes on where it was; one that was cleared since begins anew.
    assert_eq!(looked(&mut Follow::resume(&path, 3)), [4]);
    assert_eq!(looked(&mut Follow::resume(&path, 9)), [1, 2, 3, 4]);
}

#[test]
fn a_headers_nonsense_does_not_blind_a_live_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let write = |numbers, flags: u8| {
        let mut bytes = log(numbers);
        let mut nonsense = made::chunks(&[record(1)]).remove(0);
        nonsense[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        nonsense[24..32].copy_from_slice(&(u64::MAX - 5).to_le_bytes());
        nonsense[120] = flags;
        bytes.extend(nonsense);
        fs::write(&path, bytes).unwrap();
    };
    for flags in [0, 1] {
        write(1..=2, flags);
        let mut follow = Follow::new(&path, true).unwrap();
        write(1..=3, flags);
        assert_eq!(looked(&mut follow), [3], "{flags}");
    }
    // The chunk that is being written need not have its sum yet.
    let mut bytes = log(1..=3);
    let mut open = made::chunks(&[record(4)]).remove(0);
    (open[120], open[124]) = (1, open[124] ^ 1);
    bytes.extend(open);
    fs::write(&path, bytes).unwrap();
    assert_eq!(looked(&mut Follow::resume(&path, 3)), [4]);
}

#[test]
fn a_live_log_tells_its_place_before_anything_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let told = |follow: &mut Follow| {
        let mut told = Vec::new();
        follow.look(&mut |piece| {
            if let Piece::Block(block) = piece {
                told.push((block.last, block.bytes.len()));
            }
            true
        });
        told
    };
    assert_eq!(told(&mut Follow::new(&path, true).unwrap()), [(Some(0), 0)]);
    fs::write(&path, log(1..=3)).unwrap();
    let mut follow = Follow::new(&path, true).unwrap();
    assert_eq!(told(&mut follow), [(Some(3), 0)]);
    assert!(told(&mut follow).is_empty());
}

#[test]
fn a_long_live_log_is_looked_at_where_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.evtx");
    let chunk = |numbers: std::ops::RangeInclusive<u64>| log(numbers).split_off(made::HEADER_LEN);
    let write =
        |chunks: &[Vec<u8>]| fs::write(&path, [&log(1..=1)[..made::HEADER_LEN], &chunks.concat()].concat());
    let mut chunks: Vec<_> = [7..=8, 1..=2, 3..=4, 5..=6].map(chunk).into();
    write(&chunks).unwrap();
    let mut follow = Follow::new(&path, true).unwrap();
    // Behind the youngest, as many as came.
    (chunks[1], chunks[2]) = (chunk(9..=10), chunk(11..=12));
    write(&chunks).unwrap();
    assert_eq!(looked(&mut follow), [9, 10, 11, 12]);
    // Elsewhere only where all are looked at, which happens less often.
    chunks[1] = chunk(13..=14);
    write(&chunks).unwrap();
    assert!(looked(&mut follow).is_empty());
    follow.all_now();
    assert_eq!(looked(&mut follow), [13, 14]);
}

#[test]
fn lines_are_followed_through_rotation_and_truncation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let append = |text: &str| {
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    };
    append(&(line(1) + "\n"));
    let mut follow = Follow::new(&path, false).unwrap();
    assert_eq!(looked(&mut follow), [1]);
    let (half, rest) = (&line(2)[..20], &line(2)[20..]);
    append(half);
    assert!(looked(&mut follow).is_empty());
    append(&format!("{rest}\n"));
    assert_eq!(looked(&mut follow), [2]);
    append(&(line(3) + "\n"));
    fs::rename(&path, folder.path().join("a.jsonl.1")).unwrap();
    append(&(line(4) + "\n"));
    assert_eq!(looked(&mut follow), [3, 4]);
    fs::write(&path, line(5) + "\n").unwrap();
    assert!(looked(&mut follow).is_empty());
    fs::write(&path, "").unwrap();
    assert!(looked(&mut follow).is_empty());
    append(&(line(6) + "\n"));
    assert_eq!(looked(&mut follow), [6]);
}

#[test]
fn events_of_several_logs_come_in_their_order_and_late_ones_are_counted() {
    let mut order = InOrder::new(10, 100);
    let mut given = Vec::new();
    for at in [5, 3, 20, 12, 18, 40, 1, 41] {
        order.push(at, at, |at| given.push(at));
    }
    order.finish(|at| given.push(at));
    assert_eq!((given, order.late()), (vec![3, 5, 12, 18, 20, 1, 40, 41], 1));
    let mut order = InOrder::new(1_000, 2);
    let mut given = Vec::new();
    (1..=5).for_each(|at| order.push(at, at, |at| given.push(at)));
    assert_eq!(given, [1, 2, 3]);
}

#[test]
fn data_sets_in_archives_are_read() {
    let Some(folder) = testkit::shared("evtx_otrf", "logins/otrf-mit") else { return };
    let found = Found::of(&folder);
    assert!(
        found.failures.is_empty() && found.damages.is_empty(),
        "{:?} {:?}",
        found.failures,
        found.damages.first()
    );
    assert_eq!(found.numbers.len(), 4);
    assert!(found.numbers.values().all(|numbers| numbers.len() > 100));
}
