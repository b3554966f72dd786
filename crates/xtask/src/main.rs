//! Work on this repository that is more than a test: the evaluation of the guard, the weights of mail.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to whoever runs it")]

mod eval;
mod mail;

use std::process::ExitCode;

use clap::Parser;

/// Work on the repository
#[derive(Debug, Parser)]
enum Task {
    /// Runs simulated attacks and ordinary jobs beside a real guard and says what was lost and who was stopped wrongly
    GuardEval(eval::Settings),
    /// Fits the weights of mail's features and says by cross-validation what they are worth
    MailFit(mail::Settings),
}

fn main() -> ExitCode {
    let (name, done) = match Task::parse() {
        Task::GuardEval(settings) => ("guard-eval", eval::run(&settings)),
        Task::MailFit(settings) => ("mail-fit", mail::run(&settings)),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::from(2)
        }
    }
}
