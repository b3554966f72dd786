//! Containers that hold together and carry noise: points and sounds that are stored as they are, packed streams without a
//! signature, PDFs with a password, and wrappers in wrappers.

use super::noise;
use crate::content::{Chunk, Kind, Sample, Structure, measure};

/// Four lines of HL7 packed by `brotli -q 9`, and the same by `xz --format=lzma`.
const BROTLI: &[u8] = b"\x1f\x17\x01\x00\xc4\xa7\x3f\x07\x34\xd1\xe1\x8f\xd6\x45\x35\xc9\xbb\x35\x02\x08\x69\xb4\xa0\x04\xb0\xaf\x35\x53\x8e\xf7\xbf\x7d\xe4\xc5\x84\x29\x69\x63\x64\x1b\xc6\x24\x4a\x8a\x35\xc1\x3f\x70\x35\x4c\x2b\xc6\x18\x10\xc4\xf3\x1b\x30\x67\x19\xf1\xfc\x05\x8c\x43\x09\xf4\x10\x44\x7b\x25";
const LZMA: &[u8] = b"\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x26\x94\xc5\x16\xb9\x1c\xae\xb9\xda\xb5\x3a\xc2\xda\x50\xc6\x2e\x61\x7d\x8b\xbb\xc0\x00\x3a\x64\xa9\xbd\x0b\x1b\x60\xd6\x46\x93\x15\x57\x3e\x7d\x98\x21\x14\x93\xc8\xce\x51\x24\x97\xe7\xfc\x2e\x5f\x42\x19\x69\x80\xb6\x26\xd9\xfa\x72\x4f\xdb\xe0\x6a\xe0\x2e\x29\x81\xfa\x50\xd4\xdf\x69\xd9\xf7\xff\xff\xe2\x28\x80\x00";

/// A picture without noise: smooth, with grain.
fn smooth(len: usize) -> Vec<u8> {
    let grain = noise(77, len);
    (0..len).zip(grain).map(|(at, grain)| ((at / 3 % 300) as f64 * 0.8) as u8 + grain % 12).collect()
}

fn le16(value: u16) -> [u8; 2] {
    value.to_le_bytes()
}

fn le32(value: usize) -> [u8; 4] {
    (value as u32).to_le_bytes()
}

fn bmp(width: u16, bits: u16, points: &[u8]) -> Vec<u8> {
    let head = [&b"BM"[..], &le32(54 + points.len()), &[0; 4], &le32(54), &le32(40), &le32(width.into())];
    let info = [&le32(9)[..], &le16(1), &le16(bits), &[0; 24]];
    [&head.concat()[..], &info.concat(), points].concat()
}

fn wav(tag: u16, sound: &[u8]) -> Vec<u8> {
    let format = [&le16(tag)[..], &le16(2), &le32(44_100), &le32(176_400), &le16(4), &le16(16)].concat();
    let body = [b"WAVEfmt ", &le32(16)[..], &format, b"data", &le32(sound.len()), sound].concat();
    [b"RIFF", &le32(body.len())[..], &body].concat()
}

/// Points first, then the directory: two strips.
fn tiff(packing: usize, points: &[u8]) -> Vec<u8> {
    let half = points.len() / 2;
    let numbers = 8 + points.len();
    let entry = |tag: u16, kind: u16, count: usize, value: usize| {
        [&le16(tag)[..], &le16(kind), &le32(count), &le32(value)].concat()
    };
    let entries = [
        entry(258, 3, 1, 8),
        entry(259, 3, 1, packing),
        entry(273, 4, 2, numbers),
        entry(277, 3, 1, 1),
        entry(279, 4, 2, numbers + 8),
    ];
    let strips = [le32(8), le32(8 + half), le32(half), le32(points.len() - half)].concat();
    let head = [&b"II*\0"[..], &le32(numbers + 16), points, &strips, &le16(5)].concat();
    [head, entries.concat(), vec![0; 4]].concat()
}

fn dicom(syntax: &str, points: &[u8]) -> Vec<u8> {
    let is_big = syntax.ends_with(".2") && syntax.len() > 17;
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM\x02\0\x10\0UI");
    let syntax = if syntax.len().is_multiple_of(2) { syntax.to_owned() } else { format!("{syntax}\0") };
    bytes.extend(le16(syntax.len() as u16));
    bytes.extend_from_slice(syntax.as_bytes());
    if is_big {
        bytes.extend_from_slice(b"\0\x08\0\x60CS\0\x02OT\x7f\xe0\0\x10OW\0\0");
        bytes.extend((points.len() as u32).to_be_bytes());
    } else if syntax.starts_with("1.2.840.10008.1.2\0") {
        bytes.extend_from_slice(b"\x08\0\x60\0\x02\0\0\0OT\xe0\x7f\x10\0");
        bytes.extend(le32(points.len()));
    } else {
        // A sequence whose length is open stands before the points.
        bytes.extend_from_slice(b"\x08\0\x60\0CS\x02\0OT\x08\0\x10\x11SQ\0\0\xff\xff\xff\xff");
        bytes.extend_from_slice(b"\xfe\xff\xdd\xe0\0\0\0\0\xe0\x7f\x10\0OW\0\0");
        bytes.extend(le32(points.len()));
    }
    bytes.extend_from_slice(points);
    bytes
}

