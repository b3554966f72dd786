//! Prints how many facts a second the ledger takes, each batch durable before the next begins.
//!
//! `cargo run --release -p prove --example ledger_rate [DIR]`; the disk below DIR is what is measured.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use prove::{Fact, Ledger};

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    for size in [1, 100, 1000] {
        let dir = parent.join(format!("ledger-rate-{}-{size}", std::process::id()));
        let now = jiff::Timestamp::now();
        let ledger = Ledger::open(&dir, now)?;
        let batches = (20_000 / size).clamp(20, 500);
        let begun = Instant::now();
        for _ in 0..batches {
            ledger.append_all((0..size).map(fact).collect(), now)?;
        }
        let seconds = begun.elapsed().as_secs_f64();
        let rate = (batches * size) as f64 / seconds;
        println!("{{\"batch\":{size},\"batches\":{batches},\"entries_per_second\":{rate:.0}}}");
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn fact(n: u64) -> Fact {
    Fact::Access {
        user: "duty-officer".into(),
        role: "operator".into(),
        what: "read".into(),
        object: format!("incident {n}"),
        allowed: true,
    }
}
