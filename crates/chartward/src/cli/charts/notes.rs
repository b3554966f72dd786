//! `chartward charts notes`: the journal of downtime notes from the command line, and where it lies.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use recover::charts::words::minute;
use recover::downtime::{Added, Findings, Journal, Kept, Note, Notes, Via, signed};
use schema::Lang;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cli::lang::LangArgs;
use crate::cli::state_dir;
use crate::output::{Output, printable, printable_lines};
use crate::viewer::notes::{Book, Key};

/// A file of notes is not longer; a wrong path must not read a disk image into memory.
const FILE_MAX: u64 = 64 << 20;

/// In the state folder.
const JOURNAL: &str = "charts/notes.journal";

/// Where notes are kept.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct NotesArgs {
    /// Journal of downtime notes (default: charts/notes.journal in the state folder)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_NOTES")]
    notes: Option<PathBuf>,
    /// File with the passphrase that seals the journal (default: a key file beside it, FILE.key)
    #[arg(long, value_name = "FILE", env = "CHARTWARD_NOTES_PASSWORD_FILE")]
    notes_password_file: Option<PathBuf>,
}

impl NotesArgs {
    /// The same, in a state folder that was named.
    pub(super) fn below(self, state: &Path) -> Self {
        Self { notes: self.notes.or_else(|| Some(state.join(JOURNAL))), ..self }
    }

