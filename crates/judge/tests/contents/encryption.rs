//! Simulated encryptions: bytes in, bytes out, seeded, nothing touches a file.

/// One way to encrypt.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) change: fn(&[u8], u64) -> Vec<u8>,
    /// Stopped after this many files of a mixed tree at most.
    pub(crate) files_max: usize,
    /// Stopped whatever the format, given files enough.
    pub(crate) every_format: bool,
}

const fn attack(
    name: &'static str,
    change: fn(&[u8], u64) -> Vec<u8>,
    files_max: usize,
    every_format: bool,
) -> Attack {
    Attack { name, change, files_max, every_format }
}

pub(crate) const ATTACKS: &[Attack] = &[
    attack("whole file", cipher, 2, true),
    attack("first 4 KiB", |bytes, seed| part(bytes, seed, |at| at < 4096), 3, true),
    attack("first 64 bytes", |bytes, seed| part(bytes, seed, |at| at < 64), 12, false),
    attack("all but the first KiB", |bytes, seed| part(bytes, seed, |at| at >= 1024), 12, false),
    attack("every 16th 512 bytes", |bytes, seed| part(bytes, seed, |at| at / 512 % 16 == 1), 8, false),
    attack("every 25th 64 bytes", |bytes, seed| part(bytes, seed, |at| at / 64 % 25 == 3), 6, false),
    attack("every 2nd 4 KiB", |bytes, seed| part(bytes, seed, |at| at / 4096 % 2 == 0), 3, true),
    attack(
        "a key appended",
        |bytes, seed| [cipher(bytes, seed), cipher(&[0; 512], seed + 1)].concat(),
        2,
        true,
    ),
    attack("one byte XOR", |bytes, _| bytes.iter().map(|byte| byte ^ 0xa7).collect(), 6, false),
    attack(
        "permuted bytes",
        |bytes, _| bytes.iter().map(|byte| byte.wrapping_mul(77).wrapping_add(13)).collect(),
        6,
        false,
    ),
    attack("zeroed", |bytes, _| vec![0; bytes.len()], 6, false),
    attack("padded with zeros", |bytes, seed| spread(&cipher(bytes, seed), |byte| vec![byte, 0, 0]), 6, true),
    attack(
        "six bits a byte",
        |bytes, seed| spread(&cipher(bytes, seed), |byte| vec![byte >> 4, byte & 15]),
        6,
        true,
    ),
    attack(
        "hexadecimal",
        |bytes, seed| lines(&spread(&cipher(bytes, seed), |byte| format!("{byte:02x}").into()), 76),
        3,
        false,
    ),
    attack(
        "an alphabet of its own",
        |bytes, seed| spread(&cipher(bytes, seed), |byte| vec![b'a' + (byte >> 4), b'a' + (byte & 15)]),
        3,
        false,
    ),
    attack("base64", |bytes, seed| lines(&base64(&cipher(bytes, seed)), 76), 3, false),
    attack("base64 in one line", |bytes, seed| base64(&cipher(bytes, seed)), 3, false),
    attack("base85", |bytes, seed| lines(&base85(&cipher(bytes, seed)), 80), 3, false),
    attack("uuencode", uuencode, 3, false),
    attack("in the fields of a record", record_of, 3, false),
    attack("in the fields of a table", table_of, 3, false),
    attack(
        "behind a PNG header",
        |bytes, seed| [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &cipher(bytes, seed)].concat(),
        3,
        true,
    ),
    attack("a PNG with right checksums", forged_png, 4, true),
    attack(
        "behind a JPEG header",
        |bytes, seed| {
            [&b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"[..], &cipher(bytes, seed)].concat()
        },
        3,
        true,
    ),
    attack(
        "behind a gzip header",
        |bytes, seed| [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &cipher(bytes, seed)].concat(),
        3,
        true,
    ),
    attack("a sound gzip of it", stored_gzip, 3, false),
    // The headers of the archive outweigh the noise of a short record: such ones count by breadth.
    attack("a sound ZIP of it", stored_zip, 6, false),
    attack(
        "behind a PDF header",
        |bytes, seed| [b"%PDF-1.7\n", &cipher(bytes, seed)[..], b"\nstartxref\n99\n%%EOF\n"].concat(),
        3,
        true,
    ),
    attack(
        "behind a ZIP header",
        |bytes, seed| [b"PK\x03\x04\x14\0\0\0\x08\0", &cipher(bytes, seed)[..], b"PK\x05\x06"].concat(),
        3,
        true,
    ),
    attack(
        "behind an OLE header",
        |bytes, seed| [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &cipher(bytes, seed)].concat(),
        3,
        true,
    ),
    attack("behind an xz header", |bytes, seed| [&b"\xfd7zXZ\0"[..], &cipher(bytes, seed)].concat(), 3, true),
    attack(
        "behind a zstd header",
        |bytes, seed| [&b"\x28\xb5\x2f\xfd"[..], &cipher(bytes, seed)].concat(),
        3,
        true,
    ),
    attack(
        "behind a SQLite header",
        |bytes, seed| [&b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20"[..], &cipher(bytes, seed)].concat(),
        3,
        true,
    ),
];

/// A keyed stream that no statistic here tells from noise.
fn cipher(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    };
    bytes.iter().map(|byte| byte ^ next()).collect()
}

fn part(bytes: &[u8], seed: u64, chosen: impl Fn(usize) -> bool) -> Vec<u8> {
    let encrypted = cipher(bytes, seed);
    bytes
        .iter()
        .zip(encrypted)
        .enumerate()
        .map(|(at, (&old, new))| if chosen(at) { new } else { old })
        .collect()
}

fn spread(bytes: &[u8], into: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
    bytes.iter().flat_map(|&byte| into(byte)).collect()
}

fn lines(text: &[u8], width: usize) -> Vec<u8> {
    text.chunks(width).flat_map(|line| [line, b"\n"].concat()).collect()
}

pub(crate) fn base64(bytes: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits =
            three.iter().chain([0, 0].iter()).take(3).fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        (0..4).map(|at| ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]).collect::<Vec<u8>>()
    };
    bytes.chunks(3).flat_map(group).collect()
}

