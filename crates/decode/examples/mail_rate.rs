//! Prints how many mails a second of one processor are read by this crate, with all that a judgement needs, and by `mail-parser`
//! alone, with its bodies decoded; and how long the slowest take, with a mail of 100 kB among them.
//!
//! `cargo run --release -p decode --example mail_rate -- PATH…` (folders of `.eml` files, mailboxes)
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use decode::mail::{Limits, messages, read};
use mail_parser::MessageParser;

/// Mails of about 100 kB are what the longest wait is told for.
const LARGE: std::ops::Range<usize> = 80_000..130_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut mails = Vec::new();
    for path in std::env::args_os().skip(1) {
        collect(Path::new(&path), &mut mails)?;
    }
    if mails.is_empty() {
        return Err("mail_rate PATH…".into());
    }
    let limits = Limits::default();
    let parser = MessageParser::default();
    let large = large_mail(&mails);
    for round in 0..3 {
        report("decode", round, &mails, |mail| read(mail, &limits).links.len());
        report("mail-parser", round, &mails, |mail| {
            parser.parse(mail).map_or(0, |found| found.body_text(0).map_or(0, |text| text.len()))
        });
        let waits = times(&vec![large.clone(); 200], &|mail| read(mail, &limits).links.len());
        println!(
            "{{\"what\":\"read 100 kB\",\"round\":{round},\"bytes\":{},\"ms_p99\":{:.3}}}",
            large.len(),
            part(&waits, 99)
        );
    }
    Ok(())
}

/// HTML of 100 kB, out of the bodies of the mails at hand, as a newsletter has it.
fn large_mail(mails: &[Vec<u8>]) -> Vec<u8> {
    let mut mail =
        b"From: a@b.example\r\nSubject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>"
            .to_vec();
    let pages = mails.iter().map(|mail| read(mail, &Limits::default())).flat_map(|message| message.bodies);
    for body in pages.filter(|body| body.html) {
        for line in body.visible.lines() {
            let line = line.replace(['<', '&'], " ");
            let row = format!(
                "<tr><td style=\"color:#333;font-size:12px\"><a href=\"https://a.example/{}\">{line}</a>",
                mail.len()
            );
            mail.extend_from_slice(row.as_bytes());
            if mail.len() >= 100_000 {
                return mail;
            }
        }
    }
    mail.resize(100_000, b' ');
    mail
}

fn report(who: &str, round: u32, mails: &[Vec<u8>], read: impl Fn(&[u8]) -> usize) {
    let waits = times(mails, &read);
    let (used, mut passes) = (processor_seconds(), 0.0);
    // The clock of the processor ticks a hundred times a second.
    while processor_seconds() - used < 2.0 {
        for mail in mails {
            black_box(read(black_box(mail)));
        }
        passes += 1.0;
    }
    let cpu = (processor_seconds() - used) / passes;
    let bytes: usize = mails.iter().map(Vec::len).sum();
    let of_large = mails.iter().filter(|mail| LARGE.contains(&mail.len())).cloned().collect::<Vec<_>>();
    let large = times(&of_large, &read);
    println!(
        "{{\"what\":\"read\",\"who\":\"{who}\",\"round\":{round},\"mails\":{},\"per_cpu_second\":{:.0},\"mb_per_cpu_second\":{:.1},\"ms_p50\":{:.3},\"ms_p99\":{:.3},\"ms_max\":{:.3},\"large\":{},\"large_ms_p99\":{:.3}}}",
        mails.len(),
        mails.len() as f64 / cpu,
        bytes as f64 / cpu / 1e6,
        part(&waits, 50),
        part(&waits, 99),
        part(&waits, 100),
        large.len(),
        part(&large, 99),
    );
}

/// How long each takes at the best of three, as a busy machine interrupts at will; the shortest first.
fn times(mails: &[Vec<u8>], read: &impl Fn(&[u8]) -> usize) -> Vec<Duration> {
    let mut waits: Vec<_> = mails
        .iter()
        .map(|mail| {
            let tries = (0..3).map(|_| {
                let begun = Instant::now();
                black_box(read(black_box(mail)));
                begun.elapsed()
            });
            tries.min().unwrap_or_default()
        })
        .collect();
    waits.sort();
    waits
}

/// Milliseconds that `percent` of the mails need at most.
fn part(waits: &[Duration], percent: usize) -> f64 {
    let at = (waits.len() * percent / 100).min(waits.len().saturating_sub(1));
    waits.get(at).map_or(0.0, |wait| wait.as_secs_f64() * 1e3)
}

/// User and system time so far: what a busy machine spoils least.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

/// At most 50,000 mails.
fn collect(path: &Path, into: &mut Vec<Vec<u8>>) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), into)?;
        }
    } else if into.len() < 50_000 {
        into.extend(messages(&fs::read(path)?).map(<[u8]>::to_vec));
    }
    Ok(())
}
