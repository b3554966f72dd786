//! Reading files of FHIR resources once, from beginning to end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use decode::fhir::{Ending, Head, Piece, RESOURCE_BYTES_MAX, Splitter};

use super::index::{ENTRIES_MAX, Index, Tally};
use crate::Error;
use crate::charts::model::Unread;
use crate::charts::source::Source;

/// How much of a file is looked at to tell what it is: exporters write the type first.
const HEAD_BYTES: usize = 64 << 10;
const CHUNK_BYTES: usize = 4 << 20;
/// So many files with the names of exports are looked into.
const FILES_MAX: usize = 20_000;

/// How resources lie in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Object,
}

/// The index of all resources in these files; files that hold none are left alone.
pub(super) fn index(source: &Source<'_>, exports: &[PathBuf]) -> Index {
    let mut index = Index::default();
    for path in exports.iter().take(FILES_MAX) {
        match form(source, path) {
            Ok(Some(form)) => add(source, path, form, &mut index),
            Ok(None) => {}
            Err(error) => index.unread.push(Unread::new(path, "FHIR", &error)),
        }
        if index.entries.len() >= ENTRIES_MAX {
            let cause = format!("more than {ENTRIES_MAX} resources: what follows this file is not shown");
            index.unread.push(Unread::because(path, "FHIR", cause));
            break;
        }
    }
    if let Some(next) = exports.get(FILES_MAX) {
        let cause = format!(
            "more than {FILES_MAX} JSON files: FHIR was not looked for in this one and those after it"
        );
        index.unread.push(Unread::because(next, "FHIR", cause));
    }
    index.finish();
    index
}

/// `None` for what is no FHIR.
fn form(source: &Source<'_>, path: &Path) -> Result<Option<Form>, Error> {
    let is_called = |name: &str| {
        path.extension().and_then(OsStr::to_str).is_some_and(|extension| extension.eq_ignore_ascii_case(name))
    };
    // Its name promises resources: the type may stand behind a long text.
    if is_called("ndjson") {
        return Ok(Some(Form::Lines));
    }
    let head = source.read_part(path, 0, HEAD_BYTES)?;
    if memchr::memmem::find(&head, b"\"resourceType\"").is_none() {
        return Ok(None);
    }
    if !is_called("json") {
        return Ok(Some(Form::Lines));
    }
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = Head::of(&Piece { offset: 0, length: line.len() as u64, bytes: line });
    let is_line = line.len() < head.len() && first.is_ok_and(|first| first.resource_type != "Bundle");
    Ok(Some(if is_line { Form::Lines } else { Form::Object }))
}

fn add(source: &Source<'_>, path: &Path, form: Form, index: &mut Index) {
    index.begin(path);
    let mut tally = Tally::default();
    let read = stream(source, path, form, &mut |piece| index.add(&piece, &mut tally));
    match read {
        Ok(ending) if form == Form::Object && ending.objects > 1 && tally.pieces == 0 => {
            let mut tally = Tally::default();
            match stream(source, path, Form::Lines, &mut |piece| index.add(&piece, &mut tally)) {
                Ok(ending) => index.end(&ending, tally),
                Err(error) => index.unread.push(Unread::new(path, "FHIR", &error)),
            }
        }
        Ok(ending) if is_one_resource(form, &ending) => {
            let begin = ending.begin.unwrap_or_default();
            match source.read_part(path, begin, RESOURCE_BYTES_MAX + 1) {
                Ok(bytes) => {
                    let offset = begin;
                    index.add(&Piece { offset, length: bytes.len() as u64, bytes: &bytes }, &mut tally);
                    index.end(&Ending { is_cut_off: false, ..ending }, tally);
                }
                Err(error) => index.unread.push(Unread::new(path, "FHIR", &error)),
            }
        }
        Ok(ending) => index.end(&ending, tally),
        Err(error) => {
            index.end(&Splitter::lines().finish(&mut |_| ()), tally);
            index.unread.push(Unread::new(path, "FHIR", &error));
        }
    }
}

fn is_one_resource(form: Form, ending: &Ending) -> bool {
    form == Form::Object && ending.resource_type.as_deref().is_some_and(|kind| kind != "Bundle")
}

fn stream(
    source: &Source<'_>,
    path: &Path,
    form: Form,
    out: &mut dyn FnMut(Piece<'_>),
) -> Result<Ending, Error> {
    let mut splitter = match form {
        Form::Lines => Splitter::lines(),
        Form::Object => Splitter::bundle(),
    };
    let mut offset = 0;
    loop {
        let chunk = source.read_part(path, offset, CHUNK_BYTES)?;
        splitter.feed(&chunk, out);
        offset += chunk.len() as u64;
        if chunk.len() < CHUNK_BYTES {
            return Ok(splitter.finish(out));
        }
    }
}