fn base85(bytes: &[u8]) -> Vec<u8> {
    let group = |four: &[u8]| {
        let mut bits = four.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + (bits % 85) as u8;
            bits /= 85;
        }
        digits
    };
    bytes.chunks_exact(4).flat_map(group).collect()
}

fn uuencode(bytes: &[u8], seed: u64) -> Vec<u8> {
    let line = |bytes: &[u8]| {
        let digits = bytes.chunks(3).flat_map(|three| {
            let bits = three
                .iter()
                .chain([0, 0].iter())
                .take(3)
                .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
            (0..4).map(move |at| match (bits >> (18 - 6 * at) & 63) as u8 {
                0 => b'`',
                digit => 32 + digit,
            })
        });
        [&[32 + bytes.len() as u8][..], &digits.collect::<Vec<u8>>(), b"\n"].concat()
    };
    let body: Vec<u8> = cipher(bytes, seed).chunks(45).flat_map(line).collect();
    [b"begin 644 x\n", &body[..], b"`\nend\n"].concat()
}

/// The first line of a record, then ciphertext for observations.
fn record_of(bytes: &[u8], seed: u64) -> Vec<u8> {
    let own = bytes.split(|&byte| byte == b'\r').next().filter(|line| line.starts_with(b"MSH|"));
    let first = own.unwrap_or(b"MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016||OML^O33|1|P|2.5");
    let spelled = base64(&cipher(bytes, seed));
    let fields = spelled.chunks(60).enumerate();
    let fields = fields.flat_map(|(at, text)| [format!("\rOBX|{at}|ST|").as_bytes(), text, b"|||F"].concat());
    first.iter().copied().chain(fields).collect()
}

fn table_of(bytes: &[u8], seed: u64) -> Vec<u8> {
    let spelled = base64(&cipher(bytes, seed));
    let rows = spelled.chunks(40).enumerate();
    let rows = rows.flat_map(|(at, text)| [format!("{at},\"").as_bytes(), text, b"\",final\n"].concat());
    b"number,value,state\n".iter().copied().chain(rows).collect()
}

/// Blocks that are stored rather than packed: the whole is valid DEFLATE.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let blocks = bytes.chunks(65_535).count();
    let block = |(at, bytes): (usize, &[u8])| {
        let len = bytes.len() as u16;
        [&[u8::from(at + 1 == blocks)][..], &len.to_le_bytes(), &(!len).to_le_bytes(), bytes].concat()
    };
    bytes.chunks(65_535).enumerate().flat_map(block).collect()
}

fn stored_gzip(bytes: &[u8], seed: u64) -> Vec<u8> {
    let bytes = cipher(bytes, seed);
    let trailer = [crc32fast::hash(&bytes).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
    [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], &stored(&bytes), &trailer].concat()
}

fn stored_zip(bytes: &[u8], seed: u64) -> Vec<u8> {
    let bytes = cipher(bytes, seed);
    let len = (bytes.len() as u32).to_le_bytes();
    let about =
        [&b"\x0a\0\0\0\0\0\0\0\0\0"[..], &crc32fast::hash(&bytes).to_le_bytes(), &len, &len, b"\x01\0\0\0"]
            .concat();
    let local = [b"PK\x03\x04", &about[..], b"x", &bytes].concat();
    let directory = [b"PK\x01\x02\x0a\0", &about[..], &[0; 14], b"x"].concat();
    let end = [
        &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..],
        &(directory.len() as u32).to_le_bytes(),
        &(local.len() as u32).to_le_bytes(),
        b"\0\0",
    ];
    [local, directory, end.concat()].concat()
}

fn forged_png(bytes: &[u8], seed: u64) -> Vec<u8> {
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let named = [&name[..], body].concat();
        [&(body.len() as u32).to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat()
    };
    let header = chunk(b"IHDR", b"\0\0\x01\0\0\0\x01\0\x08\0\0\0\0");
    [&b"\x89PNG\r\n\x1a\n"[..], &header, &chunk(b"IDAT", &cipher(bytes, seed)), &chunk(b"IEND", b"")].concat()
}