    /// The journal's path.
    pub(super) fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.notes {
            Some(path) => Ok(path.clone()),
            None => Ok(state_dir(None)?.join(JOURNAL)),
        }
    }

    /// What opens it.
    pub(super) fn key(&self, path: &Path) -> anyhow::Result<Key> {
        let Some(file) = &self.notes_password_file else {
            let mut key = path.as_os_str().to_owned();
            key.push(".key");
            return Ok(Key::File(key.into()));
        };
        let mut text = Zeroizing::new(Vec::new());
        File::open(file)
            .and_then(|open| open.take(4096).read_to_end(&mut text))
            .with_context(|| format!("cannot read {}", file.display()))?;
        let passphrase = Zeroizing::new(text.trim_ascii_end().to_vec());
        ensure!(!passphrase.is_empty(), "the passphrase in {} is empty", file.display());
        Ok(Key::Passphrase(passphrase))
    }

    /// The journal for the viewer. Charts are served also where notes cannot be kept; that is said, there and on the pages.
    pub(super) fn book(&self, lang: Lang, output: Output) -> Option<Arc<Book>> {
        let open = || -> anyhow::Result<Book> {
            let path = self.path()?;
            let key = self.key(&path)?;
            Ok(Book::open(&path, key, Timestamp::now())?)
        };
        match open() {
            Ok(book) => {
                say_findings(&book.findings, lang, output);
                Some(Arc::new(book))
            }
            Err(error) => {
                output.say(lang.pick(
                    format!("! No notes can be written in this viewer: {error:#}"),
                    format!("! この参照画面では記録を保存できません: {error:#}"),
                ));
                None
            }
        }
    }
}

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    notes: NotesArgs,
    #[command(flatten)]
    lang: LangArgs,
    /// Print JSON lines
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List notes, newest last, and say whether the journal is whole
    List {
        /// Only those of this patient id or downtime number
        patient: Option<String>,
    },
    /// Add notes from a JSON file: one note, a list of notes, or one a line (forms that were filled in on paper)
    Add {
        /// The file
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Who typed them in
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Write all notes as JSON lines, unencrypted, into a new file
    Export {
        /// The file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Take notes over from the file of an offline bundle, or from an export
    Import {
        /// The file
        file: PathBuf,
        /// Who hands them in
        #[arg(long, value_name = "NAME")]
        by: String,
        /// List of the bundles that were exported here (default: bundles.json in the state folder)
        #[arg(long, value_name = "FILE")]
        bundles: Option<PathBuf>,
        /// Key of a bundle that was made elsewhere, once its maker has confirmed it
        #[arg(long, value_name = "KEY")]
        bundle_key: Vec<String>,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (lang, output) = (args.lang.lang(), Output::new(args.json));
    let path = args.notes.path()?;
    let key = args.notes.key(&path)?;
    match args.command {
        Command::List { patient } => {
            let (notes, findings) = Journal::read(&path, key.secret())?;
            list(&notes, &findings, patient.as_deref(), lang, output)
        }
        Command::Export { to } => {
            let (notes, findings) = Journal::read(&path, key.secret())?;
            say_findings(&findings, lang, output);
            export(&notes, &to, output)?;
            Ok(exit(findings.damage.is_empty()))
        }
        Command::Add { from, by } => {
            let (bytes, _) = read(&from)?;
            let notes = parsed(&bytes)?;
            add(
                &path,
                &key,
                notes,
                Source { by, via: Via::Paper, file: hex::encode(Sha256::digest(&bytes)) },
                lang,
                output,
            )
        }
        Command::Import { file, by, bundles, bundle_key } => {
            let (bytes, hash) = read(&file)?;
            let (notes, via, refused) = imported(&bytes, bundles, &bundle_key, output)?;
            let done = add(&path, &key, notes, Source { by, via, file: hash }, lang, output)?;
            Ok(if refused == 0 { done } else { exit(false) })
        }
    }
}

fn list(
    notes: &Notes,
    findings: &Findings,
    patient: Option<&str>,
    lang: Lang,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let is_meant = |kept: &&Kept| {
        let whom = &kept.note.patient;
        patient.is_none_or(|wanted| {
            whom.id.as_ref().is_some_and(|id| id.0 == wanted)
                || whom.downtime_number.as_deref() == Some(wanted)
        })
    };
    let mut listed = 0u64;
    for kept in notes.all().iter().filter(is_meant) {
        listed += 1;
        output.line(&json!({"type": "note", "kept": kept}))?;
        if output == Output::People {
            output.say(line(kept, notes, lang));
        }
    }
    for carried in notes.carried_over() {
        output.line(&json!({"type": "carried_over", "from": carried.from, "damage": carried.damage}))?;
    }
    say_findings(findings, lang, output);
    let damage: Vec<String> = findings.damage.iter().map(ToString::to_string).collect();
    output.line(&json!({"type": "summary", "notes": notes.all().len(), "listed": listed, "damage": damage, "unknown": findings.unknown}))?;
    Ok(exit(findings.damage.is_empty() && findings.unknown == 0))
}

fn line(kept: &Kept, notes: &Notes, lang: Lang) -> String {
    let whom = &kept.note.patient;
    let id = whom.id.as_ref().map(|id| id.0.as_str()).or(whom.downtime_number.as_deref()).unwrap_or_default();
    let replaced = if notes.replacing(&kept.note.id).is_empty() {
        ""
    } else {
        lang.pick(" [replaced]", "［訂正済み］")
    };
    let (at, word, said) = (minute(kept.note.at), kept.note.entry.word(lang), kept.note.entry.line(lang));
    printable_lines(&format!("{at}  {id} {}  {word}: {said} — {}{replaced}", whom.name, kept.note.author))
}

/// What is wrong with a journal, for people.
pub(super) fn say_findings(findings: &Findings, lang: Lang, output: Output) {
    for damage in &findings.damage {
        output.say(lang.pick(
            format!("! the journal is damaged: {}", damage.words(lang)),
            format!("! 記録簿が壊れています: {}", damage.words(lang)),
        ));
    }
    if let Some(aside) = &findings.set_aside {
        let aside = printable(&aside.display().to_string());
        output.say(lang.pick(
            format!("  it is kept as {aside}; what could be read was carried over"),
            format!("  壊れた記録簿は {aside} に残し、読めた記録を引き継ぎました"),
        ));
    }
    if findings.torn > 0 {
        output.say(lang.pick(
            format!(
                "an unfinished record of {} bytes at the end, which nobody was told is saved",
                findings.torn
            ),
            format!(
                "末尾に書きかけの記録があります（{} バイト、保存済みとは表示されていません）",
                findings.torn
            ),
        ));
    }
}

/// Where notes come from that were not written in the viewer.
struct Source {
    by: String,
    via: Via,
    file: String,
}

fn add(
    path: &Path,
    key: &Key,
    notes: Vec<Note>,
    source: Source,
    lang: Lang,
    output: Output,
) -> anyhow::Result<ExitCode> {
    ensure!(!source.by.trim().is_empty(), "say who hands the notes in: --by NAME");
    let (mut journal, findings) = Journal::open(path, key.secret(), Timestamp::now())?;
    say_findings(&findings, lang, output);
    let (mut new, mut known, mut refused) = (0u64, 0u64, 0u64);
    for note in notes {
        let id = printable(&note.id.0.chars().take(40).collect::<String>());
        let kept = Kept {
            note,
            received_at: Timestamp::now(),
            by: source.by.clone(),
            via: source.via,
            file: Some(source.file.clone()),
        };
        match journal.add(kept) {
            Ok(Added::New) => new += 1,
            Ok(Added::Known) => known += 1,
            // One bad note of a file does not keep the others out; it is named.
            Err(error @ (recover::Error::NoteRefused { .. } | recover::Error::NoteDiffers { .. })) => {
                refused += 1;
                let cause = format!("{:#}", anyhow::Error::from(error));
                output.line(&json!({"type": "refused", "note": id, "cause": cause}))?;
                output.say(format!("! {id}: {cause}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let (records, head) = journal.head();
    output.line(&json!({"type": "summary", "new": new, "known": known, "refused": refused, "records": records, "head": head}))?;
    output.say(lang.pick(
        format!("{new} notes added, {known} were there already, {refused} refused"),
        format!("{new} 件を追加、{known} 件は登録済み、{refused} 件は受け付けられません"),
    ));
    Ok(exit(refused == 0))
}

fn export(notes: &Notes, to: &Path, output: Output) -> anyhow::Result<()> {
    let mut text = Vec::new();
    for kept in notes.all() {
        serde_json::to_writer(&mut text, &kept.note)?;
        text.push(b'\n');
    }
    super::write_private(to, &text).with_context(|| format!("cannot write {}", to.display()))?;
    output.line(&json!({"type": "exported", "notes": notes.all().len(), "file": to, "sha256": hex::encode(Sha256::digest(&text))}))?;
    output.say(printable(&to.display().to_string()));
    Ok(())
}

/// A file's bytes and their SHA-256.
fn read(path: &Path) -> anyhow::Result<(Vec<u8>, String)> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(bytes.len() as u64 <= FILE_MAX, "{} is too large for a file of notes", path.display());
    let hash = hex::encode(Sha256::digest(&bytes));
    Ok((bytes, hash))
}

/// One note, a list of notes, or one note a line.
fn parsed(bytes: &[u8]) -> anyhow::Result<Vec<Note>> {
    let mut notes = Vec::new();
    for (index, value) in serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().enumerate() {
        let value = value.with_context(|| format!("item {} of the file is no JSON", index + 1))?;
        let items = match value {
            Value::Array(items) => items,
            item => vec![item],
        };
        for item in items {
            let number = notes.len() + 1;
            notes.push(
                serde_json::from_value(item)
                    .with_context(|| format!("note {number} of the file cannot be read"))?,
            );
        }
    }
    if notes.is_empty() {
        bail!("the file holds no note");
    }
    Ok(notes)
}

/// The signed file of a bundle, or an export of another journal. Entries of a signed file that are no notes are said.
fn imported(
    bytes: &[u8],
    bundles: Option<PathBuf>,
    keys: &[String],
    output: Output,
) -> anyhow::Result<(Vec<Note>, Via, usize)> {
    let is_signed =
        serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.get("signature").is_some());
    if !is_signed {
        return Ok((parsed(bytes)?, Via::Journal, 0));
    }
    let known = known_keys(bundles)?;
    let is_known = |key: &str| known.iter().chain(keys).any(|known| known == key);
    let file = match signed::read(bytes, is_known) {
        Ok(file) => file,
        Err(error @ signed::Invalid::Unknown { .. }) => {
            return Err(error).context(
                "nothing was taken; if whoever made that bundle confirms its key, give it with --bundle-key KEY",
            );
        }
        Err(error) => return Err(error.into()),
    };
    for refused in &file.refused {
        output.line(&json!({"type": "refused", "entry": refused.entry, "cause": refused.why.to_string()}))?;
        output.say(format!("! {}: {}", refused.entry, refused.why));
    }
    Ok((file.notes, Via::Bundle, file.refused.len()))
}

/// The keys of the bundles that were exported here, from the list that the export keeps.
fn known_keys(bundles: Option<PathBuf>) -> anyhow::Result<Vec<String>> {
    let path = match bundles {
        Some(path) => path,
        None => state_dir(None)?.join("bundles.json"),
    };
    if !path.exists() {
        return Ok(Vec::new());
    }
    let (bytes, _) = read(&path)?;
    let list: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is no list of bundles", path.display()))?;
    let bundles = list["bundles"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(bundles.iter().filter_map(|known| known["public_key"].as_str().map(str::to_owned)).collect())
}

fn exit(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
