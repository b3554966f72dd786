//! The rehearsal's attacker: a process that behaves towards files as GandCrab 4 did in Uda, and can be reversed.
//!
//! It overwrites records in place, renames them to `.KRAB` and drops `KRAB-DECRYPT.txt`. The transform is XOR with
//! a ChaCha keystream of a seed that is printed in the open, so [`reverse`] turns it back. It only works inside a
//! folder that a rehearsal made and marked, refuses every other, follows no link, and has no network, no
//! persistence and no spreading: it exists so that what is claimed about the guard and the vault can be tried.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use jiff::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Name of the file that a rehearsal puts into its folder; it holds the rehearsal's token.
pub(crate) const MARKER: &str = ".chartward-rehearsal";
/// What GandCrab 4 appended to names.
pub(crate) const SUFFIX: &str = "KRAB";
/// The note that GandCrab 4 left in each folder.
pub(crate) const NOTE: &str = "KRAB-DECRYPT.txt";

/// Records are small; a larger file in the way is left alone rather than read into memory.
const FILE_BYTES_MAX: u64 = 64 << 20;

const NOTE_TEXT: &str = "---= GANDCRAB V4 (SIMULATED BY A CHARTWARD REHEARSAL) =---\r\n\
    All your files were encrypted and have the extension .KRAB\r\n\
    This is an exercise. Nothing is asked of you and nothing has to be paid.\r\n";

/// What the attacker is to do.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EncryptorArgs {
    /// The rehearsal's folder, which holds the marker
    #[arg(long)]
    rehearsal: PathBuf,
    /// The token in the marker
    #[arg(long)]
    token: String,
    /// Folder of patient folders, inside the rehearsal's folder
    #[arg(long)]
    store: PathBuf,
    /// How many patients' records to go for
    #[arg(long)]
    patients: usize,
    /// Files a second; 0 for as fast as it can
    #[arg(long, default_value_t = 0)]
    files_per_second: u32,
    /// Seed of the keystream
    #[arg(long, default_value_t = 2018)]
    seed: u64,
    /// Where every act is written down before it is done
    #[arg(long)]
    journal: PathBuf,
    /// Turn everything in the journal back instead
    #[arg(long)]
    reverse: bool,
    /// Be killed when the process that started this one ends, however it ends
    #[arg(long)]
    end_with_parent: bool,
}

/// One act, written before it is done: what a journal line holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Deed {
    /// When it began.
    pub(crate) at: Timestamp,
    /// Patient whose record it is; empty for a note.
    pub(crate) patient: String,
    /// The file's name before.
    pub(crate) path: PathBuf,
    /// Whether `path` is a note that the attacker made.
    pub(crate) note: bool,
}

pub(crate) fn run(args: &EncryptorArgs) -> anyhow::Result<()> {
    if args.end_with_parent {
        // The only signal that ends a process that stands still.
        let asked = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        asked.context("ask to end with the parent")?;
    }
    let store = inside_rehearsal(args)?;
    if args.reverse { reverse(args, &store) } else { attack(args, &store) }
}

/// The canonical store, if it lies inside a folder that a rehearsal with this token made.
fn inside_rehearsal(args: &EncryptorArgs) -> anyhow::Result<PathBuf> {
    let rehearsal = args.rehearsal.canonicalize().context("the rehearsal's folder cannot be opened")?;
    let marker = fs::read_to_string(rehearsal.join(MARKER))
        .with_context(|| format!("refused: {} was not made by a rehearsal", rehearsal.display()))?;
    ensure!(
        args.token.len() >= 16 && marker.trim() == args.token,
        "refused: the token is not this rehearsal's"
    );
    let store = args.store.canonicalize().context("the store cannot be opened")?;
    ensure!(
        store.starts_with(&rehearsal) && store != rehearsal,
        "refused: {} lies outside the rehearsal",
        store.display()
    );
    Ok(store)
}

