//! The files of the record: sealed frames, each bound to the one before.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Entry;

const PREFIX: &str = "access-";
const SUFFIX: &str = ".record";
const NONCE: usize = 24;
/// No line is longer.
const FRAME_MAX: usize = 1 << 20;
/// A file of a viewer that ran for years.
const FILE_MAX: u64 = 1 << 30;

/// What the record holds.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// All lines that could be read, in their order.
    pub(crate) entries: Vec<Entry>,
    /// Files that cannot be read, or not to their end, and why.
    pub(crate) faults: Vec<(PathBuf, &'static str)>,
}

/// The file of this run.
pub(super) struct Open {
    file: File,
    cipher: XChaCha20Poly1305,
    /// Hash of the last frame.
    last: [u8; 32],
    length: u64,
}

impl Open {
    pub(super) fn begin(folder: &Path, key: &[u8; 32]) -> io::Result<Open> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let before = files(folder)?.last().map(|file| hash_of(file)).transpose()?;
        let name =
            format!("{PREFIX}{:014}-{}{SUFFIX}", Timestamp::now().as_millisecond(), std::process::id());
        let mut options = OpenOptions::new();
        let file = options.append(true).create_new(true).mode(0o600).open(folder.join(&name))?;
        File::open(folder)?.sync_all()?;
        let cipher = XChaCha20Poly1305::new(key.into());
        // What the file before ends with stands in the clear before the first frame: a hash says nothing.
        let mut open = Open { file, cipher, last: anchor(&name, before.as_ref()), length: 0 };
        open.append(&before.unwrap_or_default())?;
        Ok(open)
    }

    /// Writes lines and flushes them. What could not be written whole is taken back.
    pub(super) fn write(&mut self, entries: &[Entry]) -> io::Result<()> {
        let (mut frames, mut last) = (Vec::new(), self.last);
        for entry in entries {
            let text = serde_json::to_vec(entry)?;
            let mut nonce = [0; NONCE];
            getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
            let payload = Payload { msg: &text, aad: &last };
            let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload);
            let sealed = sealed.map_err(|_| io::Error::other("cannot seal a line"))?;
            let length = u32::try_from(NONCE + sealed.len()).map_err(io::Error::other)?;
            let frame = [&length.to_be_bytes()[..], &nonce, &sealed].concat();
            last = Sha256::digest(&frame).into();
            frames.extend(frame);
        }
        self.append(&frames)?;
        self.last = last;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // Half a frame would make everything after it unreadable.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// Where the chain of a file begins.
fn anchor(name: &str, before: Option<&[u8; 32]>) -> [u8; 32] {
    let digest = Sha256::new().chain_update(b"chartward access record 1\0").chain_update(name.as_bytes());
    digest.chain_update(before.copied().unwrap_or_default()).finalize().into()
}

fn hash_of(file: &Path) -> io::Result<[u8; 32]> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(file)?, &mut HashInto(&mut digest))?;
    Ok(digest.finalize().into())
}

struct HashInto<'a>(&'a mut Sha256);

impl Write for HashInto<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files by the time when they were begun.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Reads the whole record of a folder; nothing when there is none.
pub(crate) fn read(folder: &Path, key: &[u8; 32]) -> io::Result<Written> {
    let cipher = XChaCha20Poly1305::new(key.into());
    let mut written = Written::default();
    let files = match files(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(written),
        files => files?,
    };
    let mut before = None;
    for file in files {
        if let Err(why) = read_file(&file, before, &cipher, &mut written.entries)? {
            written.faults.push((file.clone(), why));
        }
        before = Some(hash_of(&file)?);
    }
    Ok(written)
}

fn read_file(
    path: &Path,
    before: Option<[u8; 32]>,
    cipher: &XChaCha20Poly1305,
    entries: &mut Vec<Entry>,
) -> io::Result<Result<(), &'static str>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX).read_to_end(&mut bytes)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((named, mut rest)) = bytes.split_first_chunk::<32>() else { return Ok(Err("it is empty")) };
    // Hash of nothing: the first file of all.
    let named = (*named != [0; 32]).then_some(*named);
    let mut last = anchor(name, named.as_ref());
    while !rest.is_empty() {
        let Some((frame, after)) = split(rest) else { return Ok(Err("it ends within a line")) };
        let (nonce, sealed) = frame.get(4..).unwrap_or_default().split_at(NONCE);
        let nonce: [u8; NONCE] = nonce.try_into().unwrap_or_default();
        let Ok(text) = cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: &last }) else {
            return Ok(Err("a line was sealed with another key, altered, or taken out"));
        };
        let Ok(entry) = serde_json::from_slice(&text) else {
            return Ok(Err("a line was written by another version"));
        };
        entries.push(entry);
        last = Sha256::digest(frame).into();
        rest = after;
    }
    Ok(if named == before { Ok(()) } else { Err("the file before it was altered or removed") })
}

/// The first frame with its length, and what follows.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let is_possible = (NONCE..=FRAME_MAX).contains(&length) && bytes.len() >= 4 + length;
    is_possible.then(|| bytes.split_at(4 + length))
}
