//! A collection of mail, each as the features that it has.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use decode::attachment::{self, Look};
use decode::mail::{Limits, Message};
use judge::mail::{Given, MailJudge, Seen, Trusted, features, trusted_authentication};
use schema::MailVerdict;

use super::campaign::Fingerprint;
use super::language::{Language, language};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Label {
    Ham,
    Phish,
    Spam,
}

/// A mail.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) label: Label,
    pub(super) path: String,
    /// Where it was collected.
    pub(super) group: String,
    pub(super) language: Language,
    /// Places of its features, with what a server on the way says of it and without.
    pub(super) with: Vec<usize>,
    pub(super) without: Vec<usize>,
    /// What its features make of it at least, whatever it scores.
    pub(super) at_least: MailVerdict,
    /// Which campaign it belongs to.
    pub(super) campaign: usize,
    pub(super) fingerprint: Fingerprint,
}

/// How long reading and looking took.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) took: Duration,
    pub(super) mails: usize,
    pub(super) bytes: u64,
}

impl Sample {
    pub(super) fn has(&self, id: &str) -> bool {
        self.with.iter().any(|&place| features().nth(place).is_some_and(|feature| feature.id == id))
    }
}

/// Reads `phish`, `ham`, `spam` and `ham-extra.tar.gz`; the group is the folder's name, or what MANIFEST.tsv says.
pub(super) fn load(dir: &Path, judge: &MailJudge) -> anyhow::Result<(Vec<Sample>, Load)> {
    let groups = groups(&dir.join("MANIFEST.tsv"))?;
    let mut samples = Vec::new();
    let mut load = Load::default();
    for (folder, label) in [("phish", Label::Phish), ("ham", Label::Ham), ("spam", Label::Spam)] {
        let mut files = Vec::new();
        walk(&dir.join(folder), &mut files)?;
        for file in files {
            let relative = file.strip_prefix(dir).unwrap_or(&file).to_string_lossy().into_owned();
            let group = groups.get(&relative).cloned().unwrap_or_else(|| folder.to_owned());
            samples.push(read(&file, relative, label, group, judge, &mut load)?);
        }
    }
    let extra = dir.join("ham-extra.tar.gz");
    if extra.exists() {
        let group = groups.get("ham-extra.tar.gz").cloned().unwrap_or_else(|| "ham-extra".to_owned());
        let unpacked = tempfile::tempdir().context("cannot make a folder for ham-extra")?;
        let status = Command::new("tar").arg("-xzf").arg(&extra).arg("-C").arg(unpacked.path()).status();
        if !status.context("cannot run tar")?.success() {
            bail!("tar could not unpack {}", extra.display());
        }
        let mut files = Vec::new();
        walk(unpacked.path(), &mut files)?;
        for file in files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            samples.push(read(
                &file,
                format!("ham-extra/{name}"),
                Label::Ham,
                group.clone(),
                judge,
                &mut load,
            )?);
        }
    }
    if !samples.iter().any(|sample| sample.label == Label::Phish)
        || !samples.iter().any(|sample| sample.label == Label::Ham)
    {
        bail!("{} holds no phish or no ham", dir.display());
    }
    Ok((samples, load))
}

/// Groups by path. Parts of one collection count as one: their senders are the same.
fn groups(manifest: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let row = |line: &str| {
        let mut fields = line.split('\t');
        let (file, _, group) = (fields.next()?, fields.next()?, fields.next()?);
        let group = if group.starts_with("sa-easy") { "sa-easy" } else { group };
        Some((file.to_owned(), group.to_owned()))
    };
    Ok(text.lines().skip(1).filter_map(row).collect())
}

fn walk(dir: &Path, into: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut entries: Vec<_> =
        entries.collect::<Result<_, _>>().with_context(|| format!("cannot list {}", dir.display()))?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, into)?;
        } else if path.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

fn read(
    file: &Path,
    path: String,
    label: Label,
    group: String,
    judge: &MailJudge,
    load: &mut Load,
) -> anyhow::Result<Sample> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let started = Instant::now();
    let sample = sample(&bytes, path, label, group, judge);
    load.took += started.elapsed();
    load.mails += 1;
    load.bytes += bytes.len() as u64;
    Ok(sample)
}

/// A mail by its features.
pub(super) fn sample(bytes: &[u8], path: String, label: Label, group: String, judge: &MailJudge) -> Sample {
    let message = decode::mail::read(bytes, &Limits::default());
    let looks = looks(&message);
    let known = trusted_authentication(&message, &Trusted::new(["*".to_owned()]));
    let given = Given { message: &message, authentication: known.as_ref(), looks: &looks, signatures: &[] };
    let seen = judge.look(&given);
    let without = judge.look(&Given { authentication: None, ..given });
    let places = |seen: &[Seen]| seen.iter().map(|seen| seen.place).collect();
    let at_least = seen.iter().filter_map(|seen| seen.feature.at_least).max().unwrap_or(MailVerdict::Clean);
    let text: String = message.bodies.iter().map(|body| body.visible.as_str()).collect::<Vec<_>>().join("\n");
    Sample {
        label,
        path,
        group,
        language: language(&format!("{}\n{text}", message.subject)),
        with: places(&seen),
        without: places(&without),
        at_least,
        campaign: 0,
        fingerprint: Fingerprint::of(&message, &text),
    }
}

fn looks(message: &Message) -> Vec<Look> {
    let limits = attachment::Limits::default();
    message.parts.iter().map(|part| attachment::look(&part.name, &part.bytes, &limits, &[])).collect()
}
