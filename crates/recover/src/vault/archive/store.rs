//! Storing files, and the directories that they complete.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rustix::fs::{Mode, OFlags, Stat};

use super::super::cache::Known;
use super::super::codec::Codec;
use super::super::id::{BlobKind, Id};
use super::super::request::FileSeen;
use super::super::tree::{self, Kind, Node};
use super::super::work::{Dir, FilesJob};
use super::super::write::Stopped;
use super::super::{chunker, meta, open_at};
use super::source::{Captured, Failure};
use super::{Archive, Worker, bump};

impl Archive<'_> {
    pub(super) fn store_files(&self, worker: &mut Worker, job: FilesJob) -> Result<(), Stopped> {
        for (slot, name, stat) in job.files {
            let path = job.base.join(OsStr::from_bytes(&name));
            let opened = match self.setup.substitutes.get(&path) {
                Some(copy) => rustix::fs::open(copy, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(io::Error::from),
                None => open_at::file(job.fd.as_fd(), &name),
            };
            let node = match opened
                .map_err(Failure::from)
                .and_then(|fd| self.capture_file(worker, job.fd.as_fd(), fd))
            {
                Ok(captured) => {
                    if !captured.stable {
                        job.dir.spoil();
                    }
                    if let Some(observer) = self.setup.observer
                        && captured.size <= chunker::MIN as u64
                    {
                        (observer.content)(&path, &worker.buffer[..captured.size as usize]);
                    }
                    Some(self.file_node(&name, path, &stat, captured))
                }
                Err(Failure::Source(error)) => {
                    self.report_failure(&path, &error);
                    None
                }
                Err(Failure::Vault(stopped)) => return Err(stopped),
            };
            self.deliver(&mut worker.codec, &job.dir, slot, node)?;
        }
        Ok(())
    }

    fn file_node(&self, name: &[u8], path: PathBuf, listed: &Stat, captured: Captured) -> Node {
        // Of a substitute only the content counts; owner, mode and times are those of the file it stands for.
        let is_substitute = self.setup.substitutes.contains_key(&path);
        let stat = if is_substitute { *listed } else { self.setup.as_shown(captured.stat) };
        let mut node = meta::node(name, &stat, &self.setup.names);
        node.ctime = self.setup.remembered_ctime(node.ctime);
        node.size = captured.size;
        node.content = Some(captured.content);
        node.extended_attributes = self.attributes(&path, captured.attributes);
        bump(&self.counts.files_bytes, node.size);
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if captured.is_copy {
            findings.copied.insert(path.clone());
        }
        if !captured.stable {
            findings.unstable.insert(path);
        } else if self.is_last {
            findings.read.insert(path);
        }
        node
    }

    /// Puts an entry in its place, and finishes the directories that this completes.
    pub(super) fn deliver(
        &self,
        codec: &mut Codec,
        dir: &Arc<Dir>,
        slot: usize,
        node: Option<Node>,
    ) -> Result<(), Stopped> {
        if dir.put(slot, node) { self.finish_dir(codec, Arc::clone(dir)) } else { Ok(()) }
    }

    /// Tells the observer what regular files a folder holds.
    pub(crate) fn tell_files<'n>(&self, folder: &Path, nodes: impl Iterator<Item = &'n Node>) {
        let Some(observer) = self.setup.observer else { return };
        let seen: Vec<FileSeen<'_>> = nodes
            .filter(|node| node.kind == Kind::File)
            .map(|node| FileSeen { name: OsStr::from_bytes(&node.name), size: node.size, mtime: node.mtime })
            .collect();
        if !seen.is_empty() {
            (observer.folder)(folder, &seen);
        }
    }

    pub(super) fn finish_dir(&self, codec: &mut Codec, mut dir: Arc<Dir>) -> Result<(), Stopped> {
        while let Some((parent, slot)) = &dir.parent {
            let nodes = dir.take_nodes();
            self.tell_files(&dir.path, nodes.iter());
            let tree = match dir.previous() {
                Some((id, before))
                    if *before == nodes && self.vault.index().has_whole(BlobKind::Tree, id) =>
                {
                    *id
                }
                _ => self.writer.save(codec, BlobKind::Tree, &tree::write(&nodes))?,
            };
            self.remember(&dir, nodes.len(), tree);
            let mut node = dir.node.clone();
            node.subtree = Some(tree);
            if !parent.put(*slot, Some(node)) {
                return Ok(());
            }
            dir = Arc::clone(parent);
        }
        self.work.end();
        Ok(())
    }

    /// Lets the next pass, and the next backup, take a directory over as a whole if all its entries are stored as they were listed.
    fn remember(&self, dir: &Dir, stored: usize, tree: Id) {
        if let Some(print) = dir.print
            && stored == dir.entries
            && !dir.is_spoiled()
        {
            let known = Known { print, tree };
            self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert(&dir.path, known);
        }
    }
}