fn check(what: &str, bytes: &[u8], kind: Kind, broken: bool) {
    let found = Structure::of(&Sample::whole(bytes), &[]);
    assert_eq!((found.kind, found.broken), (kind, broken), "{what}");
}

#[test]
fn points_and_sounds_that_are_noise_are_none() {
    let picture = smooth(90_000);
    let sine: Vec<u8> =
        (0..30_000).flat_map(|at| le16(((f64::from(at) * 0.03).sin() * 30_000.0) as i16 as u16)).collect();
    let twelve: Vec<u8> = noise(8, 60_000).chunks_exact(2).flat_map(|two| [two[0], two[1] & 0x0f]).collect();
    let dithered: Vec<u8> = (0..20_000).map(|at| [0x55, 0xaa, 0xff, 0][at / 7 % 4]).collect();
    let ramp: Vec<u8> = (0..65_536).map(|at| at as u8).collect();
    for len in [256, 1000, 5000, 90_000] {
        let bytes = noise(len as u64, len);
        for (what, made) in [
            ("BMP", bmp(100, 24, &bytes)),
            ("WAV", wav(1, &bytes)),
            ("WAV of floating numbers", wav(3, &bytes)),
            ("TIFF", tiff(1, &bytes)),
            ("implicit DICOM", dicom("1.2.840.10008.1.2", &bytes)),
            ("DICOM", dicom("1.2.840.10008.1.2.1", &bytes)),
            ("big-endian DICOM", dicom("1.2.840.10008.1.2.2", &bytes)),
        ] {
            check(&format!("{what} of {len} bytes"), &made, Kind::Unknown, true);
        }
    }
    for (what, bytes) in [
        ("picture", &picture),
        ("sine", &sine),
        ("dithered", &dithered),
        ("ramp", &ramp),
        ("12 bits", &twelve),
    ] {
        check(what, &bmp(100, 24, bytes), Kind::Image, false);
        check(what, &wav(1, bytes), Kind::Other, false);
        check(what, &tiff(1, bytes), Kind::Image, false);
        for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"] {
            check(what, &dicom(syntax, bytes), Kind::Dicom, false);
        }
    }
    // What is packed has the look of noise.
    check("packed TIFF", &tiff(5, &noise(3, 9000)), Kind::Image, false);
    check("packed sound", &wav(0x55, &noise(3, 9000)), Kind::Other, false);
    check("packed DICOM", &dicom("1.2.840.10008.1.2.4.50", &noise(3, 9000)), Kind::Dicom, false);
    check("tiny", &bmp(5, 24, &noise(3, 200)), Kind::Image, false);
}

#[test]
fn noise_between_what_is_no_sample_is_seen() {
    let four: Vec<u8> =
        noise(1, 30_000).chunks_exact(3).flat_map(|three| [three[0], three[1], three[2], 255]).collect();
    check("beside a fourth byte", &bmp(100, 32, &four), Kind::Unknown, true);
    let rows: Vec<u8> = noise(2, 30_000).chunks_exact(15).flat_map(|row| [row, &[0]].concat()).collect();
    check("in rows that are filled up", &bmp(5, 24, &rows), Kind::Unknown, true);
    let bytes = bmp(1000, 24, &noise(4, 300_000));
    let chunks = [0..54, 100_000..120_000]
        .map(|range| Chunk { offset: range.start as u64, bytes: bytes[range].to_vec() });
    let sample = Sample { len: bytes.len() as u64, chunks: chunks.to_vec() };
    assert!(Structure::of(&sample, &[]).broken, "in a stretch further on");
}

#[test]
fn wrappers_in_wrappers_are_not_followed_down() {
    let mut wav_in_wav = noise(5, 20_000);
    let mut zlib = noise(6, 20_000);
    for _ in 0..1000 {
        wav_in_wav = wav(1, &wav_in_wav);
        let len = zlib.len() as u16;
        zlib = [&b"\x78\x01\x01"[..], &le16(len), &le16(!len), &zlib, &[0; 4]].concat();
    }
    for bytes in [wav_in_wav, zlib] {
        let _ = Structure::of(&Sample::whole(&bytes), &[]);
    }
}

fn pdf(trailer: &str) -> Vec<u8> {
    let body =
        format!("%PDF-1.7\n1 0 obj\n<</Type/Catalog/Note(/Encrypt 1 0 R)>>\nendobj\n{}\n", " ".repeat(9000));
    let at = body.len();
    format!("{body}{trailer}\nstartxref\n{at}\n%%EOF\n").into_bytes()
}

