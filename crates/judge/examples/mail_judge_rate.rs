//! Prints how many mails a second of one processor are taken apart, their files looked at, and judged; how long one takes, and how long
//! one of 100 kB takes; and the program's memory at its highest. With `--scores` it prints each mail's verdict, score and reasons
//! instead, so that two versions can be compared.
//!
//! `cargo run --release -p judge --example mail_judge_rate -- [--scores] [--rounds N] PATH…` (folders of `.eml` files, mailboxes)
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads files and clocks"
)]

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use decode::attachment::{self, Look, passwords_in};
use decode::mail::{Limits, Message, messages, read};
use judge::mail::{Given, MailJudge, Trusted, trusted_authentication};

/// As the gateway has it.
const PASSWORDS_MAX: usize = 16;
const UNPACKED_MAX: u64 = 32 << 20;

struct Bench {
    judge: MailJudge,
    trusted: Trusted,
    limits: Limits,
    files: attachment::Limits,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut scores, mut rounds, mut mails) = (false, 3_u32, Vec::new());
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--scores") => scores = true,
            Some("--rounds") => {
                rounds = words.next().and_then(|n| n.to_str()?.parse().ok()).ok_or("--rounds N")?;
            }
            _ => collect(Path::new(&word), &mut mails)?,
        }
    }
    if mails.is_empty() {
        return Err("mail_judge_rate [--scores] [--rounds N] PATH…".into());
    }
    let begun = Instant::now();
    let bench = Bench {
        judge: MailJudge::builtin()?,
        trusted: Trusted::new(["*".to_owned()]),
        limits: Limits { bytes: 32 << 20, ..Limits::default() },
        files: attachment::Limits { bytes: UNPACKED_MAX, ..attachment::Limits::default() },
    };
    if scores {
        mails.iter().for_each(|(path, mail)| bench.print(path, mail));
        return Ok(());
    }
    println!("{{\"what\":\"start\",\"ms\":{:.1}}}", begun.elapsed().as_secs_f64() * 1e3);
    let mails: Vec<Vec<u8>> = mails.into_iter().map(|(_, mail)| mail).collect();
    for round in 0..rounds {
        bench.rate(round, &mails);
        for (sort, mail) in bench.large(&mails) {
            let waits = bench.times(&vec![mail.clone(); 100]);
            println!(
                "{{\"what\":\"{sort}\",\"round\":{round},\"bytes\":{},\"ms_p50\":{:.3},\"ms_p99\":{:.3}}}",
                mail.len(),
                part(&waits, 50),
                part(&waits, 99)
            );
        }
    }
    println!("{{\"what\":\"memory\",\"mb_max\":{:.1}}}", memory_mb_max());
    Ok(())
}

impl Bench {
    /// Everything that the gateway does with a mail, but the network and clamd.
    fn examine<T>(&self, bytes: &[u8], take: impl FnOnce(&Given) -> T) -> T {
        let message = read(bytes, &self.limits);
        let told = trusted_authentication(&message, &self.trusted);
        let looks = self.looks(&message);
        take(&Given { message: &message, authentication: told.as_ref(), looks: &looks, signatures: &[] })
    }

    fn looks(&self, message: &Message) -> Vec<Look> {
        if message.parts.is_empty() {
            return Vec::new();
        }
        let texts = std::iter::once(message.subject.as_str())
            .chain(message.bodies.iter().map(|body| body.visible.as_str()));
        let mut passwords: Vec<String> = texts.flat_map(passwords_in).collect();
        passwords.truncate(PASSWORDS_MAX);
        let passwords: Vec<&str> = passwords.iter().map(String::as_str).collect();
        let look =
            |part: &decode::mail::Part| attachment::look(&part.name, &part.bytes, &self.files, &passwords);
        message.parts.iter().map(look).collect()
    }

    fn judge(&self, bytes: &[u8]) -> f64 {
        self.examine(bytes, |given| self.judge.judge(given).score)
    }

    fn print(&self, path: &Path, bytes: &[u8]) {
        let both = self.examine(bytes, |given| {
            [*given, Given { authentication: None, ..*given }].map(|given| self.judge.judge(&given))
        });
        for (known, judgement) in ["results trusted", "content alone"].iter().zip(both) {
            let reasons: Vec<String> = judgement
                .reasons
                .iter()
                .map(|reason| format!("{}[{}]", reason.id, reason.evidence.join("|")))
                .collect();
            println!(
                "{}\t{known}\t{:?}\t{:.9}\t{}",
                path.display(),
                judgement.verdict,
                judgement.score,
                reasons.join(" ")
            );
        }
    }

