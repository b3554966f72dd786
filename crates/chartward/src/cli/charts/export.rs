//! `chartward charts export`: the encrypted bundle for a USB stick.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use recover::bundle::{self, Book, Exported, Presence, Request};
use recover::charts::Origin;
use schema::{Lang, SnapshotId};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{FromArgs, Reading};
use crate::access::is_soon_guessed;
use crate::cli::progress::Bar;
use crate::output::printable;

/// No passphrase is longer.
const BYTES_MAX: u64 = 16 * 1024;

#[derive(clap::Args)]
pub(super) struct ExportArgs {
    /// Folder of the bundle: new, empty, or that of an earlier export, of which only what changed is written
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// File with the bundle's own passphrase, which should not be the vault's (else a prompt)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_BUNDLE_PASSPHRASE_FILE")]
    passphrase_file: Option<PathBuf>,
    /// Where the hub hands the passphrase over
    #[arg(long, value_name = "NAME=FILE", hide = true, conflicts_with = "passphrase_file")]
    secret: Option<String>,
    /// Make everything anew under a new key: after a stick was lost, or to change the passphrase
    #[arg(long)]
    new_key: bool,
    /// The page locks itself after so many seconds without a key or a touch
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(10..=86_400))]
    lock_after: u32,
    /// State folder in which the bundle's key is remembered, so that reconciliation takes its notes
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    pub(super) from: FromArgs,
}

/// The line of `charts export --json`.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    exported: &'a Exported,
    /// Whose charts these are; `None` for a folder's.
    snapshot: Option<&'a SnapshotId>,
    proven: bool,
    made_at: Timestamp,
    passphrase_weak: bool,
    seconds: f64,
}

pub(super) fn run(args: ExportArgs) -> anyhow::Result<ExitCode> {
    let ExportArgs { to, passphrase_file, secret, new_key, lock_after, state, from } = args;
    // Before it is looked what was proven last, so that a proof during the export is not taken for one that it holds.
    let (begun, now) = (Instant::now(), Timestamp::now());
    let handed = secret.as_deref().and_then(|text| text.split_once('=')).map(|(_, file)| PathBuf::from(file));
    let passphrase = passphrase(passphrase_file.or(handed), &to, new_key)?;
    super::with_records(from, |reading| {
        let Reading { charts, basis, lang, output, .. } = reading;
        let request = Request {
            dir: &to,
            passphrase: &passphrase,
            new_key,
            lang,
            zone: &TimeZone::system(),
            lock_after_seconds: lock_after,
            now,
        };
        let bar = Bar::new(output, "exporting");
        let exported = bundle::export(&charts, &basis, &request, &mut |done, total| bar.at(done, total));
        bar.finish();
        let exported = exported?;
        // What cannot be read back here opens nowhere.
        let checked = bundle::check(&to, &passphrase)?;
        ensure!(
            checked.as_ref().is_some_and(bundle::Checked::is_whole),
            "the bundle in {} does not read back as it was written; look at the medium",
            to.display()
        );
        if let Some(state) = &state {
            Book::remember(state, &exported, now)?;
        }
        let snapshot = match &basis.origin {
            Origin::Snapshot { snapshot, .. } => Some(snapshot),
            Origin::Folder { .. } => None,
        };
        let passphrase_weak = is_soon_guessed(&passphrase);
        let seconds = begun.elapsed().as_secs_f64();
        let (kind, proven) = ("bundle", basis.is_proven());
        output.say(said(&exported, &to.display().to_string(), seconds, lang));
        if passphrase_weak {
            output.say(weak(lang));
        }
        if exported.former_is_lost {
            output.say(former_is_lost(lang));
        }
        let whole = exported.without_chart == 0 && exported.unread == 0;
        output.line(&Summary {
            kind,
            exported: &exported,
            snapshot,
            proven,
            made_at: now,
            passphrase_weak,
            seconds,
        })?;
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(1) })
    })
}

fn passphrase(
    file: Option<PathBuf>,
    to: &std::path::Path,
    new_key: bool,
) -> anyhow::Result<Zeroizing<String>> {
    use std::io::Read;
    if let Some(path) = file {
        let mut bytes = Zeroizing::new(Vec::new());
        std::fs::File::open(&path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
            .with_context(|| format!("cannot read the passphrase file {}", path.display()))?;
        ensure!(bytes.len() as u64 <= BYTES_MAX, "the passphrase file {} is too large", path.display());
        let text = std::str::from_utf8(&bytes)
            .with_context(|| format!("the passphrase file {} is no UTF-8 text", path.display()))?;
        return Ok(Zeroizing::new(text.trim().to_owned()));
    }
    if !io::stdin().is_terminal() {
        bail!("no passphrase for the bundle: give --passphrase-file FILE");
    }
    let typed = |text: &str| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .context("cannot read the passphrase from the terminal")
    };
    let first = typed("Passphrase of the bundle: ")?;
    let is_new = new_key || !matches!(bundle::look(to), Presence::Bundle { .. });
    if is_new {
        ensure!(
            *first == *typed("The same passphrase again: ")?,
            "the two passphrases differ; nothing was made"
        );
    }
    Ok(first)
}

fn said(exported: &Exported, to: &str, seconds: f64, lang: Lang) -> String {
    let Exported { patients, parts, parts_written, parts_removed, bytes, without_chart, unread, .. } =
        exported;
    let (to, megabytes) = (printable(to), bytes / 1_000_000);
    let first = lang.pick(
        format!("{to}: {patients} patients in {parts} files ({megabytes} MB); {parts_written} written, {parts_removed} old ones removed, {seconds:.1} s"),
        format!("{to}: 患者{patients}名、{parts}ファイル（{megabytes} MB）。うち書き込み {parts_written}、古いファイルの削除 {parts_removed}、{seconds:.1} 秒"),
    );
    let (lost, unread) = (*without_chart, *unread);
    if lost + unread == 0 {
        return first;
    }
    let second = lang.pick(
        format!("{lost} charts and {unread} records or folders could not be read; the bundle says so"),
        format!("カルテ{lost}件、記録・フォルダー{unread}件を読めませんでした（バンドルにも表示されます）"),
    );
    format!("{first}\n{second}")
}

fn weak(lang: Lang) -> &'static str {
    lang.pick(
        "The passphrase is weak: whoever finds the stick tries hundreds of millions of passphrases a day. Use five unrelated words or more (--new-key changes it).",
        "パスフレーズが弱すぎます。媒体を拾った人は、1日に数億回試すことができます。関係のない単語を5つ以上並べてください（変更は --new-key）。",
    )
}

fn former_is_lost(lang: Lang) -> &'static str {
    lang.pick(
        "There was a bundle under another passphrase: notes that browsers still hold of it can be read by a copy of that bundle alone.",
        "別のパスフレーズのバンドルがありました。ブラウザーに残るその記録は、元のバンドルのコピーからしか読めません。",
    )
}
