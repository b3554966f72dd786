//! `mail-fit`: counts the features of mail over a collection, fits their weights, and says by cross-validation what they are worth.

mod campaign;
mod corpus;
mod language;
mod margin;
mod regression;
mod report;
mod synthetic;
mod validate;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use judge::lookalike::Brands;
use judge::mail::{MailJudge, MailPolicy, Weights};

use corpus::{Label, Sample};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Settings {
    /// The collection: MANIFEST.tsv and the folders `phish`, `ham`, `spam`, `ham-extra.tar.gz`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to write the weights (default: nowhere)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Tables of what was found, in Markdown
    #[arg(long)]
    report: bool,
    /// Parts that the campaigns are dealt into
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// How strongly weights are held down (L2)
    #[arg(long, default_value_t = 1.0)]
    hold: f64,
    /// Seed of the synthetic mails and of the bootstrap
    #[arg(long, default_value_t = 2024)]
    seed: u64,
    /// Repetitions of the bootstrap behind the intervals
    #[arg(long, default_value_t = 60)]
    bootstrap: usize,
    /// Honest mails of a thousand that may be taken for phishing
    #[arg(long, default_value_t = 0.4)]
    per_mille: f64,
    /// How far above that the threshold for phishing is set, because the honest mails of today are not in the collection
    #[arg(long, default_value_t = 0.7)]
    margin: f64,
    /// List the honest mails that score highest and the phishing mails that score lowest
    #[arg(long)]
    wrong: bool,
}

pub(crate) fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    let judge = MailJudge::new(&Brands::builtin(), Weights::builtin()?, MailPolicy::default())?;
    let (mut samples, load) = corpus::load(&settings.data, &judge)?;
    campaign::assign(&mut samples);
    let synthetic = synthetic::samples(settings.seed, &judge);
    let learnt = validate::all(&samples, &synthetic, settings);
    println!("{}", report::headline(&samples, &learnt, &load));
    if settings.report {
        println!("{}", report::tables(&samples, &synthetic, &learnt));
    }
    if settings.wrong {
        println!("{}", report::wrong(&samples, &learnt));
    }
    if let Some(out) = &settings.out {
        let text = write::weights(&samples, &learnt, settings);
        std::fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The samples with one of the labels.
fn labelled(samples: &[Sample], label: Label) -> impl Iterator<Item = (usize, &Sample)> {
    samples.iter().enumerate().filter(move |(_, sample)| sample.label == label)
}
