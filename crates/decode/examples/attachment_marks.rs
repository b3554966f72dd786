//! How often each mark is met in the attachments of mails, and how fast they are looked at: `attachment_marks FOLDER…`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool for developers"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use decode::attachment::{Limits, MarkKind, look};
use mail_parser::{MessageParser, MimeHeaders};

fn main() {
    let (mut files, mut bytes, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
    let mut took = Duration::ZERO;
    let mut met: BTreeMap<MarkKind, (u64, Vec<String>)> = BTreeMap::new();
    let mut folders: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        let Some(mail) = MessageParser::default().parse(&content) else { continue };
        for part in mail.attachments() {
            let name = part.attachment_name().unwrap_or_default();
            let began = Instant::now();
            let look = look(name, part.contents(), &Limits::default(), &[]);
            let one = began.elapsed();
            (files, bytes) = (files + 1, bytes + part.contents().len() as u64);
            (took, slowest) = (took + one, slowest.max(one));
            let kinds: BTreeSet<MarkKind> = look.marks.iter().map(|mark| mark.kind).collect();
            for kind in kinds {
                let entry = met.entry(kind).or_default();
                entry.0 += 1;
                if let Some(mark) =
                    look.marks.iter().find(|mark| mark.kind == kind).filter(|_| entry.1.len() < 6)
                {
                    entry.1.push(format!("{} ({})", mark.evidence, mark.place));
                }
            }
        }
    }
    println!("{files} attachments, {bytes} bytes, {took:?} in all, the slowest {slowest:?}");
    for (kind, (count, examples)) in met {
        println!("{count:5} {kind:?}");
        examples.iter().for_each(|example| println!("        {example}"));
    }
}