#[test]
fn a_pdf_with_a_password_says_so() {
    let table = |trailer: &str| pdf(&format!("xref\n0 1\n0000000000 65535 f \ntrailer\n{trailer}"));
    let stream = |entry: &str| {
        pdf(&format!("9 0 obj\n<</Type/XRef/Size 1{entry}>>\nstream\n{}\nendstream", "x".repeat(9000)))
    };
    // Laid out for the web: the trailer that counts stands near the start.
    let first = "xref\n0 1\n0000000000 65535 f \ntrailer\n<</Encrypt 5 0 R>>\nstartxref\n0\n%%EOF\n";
    let linear = format!(
        "%PDF-1.7\n1 0 obj\n<<>>\nendobj\n{first}{}trailer\n<<>>\nstartxref\n30\n%%EOF\n",
        " ".repeat(9000)
    );
    for (what, bytes, sealed) in [
        ("trailer", table("<</Encrypt 5 0 R>>"), true),
        ("dictionary in the trailer", table("<</Encrypt<</Filter/Standard>>>>"), true),
        ("no password", table("<</Root 1 0 R>>"), false),
        ("cross references in a stream", stream("/Encrypt 5 0 R"), true),
        ("the same without", stream(""), false),
        ("laid out for the web", linear.into_bytes(), true),
    ] {
        let found = Structure::of(&Sample::whole(&bytes), &[]);
        assert_eq!((found.kind, found.broken, found.sealed), (Kind::Pdf, false, sealed), "{what}");
    }
    let (open, closed) = (Sample::whole(&table("<<>>")), Sample::whole(&table("<</Encrypt 5 0 R>>")));
    let found = measure(&open, &closed);
    assert!(found.structure_kept && found.sealed && !found.structured_after && !found.forged);
    let found = measure(&closed, &closed);
    assert!(found.structure_kept && !found.sealed && found.structured_after);
}

#[test]
fn streams_without_a_signature_are_known_by_what_comes_out() {
    for (what, bytes, kind) in [
        ("brotli", BROTLI.to_vec(), Kind::Compressed),
        ("LZMA", LZMA.to_vec(), Kind::Compressed),
        ("brotli with more behind it", [BROTLI, b"\0"].concat(), Kind::Unknown),
        ("brotli without its end", BROTLI[..BROTLI.len() - 2].to_vec(), Kind::Unknown),
        ("LZMA without its end", LZMA[..LZMA.len() - 9].to_vec(), Kind::Unknown),
        ("noise behind the header of LZMA", [&LZMA[..14], &noise(3, 9000)].concat(), Kind::Unknown),
        ("brotli that stores noise", stored_brotli(&noise(4, 60_000)), Kind::Unknown),
        (
            "brotli that stores a picture",
            stored_brotli(&[b"\xff\xd8\xff\xe0", &noise(4, 60_000)[..]].concat()),
            Kind::Compressed,
        ),
    ] {
        check(what, &bytes, kind, false);
    }
    assert!(
        Structure::of(&Sample::whole(LZMA), &[]).opened && Structure::of(&Sample::whole(BROTLI), &[]).opened
    );
}

/// One block of up to 64 KiB that is not packed, then the empty one that ends the stream (RFC 7932 §9).
fn stored_brotli(bytes: &[u8]) -> Vec<u8> {
    // Window of 16 bits: 0; not the last: 0; four nibbles: 00; the length less one; not packed: 1.
    let bits = (bytes.len() as u32 - 1) << 4 | 1 << 20;
    [&bits.to_le_bytes()[..3], bytes, &[3]].concat()
}

#[test]
fn noise_is_neither_brotli_nor_lzma() {
    let lzma = &LZMA[..14];
    for seed in 0..20_000u64 {
        let bytes = noise(seed + 1, 16 + (seed * 7919 % 4081) as usize);
        for bytes in [&bytes[..], &[lzma, &bytes].concat()] {
            let found = Structure::of(&Sample::whole(bytes), &[]);
            assert_ne!(found.kind, Kind::Compressed, "{seed}");
        }
    }
}

#[test]
fn a_packed_document_in_an_object_of_git_is_known_by_its_own_first_bytes() {
    let object = |content: Vec<u8>| {
        let head = format!("blob {}\0", content.len()).into_bytes();
        miniz_oxide::deflate::compress_to_vec_zlib(&[head, content].concat(), 6)
    };
    let kind = |bytes: &[u8]| Structure::of(&Sample::whole(bytes), &[]).kind;
    let gzip = [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &noise(8, 6000)].concat();
    assert_eq!(kind(&object(gzip)), Kind::Compressed);
    assert_eq!(kind(&object(noise(9, 6000))), Kind::Unknown);
}
