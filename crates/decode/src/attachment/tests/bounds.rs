use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::MarkKind::{Bomb, NotLookedAt};
use super::super::{Limits, MarkKind, look};
use super::made::{compound, finish, gzip, iso, pe, tar, zip};

/// Looks, and says whether it was quick.
fn kinds(bytes: &[u8], limits: &Limits) -> BTreeSet<MarkKind> {
    let began = Instant::now();
    let look = look("a.bin", bytes, limits, &["x"]);
    // Far above what it takes; a bomb that is unpacked takes minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(look.looked_at as usize <= limits.entries + 1, "{}", look.looked_at);
    look.marks.iter().map(|mark| mark.kind).collect()
}

#[test]
fn bombs_are_seen_by_how_much_comes_out() {
    let limits = Limits::default();
    let zeros = vec![0; 40 << 20];
    let single = zip(&[("zeros", &zeros)]);
    assert!(kinds(&single, &limits).contains(&Bomb));
    assert!(kinds(&gzip(&zeros), &limits).contains(&Bomb));
    // Each layer is harmless by itself, as 42.zip is: sixteen in sixteen in sixteen.
    let mut layer = zip(&[("zeros", &vec![0; 4 << 20])]);
    for _ in 0..2 {
        let names: Vec<String> = (0..16).map(|n| format!("lib{n}.zip")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &layer[..])).collect();
        layer = zip(&files);
    }
    assert!(kinds(&layer, &limits).contains(&Bomb));
    // Ordinary papers: a picture of one colour, a long table.
    let blank = vec![0xff; 900 << 10];
    let table: String = (0..60_000).map(|row| format!("{row},{},患者\n", row * 7919 % 10_007)).collect();
    let ordinary = zip(&[("blank.bmp", &blank), ("table.csv", table.as_bytes())]);
    assert!(kinds(&ordinary, &limits).is_empty(), "{:?}", kinds(&ordinary, &limits));
}

#[test]
fn entries_that_share_their_bytes_are_a_bomb() {
    let one = zip(&[("a", &vec![b'a'; 10_000])]);
    let local = one.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let entry = &one[local..one.len() - 22];
    let many = finish(one[..local].to_vec(), &entry.repeat(500), 500);
    assert!(kinds(&many, &Limits::default()).contains(&Bomb));
}

#[test]
fn nests_end_at_their_depth() {
    let mut nest = zip(&[("evil.exe", &pe())]);
    for _ in 0..3 {
        nest = zip(&[("a.zip", &nest)]);
    }
    assert!(kinds(&nest, &Limits::default()).contains(&MarkKind::Executable));
    nest = zip(&[("a.zip", &nest)]);
    let found = kinds(&nest, &Limits::default());
    assert!(found.contains(&Bomb) && found.contains(&NotLookedAt) && !found.contains(&MarkKind::Executable));
    // A tar in a packed stream is one step, whatever it is packed with.
    let mut tars = gzip(&tar(&[("evil.exe", &pe())]));
    for _ in 0..3 {
        tars = gzip(&tar(&[("a.tgz", &tars)]));
    }
    assert!(kinds(&tars, &Limits::default()).contains(&MarkKind::Executable));
    for _ in 0..200 {
        nest = gzip(&nest);
    }
    assert!(kinds(&nest, &Limits::default()).contains(&NotLookedAt));
}

#[test]
fn bounds_that_are_met_are_told() {
    let names: Vec<String> = (0..100).map(|n| format!("{n}.txt")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"text"[..])).collect();
    let few = Limits { entries: 20, ..Limits::default() };
    for bytes in [zip(&files), tar(&files), iso(&files[..40])] {
        assert!(kinds(&bytes, &few).contains(&NotLookedAt));
        assert!(!kinds(&bytes, &Limits::default()).contains(&NotLookedAt));
    }
    let noise = testkit::noise(5, 300_000);
    let small = Limits { bytes: 100_000, ..Limits::default() };
    for bytes in [zip(&[("a", &noise), ("b", &noise)]), tar(&[("a", &noise)]), gzip(&noise)] {
        let found = kinds(&bytes, &small);
        assert!(found.contains(&NotLookedAt) && !found.contains(&Bomb), "{found:?}");
    }
    // The same stretch under many names costs no more than once.
    let mut image = iso(&[("A", &noise), ("B", &noise)]);
    let root = 19 * 2_048;
    let second = image[root + 34 * 2 + 36 + 2..root + 34 * 2 + 36 + 6].to_vec();
    image[root + 34 * 2 + 2..root + 34 * 2 + 6].copy_from_slice(&second);
    assert!(kinds(&image, &small).contains(&NotLookedAt));
}

#[test]
fn loops_end() {
    // A folder of an image that is its own.
    let mut image = iso(&[("A", b"x")]);
    let record = 19 * 2_048 + 2 * 34;
    image[record + 2..record + 6].copy_from_slice(&19_u32.to_le_bytes());
    image[record + 25] = 2;
    assert!(kinds(&image, &Limits::default()).contains(&MarkKind::Broken));
    // Chains of a compound file that run in a circle, everywhere.
    let file = compound(&[("/WordDocument", &[b'x'; 9_000]), ("/small", b"y")]);
    for sector in 0..file.len() / 512 {
        for value in [0_u32, 1, 2, 3] {
            let mut broken = file.clone();
            broken[sector * 512..sector * 512 + 512].chunks_exact_mut(4).for_each(|four| {
                four.copy_from_slice(&value.to_le_bytes());
            });
            if sector > 0 {
                kinds(&broken, &Limits::default());
            }
        }
    }
}

