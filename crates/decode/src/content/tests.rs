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
    let sqlite = [b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec(), vec![0; 100]].concat();
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