    fn rate(&self, round: u32, mails: &[Vec<u8>]) {
        let waits = self.times(mails);
        let (used, mut passes) = (processor_seconds(), 0.0);
        // The clock of the processor ticks a hundred times a second.
        while processor_seconds() - used < 2.0 {
            for mail in mails {
                black_box(self.judge(black_box(mail)));
            }
            passes += 1.0;
        }
        let cpu = (processor_seconds() - used) / passes;
        let bytes: usize = mails.iter().map(Vec::len).sum();
        println!(
            "{{\"what\":\"judge\",\"round\":{round},\"mails\":{},\"per_cpu_second\":{:.0},\"mb_per_cpu_second\":{:.1},\"ms_p50\":{:.3},\"ms_p99\":{:.3},\"ms_max\":{:.3}}}",
            mails.len(),
            mails.len() as f64 / cpu,
            bytes as f64 / cpu / 1e6,
            part(&waits, 50),
            part(&waits, 99),
            part(&waits, 100),
        );
    }

    /// How long each takes at the best of three, as a busy machine interrupts at will; the shortest first.
    fn times(&self, mails: &[Vec<u8>]) -> Vec<Duration> {
        let once = |mail: &Vec<u8>| {
            let begun = Instant::now();
            black_box(self.judge(black_box(mail)));
            begun.elapsed()
        };
        let best = |mail| (0..3).map(|_| once(mail)).min().unwrap_or_default();
        let mut waits: Vec<_> = mails.iter().map(best).collect();
        waits.sort();
        waits
    }

    /// Mails of 100 kB: a newsletter out of what the mails at hand say, the same in Japanese, a plain text, and a table of numbers that
    /// is attached.
    fn large(&self, mails: &[Vec<u8>]) -> Vec<(&'static str, Vec<u8>)> {
        let pages = mails.iter().map(|mail| read(mail, &self.limits)).flat_map(|message| message.bodies);
        let text: String = pages.map(|body| body.visible).take(400).collect();
        let text = text.replace(['<', '&', '\r'], " ");
        let row = |text: &str, at: usize| {
            format!(
                "<tr><td style=\"color:#333;font-size:12px\"><a href=\"https://a{}.example/{at}\">{text}</a></td></tr>\r\n",
                at % 50
            )
        };
        let japanese = "今月の研修会と健診のお知らせです。詳しくはこちらをご覧ください。お支払い方法のご確認もお願いします。";
        let head = "From: News <news@a.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: ";
        let html = |rows: String| {
            format!(
                "{head}text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<html><body><table>{rows}</table></body></html>\r\n"
            )
        };
        let mut english = String::new();
        for (at, line) in text.lines().filter(|line| !line.trim().is_empty()).enumerate() {
            english += &row(line.trim(), at);
            if english.len() >= 100_000 {
                break;
            }
        }
        let japanese: String = (0..400).map(|at| row(japanese, at)).collect();
        let plain: String = text.chars().filter(|char| char.is_ascii()).take(100_000).collect();
        let numbers: String = (0..12_000).map(|at| format!("{at},{}\r\n", at * 7)).collect();
        let attached = format!(
            "{head}multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nThe table.\r\n--b\r\n\
             Content-Type: text/csv; name=table.csv\r\n\r\n{numbers}\r\n--b--\r\n"
        );
        vec![
            ("100 kB, newsletter", html(english).into_bytes()),
            ("100 kB, Japanese newsletter", html(japanese).into_bytes()),
            ("100 kB, plain", format!("{head}text/plain\r\n\r\n{plain}").into_bytes()),
            ("100 kB, attached", attached.into_bytes()),
        ]
    }
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

fn memory_mb_max() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// At most 50,000 mails, in the order of their names.
fn collect(path: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<(), Box<dyn Error>> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path)?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            collect(&entry.path(), into)?;
        }
    } else if into.len() < 50_000 {
        into.extend(messages(&fs::read(path)?).map(|mail| (path.to_owned(), mail.to_vec())));
    }
    Ok(())
}