/// Twelve megabytes of whatever costs most in each format.
#[test]
fn what_is_written_to_cost_time_does_not() {
    let fill = |start: &[u8], piece: &[u8]| [start, &piece.repeat(12_000_000 / piece.len())].concat();
    let word = fill(&[0; 600], b"\x13DDX");
    let files = [
        ("a.pdf", fill(b"%PDF-1.7 ", b"/F(/Launch")),
        ("a.pdf", fill(b"%PDF-1.7 ", b"stream\n#41")),
        ("a.rtf", fill(b"{\\rtf1", b"\\objdata zzzzzzzz")),
        ("a.rtf", fill(b"{\\rtf1", b"{\\fldinst ")),
        ("a.doc", compound(&[("/WordDocument", &word)])),
        ("a.html", fill(b"<html><a ", b"a b ")),
        ("a.html", fill(b"<html>", b"<script>'+'")),
        ("a.csv", fill(b"", b"=a|'b'!c,")),
        ("a.one", fill(b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", b"a\0.\0")),
        ("a.zip", fill(b"", b"PK\x03\x04")),
        ("a.xls", compound(&[("/Workbook", &fill(b"", b"\x85\0\x08\0\0\0\0\0\0\x01\0\0"))])),
    ];
    for (name, bytes) in files {
        let began = Instant::now();
        look(name, &bytes, &Limits::default(), &[]);
        // An order of magnitude above what a busy machine needs.
        assert!(began.elapsed() < Duration::from_secs(15), "{name}: {:?}", began.elapsed());
    }
}

/// Files of every sort, to be broken.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.zip", zip(&[("a.txt", b"hello hello hello hello"), ("b.exe", &pe())])),
        ("a.tar", tar(&[("a.txt", b"hello")])),
        ("a.gz", gzip(&tar(&[("a.txt", b"hello")]))),
        ("a.iso", iso(&[("A.TXT", b"hello")])),
        ("a.doc", compound(&[("/Macros/VBA/dir", b"\x01\x03\xb0\0aa"), ("/WordDocument", &[0x13; 600])])),
        ("a.xls", compound(&[("/Workbook", b"\x85\0\x0c\0\0\0\0\0\x02\x01\x04\0Main\x2f\0\0\0")])),
        ("a.docx", zip(&[("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<w:instrText>DDE</w:instrText>")])),
        ("a.rtf", b"{\\rtf1{\\object{\\*\\objdata 01050000020000000800000050 61636b616765}}\\bin9999 }".to_vec()),
        ("a.pdf", b"%PDF-1.7 1 0 obj<</OpenAction<</S/Launch/F(a)>>/Length 3>>\nstream\nabc\nendstream".to_vec()),
        ("a.lnk", super::made::lnk("a", "b")),
        ("a.html", b"<html><script>atob('x')</script><form action=http://a><input type=password>".to_vec()),
        ("a.rar", b"Rar!\x1a\x07\x01\0\0\0\0\0\x03\x01\0\0\0\0\0\0\x0a\x02\x02\x05\0\x05\0\0\0\x01a\0".to_vec()),
        ("a.rar", b"Rar!\x1a\x07\0\0\0\x74\0\x80\x21\0\x05\0\0\0\x05\0\0\0".to_vec()),
        ("a.lzh", b"\x19\0-lh5-\x05\0\0\0\x05\0\0\0\0\0\0\0\x20\x01\x05a.bat\0\0\0\0\0".to_vec()),
        ("a.cab", b"MSCF\0\0\0\0\0\0\0\0\0\0\0\0\x24\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec()),
        ("a.arj", b"\x60\xea\x20\0\x1e\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\0".to_vec()),
        ("a.one", b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3\xe7\x16\xe3\xbd\x65\x26\x11\x45".to_vec()),
        ("winmail.dat", b"\x78\x9f\x3e\x22\x01\0\x02\x0f\x80\x06\0\x04\0\0\0abcd\0\0".to_vec()),
        ("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec()),
        ("a.xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46\x02\0\x21\x01".to_vec()),
        ("a.bz2", b"BZh91AY&SY".to_vec()),
        ("a.lzma", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0".to_vec()),
    ]
}

#[test]
fn files_cut_off_anywhere_are_looked_at() {
    let limits = Limits { depth: 3, entries: 50, bytes: 1 << 20, ratio: 100 };
    for (name, bytes) in seeds() {
        let step = bytes.len() / 300 + 1;
        for end in (0..bytes.len()).step_by(step) {
            look(name, &bytes[..end], &limits, &["x"]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_and_no_names_bring_it_down(
        name in ".{0,40}",
        seed in 0..22_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        tail in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let limits = Limits { depth: 3, entries: 50, bytes: 1 << 20, ratio: 100 };
        let (own, mut bytes) = seeds().swap_remove(seed);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.extend(tail);
        for name in [own, &name] {
            let look = look(name, &bytes, &limits, &["x"]);
            prop_assert!(look.looked_at >= 1 && look.looked_at as usize <= limits.entries + 1);
            for mark in &look.marks {
                prop_assert!(mark.evidence.chars().count() <= 161 && !mark.evidence.chars().any(char::is_control));
                prop_assert!(mark.place.chars().count() <= 401 && !mark.place.chars().any(char::is_control));
            }
        }
    }
}
