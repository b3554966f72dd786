//! Out of a snapshot into a stream: a file as it is, a folder as a tar archive.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::files::Entry;
use super::id::{BlobKind, Id};
use super::repository::Vault;
use super::restore::length_of;
use super::snapshot::Snapshot;
use super::tar;
use super::tree::{Kind, Node};
use crate::Error;

/// A file of an archive is checked as a whole before it is begun up to this size; a damaged one is then left out.
const CHECKED_FIRST: u64 = 64 << 20;

/// Something that a dump could not give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDumped {
    /// Its path in the snapshot.
    pub path: PathBuf,
    /// Why, and what stands in its place.
    pub cause: String,
}

/// What a dump did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpReport {
    /// Regular files.
    pub files: u64,
    /// Their sizes added up.
    pub bytes: u64,
    /// What is missing from an archive, or lacks part of its content.
    pub not_dumped: Vec<NotDumped>,
}

impl Vault {
    /// Writes what is at an absolute path of a snapshot: a file's content, a folder and all below it as a tar archive.
    ///
    /// A file whose content is damaged ends with an error after what was before the damage. In an archive the damaged file is left out,
    /// or, when it is larger than 64 MiB, has zeros where content is lost; either is in the report and the rest goes on.
    pub fn dump(&self, snapshot: &Snapshot, path: &Path, out: &mut dyn Write) -> Result<DumpReport, Error> {
        let entry = self.files(snapshot).entry(path)?;
        let mut dump = Dump { vault: self, out, report: DumpReport::default(), first_links: HashMap::new() };
        match entry.kind() {
            Kind::File => dump.file(&entry)?,
            Kind::Dir => dump.archive(&entry)?,
            _ => {
                let reason = "it is neither a file nor a folder";
                return Err(Error::UnusablePath { path: path.to_owned(), reason });
            }
        }
        dump.out.flush().map_err(unwritten)?;
        Ok(dump.report)
    }
}

struct Dump<'d> {
    vault: &'d Vault,
    out: &'d mut dyn Write,
    report: DumpReport,
    /// First path of each inode that has several, as far as it is in the archive.
    first_links: HashMap<(u64, u64), PathBuf>,
}

fn unwritten(source: io::Error) -> Error {
    Error::Io { op: "write to", path: PathBuf::from("the output"), source }
}

impl Dump<'_> {
    fn file(&mut self, entry: &Entry) -> Result<(), Error> {
        let mut codec = self.vault.codecs.take()?;
        for id in contents(entry.node()) {
            let blob = self.vault.load_blob(&mut codec, BlobKind::Data, id)?;
            self.out.write_all(&blob).map_err(unwritten)?;
            self.report.bytes += blob.len() as u64;
        }
        self.vault.codecs.give_back(codec);
        self.report.files += 1;
        Ok(())
    }

    fn archive(&mut self, top: &Entry) -> Result<(), Error> {
        let mut codec = self.vault.codecs.take()?;
        if top.path != Path::new("/") {
            self.add(&mut codec, top)?;
        }
        for entry in self.vault.walk(top) {
            match entry {
                Ok(entry) => self.add(&mut codec, &entry)?,
                Err(unlisted) => {
                    let cause =
                        format!("the list of its entries is lost with all below it: {}", unlisted.error);
                    self.report.not_dumped.push(NotDumped { path: unlisted.path, cause });
                }
            }
        }
        tar::end(self.out).map_err(unwritten)?;
        self.vault.codecs.give_back(codec);
        Ok(())
    }

    fn add(&mut self, codec: &mut Codec, entry: &Entry) -> Result<(), Error> {
        let node = entry.node();
        match node.kind {
            Kind::File => return self.add_file(codec, entry),
            // A socket means nothing without the process that made it; tar has no word for it, either.
            Kind::Socket | Kind::Irregular => return Ok(()),
            _ => {}
        }
        tar::header(self.out, &entry.path, node, 0, None).map_err(unwritten)
    }

    fn add_file(&mut self, codec: &mut Codec, entry: &Entry) -> Result<(), Error> {
        let node = entry.node();
        let inode = (node.device_id, node.inode);
        if node.links > 1
            && let Some(first) = self.first_links.get(&inode)
        {
            self.report.files += 1;
            return tar::header(self.out, &entry.path, node, 0, Some(first)).map_err(unwritten);
        }
        let lengths: Option<Vec<u64>> = contents(node).iter().map(|id| length_of(self.vault, id)).collect();
        let Some(lengths) = lengths else {
            self.lost(&entry.path, "part of its content is nowhere in the vault, and it is left out");
            return Ok(());
        };
        let size = lengths.iter().sum();
        if size <= CHECKED_FIRST {
            match self.load(codec, node) {
                Ok(content) => {
                    tar::header(self.out, &entry.path, node, size, None)
                        .and_then(|()| content.iter().try_for_each(|blob| self.out.write_all(blob)))
                        .map_err(unwritten)?;
                }
                Err(error) => {
                    self.lost(&entry.path, &format!("its content is lost, and it is left out: {error}"));
                    return Ok(());
                }
            }
        } else {
            self.stream(codec, entry, &lengths, size)?;
        }
        tar::pad(self.out, size).map_err(unwritten)?;
        self.report.files += 1;
        self.report.bytes += size;
        if node.links > 1 {
            self.first_links.insert(inode, entry.path.clone());
        }
        Ok(())
    }

    fn load(&self, codec: &mut Codec, node: &Node) -> Result<Vec<Vec<u8>>, Error> {
        contents(node).iter().map(|id| self.vault.load_blob(codec, BlobKind::Data, id)).collect()
    }

    /// Writes a large file as it is read: its length stands in front of it, so zeros have to stand in for what is lost.
    fn stream(&mut self, codec: &mut Codec, entry: &Entry, lengths: &[u64], size: u64) -> Result<(), Error> {
        tar::header(self.out, &entry.path, entry.node(), size, None).map_err(unwritten)?;
        let mut position = 0;
        for (id, length) in contents(entry.node()).iter().zip(lengths) {
            let blob = self.vault.load_blob(codec, BlobKind::Data, id);
            let written = match blob.as_deref() {
                Ok(blob) if blob.len() as u64 == *length => self.out.write_all(blob),
                other => {
                    let end = position + length;
                    let why = other.err().map(|error| format!(": {error}")).unwrap_or_default();
                    self.lost(
                        &entry.path,
                        &format!("bytes {position} to {end} are lost, and zeros here{why}"),
                    );
                    self.out.write_all(&vec![0; *length as usize])
                }
            };
            written.map_err(unwritten)?;
            position += length;
        }
        Ok(())
    }

    fn lost(&mut self, path: &Path, cause: &str) {
        self.report.not_dumped.push(NotDumped { path: path.to_owned(), cause: cause.to_owned() });
    }
}

fn contents(node: &Node) -> &[Id] {
    node.content.as_deref().unwrap_or_default()
}
