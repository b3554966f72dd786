//! Files as they lie about on a machine, and records made here.

use std::fs;
use std::path::{Path, PathBuf};

use decode::content::{Kind, Sample};

/// Files of each format.
const EACH_MAX: usize = 16;
const SIZE: std::ops::Range<u64> = 400..600_000;

/// One file.
pub(crate) struct Original {
    pub(crate) name: String,
    pub(crate) format: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// At most [`EACH_MAX`] files of each format, in an order that mixes them.
pub(crate) fn corpus() -> Vec<Original> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/hospital");
    let mut files: Vec<Original> = (0..EACH_MAX).map(record).collect();
    for (format, kind, suffixes) in FORMATS {
        let mut found = Vec::new();
        for root in [Path::new("/usr/share"), Path::new("/usr/lib/python3"), &shared] {
            walk(root, suffixes, &mut found);
        }
        found.sort();
        // Spread over everything that was found, not the first folder's.
        let step = (found.len() / EACH_MAX).max(1);
        let read = |path: &PathBuf| {
            let bytes = fs::read(path).ok()?;
            let whole = Kind::of(&Sample::whole(&bytes)) == *kind;
            whole.then(|| Original { name: path.display().to_string(), format, bytes })
        };
        files.extend(found.iter().step_by(step).filter_map(read).take(EACH_MAX));
    }
    files.sort_by_key(|file| {
        file.bytes.iter().fold(file.bytes.len() as u64, |sum, &byte| sum.rotate_left(5) ^ u64::from(byte))
    });
    files
}

const FORMATS: &[(&str, Kind, &[&str])] = &[
    ("text", Kind::Text, &["txt", "md", "conf", "pm"]),
    ("markup", Kind::Markup, &["xml", "html", "svg", "json"]),
    ("gzip", Kind::Compressed, &["gz"]),
    ("png", Kind::Image, &["png"]),
    ("jpeg", Kind::Image, &["jpg", "jpeg"]),
    ("gif", Kind::Image, &["gif"]),
    ("pdf", Kind::Pdf, &["pdf"]),
    ("zip", Kind::Zip, &["jar", "zip", "docx", "xlsx"]),
    ("dicom", Kind::Dicom, &["dcm"]),
    ("sqlite", Kind::Sqlite, &["db", "sqlite", "sqlite3"]),
];

fn walk(folder: &Path, suffixes: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            walk(&path, suffixes, found);
        } else if kind.is_file()
            && path.extension().is_some_and(|suffix| suffixes.iter().any(|known| suffix == *known))
            && entry.metadata().is_ok_and(|meta| SIZE.contains(&meta.len()))
        {
            found.push(path);
        }
    }
}

/// An order with results, as SS-MIX2 stores it.
fn record(number: usize) -> Original {
    let mut record = format!(
        "MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016054000||OML^O33^OML_O33|{number}|P|2.5||||||~ISO IR87||ISO 2022-1994\r\
         PID|0001||{number:010}^^^^PI||\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B^^^^^L^I||19700101|M\r"
    );
    for line in 0..4 + number % 12 {
        record +=
            &format!("OBX|{line}|NM|3A010{line}^TP^JC10||{}.{line}|g/dL|||||F\r", (number * 7 + line) % 90);
    }
    Original { name: format!("record {number}"), format: "hl7", bytes: record.into_bytes() }
}
