//! Work on this repository that is more than a test: the evaluation of the guard.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to whoever runs it")]

mod eval;

use std::process::ExitCode;

use clap::Parser;

/// Work on the repository
#[derive(Debug, Parser)]
enum Task {
    /// Runs simulated attacks and ordinary jobs beside a real guard and says what was lost and who was stopped wrongly
    GuardEval(eval::Settings),
}

fn main() -> ExitCode {
    let Task::GuardEval(settings) = Task::parse();
    match eval::run(&settings) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("guard-eval: {error:#}");
            ExitCode::from(2)
        }
    }
}
