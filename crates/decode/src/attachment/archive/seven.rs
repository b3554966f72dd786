//! 7z, by `sevenz-rust2`, with its dictionaries and headers bounded.

use std::io::Cursor;

use sevenz_rust2::{ArchiveReader, EntryDecision, Error, Password};

use super::super::unpack::{DICTIONARY_KIB_MAX, Unpacked, drain};
use super::super::values::MarkKind;
use super::super::walk::Walk;

/// What opening came to.
enum Opened<T> {
    Yes(T),
    Encrypted,
    No(Error),
}

pub(super) fn look(walk: &mut Walk<'_>, bytes: &[u8]) {
    match open(bytes, "") {
        Opened::Yes(reader) if encrypted(&reader) => {
            let names: Vec<String> = files(&reader).take(walk.entries_max()).collect();
            let fits = walk.decrypt(&[], true, |password| match open(bytes, password) {
                Opened::Yes(mut reader) => opens(&mut reader).then_some(reader),
                _ => None,
            });
            match fits {
                Some(reader) => each(walk, reader, bytes.len()),
                None => names.iter().for_each(|name| walk.named(name, "encrypted")),
            }
        }
        Opened::Yes(reader) => each(walk, reader, bytes.len()),
        Opened::Encrypted => {
            let fits = walk.decrypt(&[], true, |password| match open(bytes, password) {
                Opened::Yes(reader) => Some(reader),
                _ => None,
            });
            if let Some(reader) = fits {
                each(walk, reader, bytes.len());
            }
        }
        Opened::No(error) => walk.mark(kind_of(&error), "7z that does not open"),
    }
}

type Reader<'b> = ArchiveReader<Cursor<&'b [u8]>>;

fn open<'b>(bytes: &'b [u8], password: &str) -> Opened<Reader<'b>> {
    let password = if password.is_empty() { Password::empty() } else { Password::new(password) };
    match ArchiveReader::new_with_memory_limit(Cursor::new(bytes), password, DICTIONARY_KIB_MAX as usize) {
        Ok(mut reader) => {
            // Its own threads would multiply the dictionaries.
            reader.set_thread_count(1);
            Opened::Yes(reader)
        }
        Err(Error::PasswordRequired | Error::MaybeBadPassword(_)) => Opened::Encrypted,
        Err(error) => Opened::No(error),
    }
}

fn encrypted(reader: &Reader<'_>) -> bool {
    let archive = reader.archive();
    (0..archive.files.len()).any(|index| archive.is_file_encrypted(index))
}

fn files<'r>(reader: &'r Reader<'_>) -> impl Iterator<Item = String> + 'r {
    reader.archive().files.iter().filter(|file| !file.is_directory).map(|file| file.name.clone())
}

/// Whether the first file comes out whole. Its checksum is looked at behind its last byte.
fn opens(reader: &mut Reader<'_>) -> bool {
    let mut right = false;
    let result = reader.for_each_entries_with_decision(|entry, content| {
        if !entry.has_stream {
            return Ok(EntryDecision::Continue);
        }
        // Ciphertext that a wrong key opened fails within its first bytes, or at the checksum.
        let mut start = [0; 1 << 16];
        let mut read = 0;
        while let Some(rest) = start.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match content.read(rest)? {
                0 => break,
                more => read += more,
            }
        }
        right = !entry.has_crc
            || entry.size > read as u64
            || u64::from(crc32fast::hash(start.get(..read).unwrap_or_default())) == entry.crc;
        Ok(EntryDecision::Stop)
    });
    result.is_ok() && right
}

fn each(walk: &mut Walk<'_>, mut reader: Reader<'_>, length: usize) {
    let result = reader.for_each_entries_with_decision(|entry, content| {
        if entry.is_directory {
            return Ok(EntryDecision::Continue);
        }
        if !walk.may_look_at_more() {
            return Ok(EntryDecision::Stop);
        }
        let mut whole = true;
        walk.packed(&entry.name, |max| {
            let (bytes, end) = drain(content, max);
            whole = end != super::super::unpack::End::Bound;
            // Files share their packed bytes in a solid archive: the archive's length is what they come from.
            Unpacked { bytes, end, consumed: length }
        });
        // What is left unread would be unpacked to its end for its checksum.
        Ok(if whole { EntryDecision::Continue } else { EntryDecision::Stop })
    });
    if let Err(error) = result {
        walk.mark(kind_of(&error), "7z that does not unpack to its end");
    }
}

fn kind_of(error: &Error) -> MarkKind {
    match error {
        Error::UnsupportedCompressionMethod(_) | Error::Unsupported(_) | Error::MaxMemLimited { .. } => {
            MarkKind::NotLookedAt
        }
        Error::UnsupportedVersion { .. } | Error::ExternalUnsupported => MarkKind::NotLookedAt,
        _ => MarkKind::Broken,
    }
}
