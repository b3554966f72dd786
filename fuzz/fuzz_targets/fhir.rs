//! Any bytes as an export and as a Bundle: no panic, every piece lies where its offset says, and every patient listed has a chart.
#![no_main]

use std::path::{Path, PathBuf};

use decode::fhir::{Head, Piece, Splitter, parse};
use libfuzzer_sys::fuzz_target;
use recover::charts::{Charts, Entry, Source};

fuzz_target!(|bytes: &[u8]| {
    for mut splitter in [Splitter::lines(), Splitter::bundle()] {
        let mut look = |piece: Piece<'_>| {
            let from = piece.offset as usize;
            assert_eq!(&bytes[from..from + piece.length as usize], piece.bytes);
            if Head::of(&piece).is_ok() {
                let _ = parse(piece.bytes);
            }
            let _ = Head::named_in(piece.bytes);
        };
        for chunk in bytes.chunks(7) {
            splitter.feed(chunk, &mut look);
        }
        splitter.finish(&mut look);
    }
    let list = |folder: &Path| {
        let names: &[&str] = if folder == Path::new("/") { &["a.ndjson", "b.json"] } else { &[] };
        Ok(names.iter().map(|name| Entry { path: PathBuf::from("/").join(name), is_folder: false }).collect())
    };
    let Ok(charts) = Charts::open(Source::new("/", list, |_| Ok(bytes.to_vec()))) else { return };
    for line in charts.roster().patients {
        assert!(charts.chart(&line.patient, None).is_some());
    }
});
