//! Exports a bundle of many patients, each made of a sample patient under an id of its own: `bundle_many SAMPLE PATIENTS DIR`.
//!
//! SAMPLE is the `ssmix2` folder of `chartward sample hospital`. Nothing but the bundle is written, so 100,000 patients cost no room.
//! Prints one JSON line; `bench/bundle.py` runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::bundle::{Request, check, export};
use recover::charts::{Basis, Charts, Entry, Origin, Source};
use schema::Lang;

/// The first id; those after it differ in their last digits.
const FIRST: usize = 2_000_000;

/// A sample patient: folders with what is in them, files with their bytes.
struct Template {
    id: String,
    folders: BTreeMap<PathBuf, Vec<(PathBuf, bool)>>,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

fn template(dir: &Path) -> Template {
    let id = dir.file_name().unwrap().to_str().unwrap().to_owned();
    let mut template = Template { id, folders: BTreeMap::new(), files: BTreeMap::new() };
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(dir.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let (path, is_folder) = (folder.join(entry.file_name()), entry.file_type().unwrap().is_dir());
            template.folders.entry(folder.clone()).or_default().push((path.clone(), is_folder));
            match is_folder {
                true => waiting.push(path),
                false => drop(template.files.insert(path, fs::read(entry.path()).unwrap())),
            }
        }
    }
    template
}

fn templates(sample: &Path) -> Vec<Template> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let mut found: Vec<_> = fs::read_dir(dir).unwrap().map(|it| it.unwrap().path()).collect();
        found.sort();
        found
    };
    let thirds = below(sample).into_iter().flat_map(|first| below(&first));
    thirds.flat_map(|second| below(&second)).map(|dir| template(&dir)).collect()
}

/// The id in a path's third folder, and what follows it.
fn parts(path: &Path) -> (Vec<String>, PathBuf) {
    let names: Vec<String> =
        path.components().map(|it| it.as_os_str().to_string_lossy().into_owned()).collect();
    let names: Vec<String> = names.into_iter().filter(|it| it != "/").collect();
    let rest = names.iter().skip(3).collect();
    (names, rest)
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at + from.len() <= out.len() {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
            at += from.len();
        } else {
            at += 1;
        }
    }
    out
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (sample, patients, to) = (args.next().unwrap(), args.next().unwrap(), args.next().unwrap());
    let patients: usize = patients.parse().unwrap();
    let templates = templates(Path::new(&sample));
    let of = |id: &str| &templates[id.parse::<usize>().unwrap() % templates.len()];
    let ids = || (FIRST..FIRST + patients).map(|id| format!("{id:010}"));
    let list = |path: &Path| {
        let (names, rest) = parts(path);
        let folder = |name: &str| Entry { path: path.join(name), is_folder: true };
        Ok(match names.as_slice() {
            [] => vec![folder("000")],
            [_] => {
                let mut thirds: Vec<String> = ids().map(|id| id[3..6].to_owned()).collect();
                thirds.dedup();
                thirds.iter().map(|it| folder(it)).collect()
            }
            [_, third] => ids().filter(|id| id[3..6] == **third).map(|id| folder(&id)).collect(),
            [_, _, id, ..] => {
                let template = of(id);
                let entries = template.folders.get(&rest).into_iter().flatten();
                entries
                    .map(|(below, is_folder)| {
                        let name = below.file_name().unwrap().to_str().unwrap().replace(&template.id, id);
                        Entry { path: path.join(name), is_folder: *is_folder }
                    })
                    .collect()
            }
        })
    };
    let read = |path: &Path| {
        let (names, rest) = parts(path);
        let (id, template) = (&names[2], of(&names[2]));
        let file = PathBuf::from(rest.to_str().unwrap().replace(id.as_str(), &template.id));
        Ok(replaced(&template.files[&file], &template.id, id))
    };
    let charts = Charts::open(Source::new("/", list, read)).unwrap();
    let basis = Basis { origin: Origin::Folder { path: sample }, as_of: None, newest_record: None };
    let request = Request {
        dir: Path::new(&to),
        passphrase: "seven unrelated words of a benchmark",
        new_key: false,
        lang: Lang::Ja,
        zone: &TimeZone::UTC,
        lock_after_seconds: 3600,
        now: Timestamp::now(),
    };
    let begun = Instant::now();
    let exported = export(&charts, &basis, &request, &mut |_, _| {}).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let whole = check(Path::new(&to), request.passphrase).unwrap().unwrap().is_whole();
    let checked_seconds = begun.elapsed().as_secs_f64() - seconds;
    let memory = fs::read_to_string("/proc/self/status").unwrap();
    let memory = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim().to_owned();
    let said = serde_json::json!({
        "patients": exported.patients, "parts": exported.parts, "parts_written": exported.parts_written, "bytes": exported.bytes,
        "seconds": seconds, "check_seconds": checked_seconds, "whole": whole, "memory_max": memory,
    });
    println!("{said}");
}