fn attack(args: &EncryptorArgs, store: &Path) -> anyhow::Result<()> {
    let mut journal = OpenOptions::new().create(true).append(true).open(&args.journal)?;
    let mut pace = Pace::new(args.files_per_second);
    let mut folders = Vec::new();
    patient_folders(store, 0, &mut folders)?;
    folders.sort();
    for folder in folders.into_iter().take(args.patients) {
        encrypt_folder(args, &folder, &folder, &mut journal, &mut pace)?;
    }
    Ok(())
}

/// SS-MIX2 keeps a patient in the third level below the storage's root.
fn patient_folders(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if depth == 2 {
            found.push(entry.path());
        } else {
            patient_folders(&entry.path(), depth + 1, found)?;
        }
    }
    Ok(())
}

fn encrypt_folder(
    args: &EncryptorArgs,
    patient: &Path,
    dir: &Path,
    journal: &mut File,
    pace: &mut Pace,
) -> anyhow::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut encrypted_here = false;
    for entry in entries {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            encrypt_folder(args, patient, &entry.path(), journal, pace)?;
        } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
            pace.wait();
            let deed = deed(patient, entry.path(), false);
            write_down(journal, &deed)?;
            transform(&deed.path, args.seed)?;
            fs::rename(&deed.path, with_suffix(&deed.path))?;
            encrypted_here = true;
        }
    }
    if encrypted_here {
        let deed = deed(patient, dir.join(NOTE), true);
        write_down(journal, &deed)?;
        fs::write(&deed.path, NOTE_TEXT)?;
    }
    Ok(())
}

fn reverse(args: &EncryptorArgs, store: &Path) -> anyhow::Result<()> {
    for deed in deeds(&args.journal)? {
        ensure!(deed.path.starts_with(store), "refused: {} lies outside the store", deed.path.display());
        if deed.note {
            fs::remove_file(&deed.path).or_else(ignore_absent)?;
        } else if with_suffix(&deed.path).is_file() {
            fs::rename(with_suffix(&deed.path), &deed.path)?;
            transform(&deed.path, args.seed)?;
        }
    }
    Ok(())
}

/// What the attacker wrote down, in order; a line torn by its end is left out.
pub(crate) fn deeds(journal: &Path) -> anyhow::Result<Vec<Deed>> {
    let file = match File::open(journal) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("the attacker's journal cannot be read"),
    };
    let mut deeds = Vec::new();
    for line in BufReader::new(file).lines() {
        match serde_json::from_str(&line?) {
            Ok(deed) => deeds.push(deed),
            Err(_) => break,
        }
    }
    Ok(deeds)
}

/// The name that the attacker gives to the record at `path`.
pub(crate) fn with_suffix(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(SUFFIX);
    name.into()
}

fn deed(patient: &Path, path: PathBuf, note: bool) -> Deed {
    let patient = patient.file_name().map(|id| id.to_string_lossy().into_owned()).unwrap_or_default();
    Deed { at: Timestamp::now(), patient, path, note }
}

fn write_down(journal: &mut File, deed: &Deed) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(deed)?;
    line.push(b'\n');
    journal.write_all(&line).context("the attacker's journal cannot be written")
}

/// XORs the file in place with the seed's keystream; doing it twice gives the file back.
fn transform(path: &Path, seed: u64) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let mut bytes = Vec::new();
    Read::by_ref(&mut file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        bail!("{} grew beyond the bound", path.display());
    }
    let mut keystream = vec![0; bytes.len()];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut keystream);
    bytes.iter_mut().zip(keystream).for_each(|(byte, key)| *byte ^= key);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&bytes)?;
    Ok(())
}

fn ignore_absent(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Keeps to a number of files a second.
struct Pace {
    between: Option<Duration>,
    next: Instant,
}

impl Pace {
    fn new(files_per_second: u32) -> Pace {
        let between = (files_per_second > 0).then(|| Duration::from_secs(1) / files_per_second.max(1));
        Pace { between, next: Instant::now() }
    }

    fn wait(&mut self) {
        let Some(between) = self.between else { return };
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next += between;
    }
}
