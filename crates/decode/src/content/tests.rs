mod wrapped;

use super::{Chunk, Histogram, Kind, Sample, compare};

/// A seeded stream that no statistic here tells from noise.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
    .take(len)
    .collect()
}

const HL7: &[u8] = b"MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||ADT^A08^ADT_A01|42|P|2.5||||||~ISO IR87||ISO 2022-1994\rPID|0001||0000000042^^^^PI||\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B^^^^^L^I||19700101|M\r";

#[test]
fn formats_are_known_by_holding_together() {
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01";
    let sqlite = [
        b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec(),
        vec![0; 76],
        b"\x0d\0\0\0\0\x10\0\0".to_vec(),
        vec![0; 3988],
    ]
    .concat();
    let sjis = encoding_rs::SHIFT_JIS.encode("患者さんのカルテを読む。アレルギーなし").0.into_owned();
    for (bytes, expected) in [
        (&b""[..], Kind::Empty),
        (HL7, Kind::Hl7),
        ("診療録\n".as_bytes(), Kind::Text),
        (&sjis, Kind::Text),
        (b"<?xml version=\"1.0\"?><a/>", Kind::Markup),
        (b"%PDF-1.7 ... no trailer", Kind::Unknown),
        (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nxref\n0 1\nstartxref 29 %%EOF\n", Kind::Pdf),
        (b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\nxref\n0 1\nstartxref 2900 %%EOF\n", Kind::Pdf),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0", Kind::Compressed),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03....", Kind::Unknown),
        (png, Kind::Image),
        (&sqlite, Kind::Sqlite),
        (&noise(1, 4096), Kind::Unknown),
    ] {
        assert_eq!(Kind::of(&Sample::whole(bytes)), expected, "{:?}", &bytes[..bytes.len().min(16)]);
    }
}

#[test]
fn noise_of_the_length_of_a_record_is_never_taken_for_text() {
    let taken = (0..2000)
        .filter(|&seed| Kind::of(&Sample::whole(&noise(seed, 200))).family() == Some(super::Family::Text));
    assert_eq!(taken.count(), 0);
}

#[test]
fn a_text_with_noise_in_one_place_is_no_text() {
    for (from, to) in [(0, 40), (60, 120), (HL7.len() - 40, HL7.len())] {
        let mut bytes = HL7.to_vec();
        bytes[from..to].copy_from_slice(&noise(7, to - from));
        assert_eq!(Kind::of(&Sample::whole(&bytes)), Kind::Unknown, "{from}..{to}");
    }
}

#[test]
fn chi_square_tells_noise_from_text_at_any_length() {
    for len in [128, 400, 4096, 65536] {
        let histogram = |bytes: &[u8]| {
            let mut histogram = Histogram::default();
            histogram.add(bytes.iter().copied().take(len));
            histogram
        };
        let chi2 = histogram(&noise(len as u64, len)).chi2();
        assert!((0.6..1.45).contains(&chi2), "noise of {len} bytes has {chi2}");
        let text: Vec<u8> = HL7.iter().copied().cycle().take(len).collect();
        assert!(histogram(&text).chi2() > 2.0, "text of {len} bytes has {}", histogram(&text).chi2());
    }
}

#[test]
fn xor_is_uniform_after_encryption_and_not_after_an_edit() {
    let before = HL7.repeat(8);
    let encrypted: Vec<u8> =
        before.iter().zip(noise(3, before.len())).map(|(byte, key)| byte ^ key).collect();
    let edited: Vec<u8> = before.iter().rev().copied().collect();
    let sample = |bytes: &[u8]| Sample::whole(bytes);
    let harm = compare(&sample(&before), &sample(&encrypted));
    assert_eq!(harm.changed, before.len() as u64);
    assert!(harm.xor.chi2() < 1.45 && harm.before.chi2() > 3.0, "{} {}", harm.xor.chi2(), harm.before.chi2());
    assert!(compare(&sample(&before), &sample(&edited)).xor.chi2() > 3.0);
    assert_eq!(compare(&sample(&before), &sample(&before)).changed, 0);
}

#[test]
fn only_what_both_samples_cover_is_compared() {
    let sample = |chunks: &[(u64, &[u8])]| Sample {
        len: 100,
        chunks: chunks.iter().map(|&(offset, bytes)| Chunk { offset, bytes: bytes.to_vec() }).collect(),
    };
    let found = compare(&sample(&[(0, b"abcd"), (50, b"efgh")]), &sample(&[(2, b"cXXX"), (52, b"gh")]));
    assert_eq!((found.compared, found.changed), (4, 2));
}

/// The beginnings of every format that is looked into.
const MAGICS: [&[u8]; 29] = [
    b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20",
    b"%PDF-1.7\n1 0 obj<</FlateDecode>>stream\n",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff\xe0",
    b"GIF89a",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"BM\x40\0\0\0\0\0\0\0",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    b"\x1f\x8b\x08\x1f",
    b"BZh91AY&SY",
    b"\xfd7zXZ\0\0\x04",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    b"7z\xbc\xaf\x27\x1c\0\x04",
    b"\x78\x9c",
    b"\x7fELF\x02\x01\x01",
    b"PACK\0\0\0\x02",
    b"\xfftOc",
    b"OggS\0",
    b"fLaC",
    b"\0\0\0\x18ftyp",
    b"\0\x01\0\0\0\x10",
    b"Rar!\x1a\x07\x01\0",
    b"RIFF\x40\0\0\0WAVEfmt \x10\0\0\0\x01\0\x02\0",
    b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
];

proptest::proptest! {
    #[test]
    fn any_bytes_behind_any_beginning_are_looked_at_without_harm(
        magic in 0..MAGICS.len(),
        body in proptest::collection::vec(proptest::num::u8::ANY, 0..3000),
        shift in 0usize..200,
        gap in 0u64..1 << 40,
        cut in 0usize..3000,
    ) {
        let mut bytes = [MAGICS[magic], &body].concat();
        if shift >= 128 {
            // DICOM and tar carry their marks further in.
            bytes.splice(0..0, vec![0; 128]);
            let mark: &[u8] = if shift > 160 { b"DICM\x02\0\0\0UL\x04\0" } else { b"DICM\x08\0\x05\0CS" };
            bytes.splice(128..128, mark.iter().copied());
        }
        let whole = Sample::whole(&bytes);
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        let chunks = [(0, head), (head.len() as u64 + gap, tail)].into_iter().filter(|(_, bytes)| !bytes.is_empty());
        let chunks = chunks.map(|(offset, bytes)| Chunk { offset, bytes: bytes.to_vec() }).collect();
        let stretches = Sample { len: bytes.len() as u64 + gap, chunks };
        let found = compare(&whole, &stretches);
        proptest::prop_assert!(found.changed <= found.compared && found.differing <= found.compared);
        for sample in [&whole, &stretches] {
            let _ = super::Structure::of(sample, &[0..100, 1 << 30..u64::MAX]);
        }
        let _ = super::measure(&whole, &stretches);
    }
}

#[test]
fn noise_behind_any_beginning_is_no_format() {
    for (number, magic) in MAGICS.iter().enumerate() {
        let bytes = [magic, &noise(number as u64, 100_000)[..]].concat();
        let sample = Sample::whole(&bytes);
        let found = super::Structure::of(&sample, &[]);
        // Pictures and sounds that are only walked say little more than their headers do; an encryption in place of them is seen by
        // comparing, and one of other formats by the format that was lost.
        let weak: [&[u8]; 3] = [b"BM", b"\0\x01", b"Rar!"];
        if !weak.iter().any(|weak| magic.starts_with(weak)) {
            assert_eq!(found.kind, Kind::Unknown, "{magic:?}");
        }
    }
}

#[test]
fn places_of_large_files_are_in_order_and_stay_with_the_length() {
    for len in [0, 1, super::WHOLE_MAX, super::WHOLE_MAX + 1, 100 << 20, 5 << 30, 1 << 50] {
        let places = super::places(len, 42);
        assert!(places.windows(2).all(|two| two[0].0 + two[0].1 <= two[1].0), "{len}");
        assert!(places.last().is_some_and(|(at, bytes)| at + bytes == len), "{len}");
        assert!(places.iter().map(|(_, bytes)| bytes).sum::<u64>() <= super::WHOLE_MAX, "{len}");
    }
    let inner =
        |len| super::places(len, 42).into_iter().filter(|(_, bytes)| *bytes == 8192).collect::<Vec<_>>();
    let (short, long) = (inner(7 << 20), inner(14 << 20));
    assert!(long.iter().filter(|place| place.0 < 6 << 20).all(|place| short.contains(place)));
    assert!(long.len() >= 60);
}

#[test]
fn a_record_with_ciphertext_in_its_fields_spells_noise() {
    let base32 = |bytes: &[u8]| -> String {
        bytes
            .iter()
            .map(|byte| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]))
            .collect()
    };
    let first = || String::from_utf8_lossy(HL7).split('\r').next().unwrap_or_default().to_owned();
    let of = |fields: &str, width: usize| {
        let lines = fields.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line).into_owned());
        lines.fold(first(), |all, line| all + "\rOBX|1|ST|" + &line + "|||F").into_bytes()
    };
    let spelled = base32(&noise(5, 4000));
    let long = (0..40).fold(HL7.to_vec(), |all, n| [all, format!("OBX|{n}|NM|3A{n}||{n}\r").into()].concat());
    let appended = [&long[..], &of(&spelled, 60)].concat();
    for (what, before, after, expected) in [
        ("short fields", &long[..], of(&spelled, 60), true),
        ("one field", &long, of(&spelled, 4000), true),
        ("of a short record", HL7, of(&spelled, 60), true),
        ("beside what was there", &long, appended, false),
        ("it was so before", &of(&base32(&noise(9, 4000)), 60)[..], of(&spelled, 60), false),
        ("nothing that spells noise", &long, of(&"an honest remark, rather long ".repeat(99), 60), false),
    ] {
        let found = super::measure(&Sample::whole(before), &Sample::whole(&after));
        assert_eq!(found.spells_noise, expected, "{what}");
    }
}
