//! Members of ZIP archives (APPNOTE 6.3.10), as collections of logs come: stored or deflated, not encrypted.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::source::{self, Grown};
use super::{Give, Limits, Piece};
use crate::Error;

/// The end of the directory lies in the last bytes: 22, and a comment of up to 65,535.
const TAIL: u64 = 22 + 65_535;
/// A directory is read up to this length.
const DIRECTORY_MAX: u64 = 64 << 20;

struct Member {
    name: String,
    method: u16,
    is_encrypted: bool,
    packed: u64,
    at: u64,
}

/// Gives the blocks of all members, in the order of their names.
pub(super) fn members(input: BufReader<File>, path: &Path, limits: &Limits, give: &mut Give<'_>) -> bool {
    let mut file = input.into_inner();
    let failed = |source| Piece::Failed(Error::ReadLog { path: path.to_owned(), source });
    let mut members = match directory(&mut file) {
        Ok(members) => members,
        Err(source) => return give(failed(source)),
    };
    members.sort_by(|one, other| one.name.cmp(&other.name));
    if members.len() > limits.files {
        members.truncate(limits.files);
        if !give(failed(io::Error::other("more files in the archive than are read at once"))) {
            return false;
        }
    }
    let length = file.metadata().map_or(0, |meta| meta.len());
    let left = Cell::new(limits.unpacked.max(length.saturating_mul(limits.ratio)));
    for member in members.iter().filter(|member| !member.name.ends_with('/')) {
        if left.get() == 0 {
            // Members that lie in one another: no more comes out of an archive than its length allows.
            return give(Piece::Failed(Error::LogGrows { path: path.to_owned() }));
        }
        let name = format!("{} › {}", path.display(), member.name);
        let goes_on = match content(&mut file, member, limits) {
            Ok(content) => {
                let all = Share { input: content, left: &left };
                source::plain(&mut BufReader::with_capacity(256 << 10, all), &name, give)
                    .unwrap_or_else(|source| give(Piece::Failed(source::failure(name.into(), source))))
            }
            Err(source) => give(Piece::Failed(Error::ReadLog { path: name.into(), source })),
        };
        if !goes_on {
            return false;
        }
    }
    true
}

/// What all members of an archive unpack to is bounded, whichever of its bytes they share.
struct Share<'s, R> {
    input: R,
    left: &'s Cell<u64>,
}

impl<R: Read> Read for Share<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.left.get();
        self.left.set(left.saturating_sub(count as u64));
        if count as u64 > left { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(count) }
    }
}

type Content<'f> = Box<dyn Read + 'f>;

fn content<'f>(file: &'f mut File, member: &Member, limits: &Limits) -> io::Result<Content<'f>> {
    if member.is_encrypted {
        return Err(io::Error::other("it is encrypted"));
    }
    file.seek(SeekFrom::Start(member.at))?;
    let mut local = [0; 30];
    file.read_exact(&mut local)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(io::Error::other("no file where the archive's directory says"));
    }
    let names = i64::from(u16_at(&local, 26)) + i64::from(u16_at(&local, 28));
    file.seek(SeekFrom::Current(names))?;
    let packed = (&*file).take(member.packed);
    let all = member.packed;
    Ok(match member.method {
        0 => Box::new(packed),
        8 => Box::new(Grown {
            input: DeflateDecoder::new(packed),
            bytes: 0,
            limits: *limits,
            packed: move |input: &DeflateDecoder<Take<&File>>| all - input.get_ref().limit().min(all),
        }),
        other => return Err(io::Error::other(format!("it is packed by method {other}"))),
    })
}

fn directory(file: &mut File) -> io::Result<Vec<Member>> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let broken = || io::Error::other("the archive has no directory: it was cut off or damaged");
    let end = tail.windows(4).rposition(|window| window == b"PK\x05\x06").ok_or_else(broken)?;
    let record = tail.get(end..end + 22).ok_or_else(broken)?;
    let (mut size, mut at) = (u64::from(u32_at(record, 12)), u64::from(u32_at(record, 16)));
    // Larger ones have the numbers in a record of their own, which is told just before.
    let locator = end.checked_sub(20).and_then(|at| tail.get(at..at + 20));
    if let Some(locator) = locator.filter(|locator| locator.starts_with(b"PK\x06\x07")) {
        let mut large = [0; 56];
        file.seek(SeekFrom::Start(u64_at(locator, 8)))?;
        file.read_exact(&mut large)?;
        (size, at) = (u64_at(&large, 40), u64_at(&large, 48));
    }
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(size.min(DIRECTORY_MAX)).read_to_end(&mut bytes)?;
    Ok(entries(&bytes))
}

fn entries(bytes: &[u8]) -> Vec<Member> {
    let (mut members, mut at) = (Vec::new(), 0);
    while let Some(entry) = bytes.get(at..at + 46).filter(|entry| entry.starts_with(b"PK\x01\x02")) {
        let (name, extra, comment) =
            (usize::from(u16_at(entry, 28)), usize::from(u16_at(entry, 30)), usize::from(u16_at(entry, 32)));
        let named = bytes.get(at + 46..at + 46 + name).unwrap_or_default();
        let extras = bytes.get(at + 46 + name..at + 46 + name + extra).unwrap_or_default();
        let mut numbers = large(extras).chunks_exact(8).map(|chunk| u64_at(chunk, 0));
        let mut whole =
            |small: u32| if small == u32::MAX { numbers.next().unwrap_or(0) } else { u64::from(small) };
        let (_, packed, start) =
            (whole(u32_at(entry, 24)), whole(u32_at(entry, 20)), whole(u32_at(entry, 42)));
        members.push(Member {
            name: String::from_utf8_lossy(named).into_owned(),
            method: u16_at(entry, 10),
            is_encrypted: u16_at(entry, 8) & 1 != 0,
            packed,
            at: start,
        });
        at += 46 + name + extra + comment;
    }
    members
}

/// The numbers of a large entry, which stand in an extra field.
fn large(mut extras: &[u8]) -> &[u8] {
    while extras.len() >= 4 {
        let length = usize::from(u16_at(extras, 2));
        if u16_at(extras, 0) == 1 {
            return extras.get(4..4 + length).unwrap_or_default();
        }
        extras = extras.get(4 + length..).unwrap_or_default();
    }
    &[]
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
