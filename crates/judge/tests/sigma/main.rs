//! SigmaHQ's rules on the logs of others' experiments: every regression positive, and whatever two other engines agree on.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests read files"
)]

mod explained;

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use decode::evtx::{HEADER_LEN, Item, Reader};
use judge::sigma::{Engine, Filter, NotLoaded, SigmaHit};
use schema::LogRecord;

fn rules(dir: &Path, into: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rules(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            into.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn engine(test: &str) -> Option<(Engine, Vec<NotLoaded>, usize)> {
    let dir = testkit::shared(test, "sigma")?;
    let mut files = Vec::new();
    rules(&dir, &mut files);
    let count = files.len();
    let (engine, not_loaded) = Engine::load(files, &Filter::default());
    Some((engine, not_loaded, count))
}

fn hits(engine: &mut Engine, log: &[u8]) -> Vec<SigmaHit> {
    let (mut reader, mut record, mut hits) = (Reader::new(), LogRecord::default(), Vec::new());
    let _ = reader.chunks(log.get(HEADER_LEN..).unwrap_or_default(), 0, &mut record, |item| {
        if let Item::Record(record) = item {
            engine.step(record, i64::MAX / 2, &mut hits);
        }
        ControlFlow::Continue(())
    });
    hits
}

#[test]
fn all_rules_load_unmodified_and_keep_their_authors() {
    let Some((engine, not_loaded, files)) = engine("all_rules_load_unmodified") else { return };
    assert_eq!(not_loaded, []);
    assert_eq!(engine.rules().count(), files);
    let nameless = engine.rules().filter(|rule| rule.author.is_none() || rule.id.is_none()).count();
    assert_eq!(nameless, 0);
}

#[test]
fn every_regression_positive_is_found() {
    let Some(dir) = testkit::shared("every_regression_positive_is_found", "logins/sigma-regression-drl")
    else {
        return;
    };
    let Some((mut engine, ..)) = engine("every_regression_positive_is_found") else { return };
    let known: BTreeSet<String> = engine.rules().filter_map(|rule| rule.id.clone()).collect();
    let (mut positives, mut strangers, mut missed) = (0, 0, Vec::new());
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let id = path.file_stem().unwrap().to_string_lossy().into_owned();
        // The corpus has logs of rules for hunting and of later threats too; those rules are not among the 2,692.
        if !known.contains(&id) {
            strangers += 1;
            continue;
        }
        positives += 1;
        let hits = hits(&mut engine, &fs::read(&path).unwrap());
        if !hits.iter().any(|hit| hit.rule.id.as_ref() == Some(&id)) {
            missed.push(id);
        }
    }
    println!(
        "{} of {positives} regression positives found; {strangers} are of rules not in the set",
        positives - missed.len()
    );
    assert_eq!(missed, Vec::<String>::new());
}

/// Rows of the manifest whose logs are EVTX files: file, and the titles that two engines agree on.
fn agreed(manifest: &str) -> Vec<(String, Vec<String>)> {
    let mut lines = manifest.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let column = header.iter().position(|name| name.starts_with("sigma_consensus")).unwrap();
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let said = cells.get(column).filter(|said| !said.is_empty())?;
            let title = |pair: &str| pair.rsplit_once('[').map_or(pair, |(title, _)| title).trim().to_owned();
            Some((cells[0].to_owned(), said.split("; ").map(title).collect()))
        })
        .filter(|(file, _): &(String, _)| file.ends_with(".evtx"))
        .collect()
}

#[test]
fn what_two_engines_agree_on_is_found_or_explained() {
    const TEST: &str = "what_two_engines_agree_on_is_found_or_explained";
    let Some(manifest) = testkit::shared(TEST, "logins/MANIFEST.tsv") else { return };
    let Some((mut engine, ..)) = engine(TEST) else { return };
    let titles: BTreeSet<String> = engine.rules().map(|rule| rule.title.clone()).collect();
    let mut unexplained: BTreeSet<(String, String)> = BTreeSet::new();
    let (mut pairs, mut found, mut strangers) = (0, 0, 0);
    let mut used = BTreeSet::new();
    for (file, agreed) in agreed(&fs::read_to_string(&manifest).unwrap()) {
        let Ok(log) = fs::read(manifest.with_file_name(&file)) else { continue };
        let met: BTreeSet<String> =
            hits(&mut engine, &log).into_iter().map(|hit| hit.rule.title.clone()).collect();
        for title in agreed {
            if !titles.contains(&title) {
                strangers += 1;
                continue;
            }
            pairs += 1;
            let explained = || explained::EXPLAINED.iter().position(|(f, t, _)| *f == file && *t == title);
            if met.contains(&title) {
                found += 1;
            } else if let Some(row) = explained() {
                used.insert(row);
            } else {
                unexplained.insert((file.clone(), title));
            }
        }
    }
    println!(
        "{found} of {pairs} pairs found, {} explained; {strangers} are of rules not in the set",
        used.len()
    );
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    assert_eq!(used.len(), explained::EXPLAINED.len(), "an explanation is no longer needed");
}
