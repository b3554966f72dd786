//! How many Windows records a second one core reads into [`schema::LogRecord`]: `evtx_rate FILE… [--rounds N]`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example that measures")]

use std::ops::ControlFlow;
use std::time::Instant;

use decode::evtx::{HEADER_LEN, Item, Reader};
use schema::LogRecord;

fn main() {
    let mut rounds = 1;
    let mut show = false;
    let mut files = Vec::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--rounds" => rounds = words.next().unwrap().parse().unwrap(),
            "--show" => show = true,
            _ => files.push(std::fs::read(word).unwrap()),
        }
    }
    let (mut reader, mut record) = (Reader::new(), LogRecord::default());
    let (mut records, mut damages, mut fields, mut logons) = (0_u64, 0_u64, 0_u64, 0_u64);
    let start = Instant::now();
    for _ in 0..rounds {
        for file in &files {
            let _ = reader.chunks(file.get(HEADER_LEN..).unwrap_or_default(), 0, &mut record, |item| {
                match item {
                    Item::Record(record) => {
                        records += 1;
                        fields += record.len() as u64;
                        let auth = decode::evtx::auth(record);
                        logons += u64::from(auth.is_some());
                        if show {
                            println!("{record:?} {auth:?}");
                        }
                    }
                    Item::Damage(damage) => {
                        damages += 1;
                        if show {
                            println!("{damage:?}");
                        }
                    }
                }
                ControlFlow::Continue(())
            });
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{records} records, {damages} damaged, {fields} fields, {logons} logons in {seconds:.3} s: {:.0} records/s",
        records as f64 / seconds
    );
}
