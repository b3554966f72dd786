//! A stream stored as one file: the output of a dump that never touches a disk in the clear.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;

use super::backup::snapshot_file;
use super::chunker::Scan;
use super::id::{BlobKind, Id};
use super::meta;
use super::progress::{Phase, Progress};
use super::repository::Vault;
use super::request::{BackupReport, BackupRequest, Extra};
use super::skeleton::Skeleton;
use super::snapshot::refuse_reserved;
use super::tree::{Kind, Node};
use super::write::{Stopped, Writer};
use crate::Error;

const BLOCK: u64 = 1 << 20;
/// Chunks that wait for a thread.
const QUEUE: usize = 4;

/// A stream, and how it is called in the snapshot.
pub struct StreamRequest<'a> {
    /// Absolute path of the file that it becomes.
    pub path: PathBuf,
    /// Labels.
    pub tags: Vec<String>,
    /// The host that it comes from.
    pub hostname: String,
    /// The moment to note in the snapshot.
    pub time: Timestamp,
    /// What else goes in.
    pub extra: Option<Extra<'a>>,
}

impl Vault {
    /// Stores what `input` gives until its end, and seals a snapshot of it if `whole` then says that this was all of it.
    ///
    /// Whatever fails, there is no snapshot: half a dump must never pass for one.
    pub fn backup_stream(
        &self,
        request: StreamRequest<'_>,
        input: &mut dyn Read,
        whole: impl FnOnce() -> Result<(), Error>,
        progress: &dyn Fn(Progress),
    ) -> Result<BackupReport, Error> {
        refuse_reserved(&request.tags)?;
        let lock = self.begin_writing()?;
        let file = snapshot_file(&BackupRequest {
            tags: request.tags,
            hostname: request.hostname,
            time: request.time,
            ..BackupRequest::new(vec![request.path.clone()])
        });
        let mut report = BackupReport::default();
        let (id, added) = self.with_writer(|writer| {
            let (content, size) = self.store_stream(writer, input, progress)?;
            whole()?;
            report = BackupReport {
                files: 1,
                files_new: 1,
                bytes: size,
                bytes_read: size,
                bytes_added: writer.added(),
                ..BackupReport::default()
            };
            let mut skeleton = Skeleton::new(request.time);
            skeleton.insert_node(self, &request.path, stream_node(request.time, content, size))?;
            for (path, content) in request.extra.map_or_else(|| Ok(Vec::new()), |extra| extra(&report))? {
                skeleton.insert_file(self, path.as_ref(), content)?;
            }
            self.seal_snapshot(&lock, writer, skeleton, file)
        })?;
        report.bytes_added = added;
        report.snapshot = Some(id);
        Ok(report)
    }

    /// Cuts a stream into chunks here and stores them with other threads.
    fn store_stream(
        &self,
        writer: &Writer<'_>,
        input: &mut dyn Read,
        progress: &dyn Fn(Progress),
    ) -> Result<(Vec<Id>, u64), Error> {
        let ids: Mutex<Vec<Option<Id>>> = Mutex::default();
        let (chunks, queue) = bounded(QUEUE);
        let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8));
        let size = std::thread::scope(|scope| {
            for _ in 0..threads {
                let (queue, ids) = (queue.clone(), &ids);
                scope.spawn(move || self.store_chunks(writer, &queue, ids));
            }
            drop(queue);
            self.cut_stream(input, &chunks, progress).inspect(|_| drop(chunks))
        });
        let stopped = || writer.failure();
        let size = size?.ok_or_else(stopped)?;
        let ids = ids.into_inner().unwrap_or_else(PoisonError::into_inner);
        let content: Option<Vec<Id>> = ids.into_iter().collect();
        let content = content.ok_or_else(stopped)?;
        Ok((content, size))
    }

    fn store_chunks(
        &self,
        writer: &Writer<'_>,
        queue: &Receiver<(usize, Vec<u8>)>,
        ids: &Mutex<Vec<Option<Id>>>,
    ) {
        let mut codec = match self.codecs.take() {
            Ok(codec) => codec,
            Err(error) => {
                let Stopped = writer.fail(error);
                return;
            }
        };
        for (position, chunk) in queue {
            let Ok(id) = writer.save(&mut codec, BlobKind::Data, &chunk) else { return };
            let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            if ids.len() <= position {
                ids.resize(position + 1, None);
            }
            ids[position] = Some(id);
        }
        self.codecs.give_back(codec);
    }

    /// The length of the stream, or nothing when the threads that store it have stopped.
    fn cut_stream(
        &self,
        input: &mut dyn Read,
        chunks: &Sender<(usize, Vec<u8>)>,
        progress: &dyn Fn(Progress),
    ) -> Result<Option<u64>, Error> {
        let mut pending = Vec::new();
        let mut scan = Scan::default();
        let mut size = 0;
        let mut position = 0;
        let mut hand_out = |chunk: Vec<u8>| {
            position += 1;
            chunks.send((position - 1, chunk)).is_ok()
        };
        loop {
            let read = input.take(BLOCK).read_to_end(&mut pending);
            let read = read.map_err(|source| Error::Stream { source })? as u64;
            if read == 0 {
                break;
            }
            size += read;
            progress(Progress { phase: Phase::Capture, done: 0, total: None, bytes: size });
            while let Some(cut) = self.chunker.cut(&mut scan, &pending) {
                let rest = pending.split_off(cut);
                scan = Scan::default();
                if !hand_out(std::mem::replace(&mut pending, rest)) {
                    return Ok(None);
                }
            }
        }
        let is_handed_out = pending.is_empty() || hand_out(pending);
        Ok(is_handed_out.then_some(size))
    }
}

fn stream_node(time: Timestamp, content: Vec<Id>, size: u64) -> Node {
    let mut node = Node::new(b"", Kind::File);
    // It is somebody's data: for its owner alone wherever it is restored.
    node.mode = 0o600;
    (node.mtime, node.atime, node.ctime) = (time, time, time);
    (node.uid, node.gid) = meta::own_ids();
    node.links = 1;
    node.size = size;
    node.content = Some(content);
    node
}
