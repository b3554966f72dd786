//! The `chartward` binary: command line, wiring of the rooms, rehearsal.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the one crate that talks to people")]

mod access;
mod cli;
mod config;
mod console;
mod hub;
mod output;
mod rehearse;
mod sample;
mod schedule;
mod serving;
mod supervise;
mod vault_at;
mod vault_host;
mod viewer;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
