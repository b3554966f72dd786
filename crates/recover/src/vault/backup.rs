use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use schema::SnapshotId;

use super::archive::{Root, Setup};
use super::cache::{self, Folders};
use super::capture::{Captured, capture};
use super::file_kind::FileKind;
use super::id::Id;
use super::lock::Lock;
use super::meta::{self, Names};
use super::progress::{Phase, Progress};
use super::repository::Vault;
use super::request::{BackupReport, BackupRequest, ParentChoice};
use super::roots::{distinct_texts, path_texts};
use super::skeleton::Skeleton;
use super::snapshot::{PROOF_TAG, Snapshot, SnapshotFile, refuse_reserved};
use super::tree::Node;
use super::write::{PACK_WRITERS, Writer};
use crate::Error;

impl Vault {
    /// Captures the roots and seals a snapshot of them.
    ///
    /// What cannot be read or does not hold still is named in the report and the rest goes on. A failure of the vault itself
    /// ends the backup without a snapshot.
    pub fn backup(
        &self,
        request: BackupRequest<'_>,
        progress: &dyn Fn(Progress),
    ) -> Result<BackupReport, Error> {
        refuse_reserved(&request.tags)?;
        let roots = self.roots_with_grafts(&request.roots, &request.grafts)?;
        let lock = self.begin_writing()?;
        let parent = self.choose_parent(&request, path_texts(&roots))?;
        let setup = Setup {
            names: Names::of_this_host(),
            exclude: request.exclude.iter().cloned().collect(),
            filter: request.filter,
            substitutes: &request.substitutes,
            pictures: &request.pictures,
            observer: request.observer,
            vault: fs::metadata(self.dir()).ok().map(|meta| (meta.dev(), meta.ino())),
        };
        let roots: Vec<Root> = roots
            .into_iter()
            .map(|path| Root {
                previous: parent.as_ref().and_then(|p| self.node_at(p, &path)),
                at: request.grafts.get(&path).unwrap_or(&path).clone(),
                path,
            })
            .collect();
        let mut report = BackupReport { parent: parent.map(|p| p.id), ..BackupReport::default() };
        let mut file = snapshot_file(&request);
        file.paths = roots.iter().map(|root| root.path.to_string_lossy().into_owned()).collect();
        file.parent = report.parent.as_ref().and_then(|id| Id::from_hex(&id.0));
        let paths: Vec<PathBuf> = roots.iter().map(|root| root.path.clone()).collect();
        let cache =
            request.cache.as_deref().map(|folder| cache::Place::new(folder, self, &request.hostname, &paths));
        let known = match (&cache, &file.parent) {
            (Some(place), Some(parent)) => place.load(self, parent),
            _ => Folders::default(),
        };
        let mut folders = Folders::default();
        let extra = request.extra;
        let id = self.with_writer(|writer| {
            let Captured { nodes, folders: left } =
                capture(self, writer, &setup, roots, known, &mut report, progress)?;
            folders = left;
            progress(Progress {
                phase: Phase::Seal,
                done: report.files,
                total: Some(report.files),
                bytes: report.bytes,
            });
            report.bytes_added = writer.added();
            let mut skeleton = Skeleton::new(file.time);
            for (path, node) in paths.iter().zip(nodes) {
                if let Some(node) = node {
                    skeleton.insert_root(path, node, &setup.names);
                }
            }
            for (path, content) in extra.map_or_else(|| Ok(Vec::new()), |extra| extra(&report))? {
                skeleton.insert_file(self, Path::new(&path), content)?;
            }
            self.seal_snapshot(&lock, writer, skeleton, file)
        })?;
        report.bytes_added = id.1;
        if let (Some(place), Some(snapshot)) = (cache, Id::from_hex(&id.0.0)) {
            // Without it the next backup takes longer, and nothing else.
            let _ = place.save(self, &snapshot, &folders);
        }
        report.snapshot = Some(id.0);
        Ok(report)
    }

    /// Stores a proof: a snapshot of files that exist in memory only, with the tag `chartward-proof`.
    pub fn store_proof(&self, files: Vec<(String, Vec<u8>)>, time: Timestamp) -> Result<SnapshotId, Error> {
        let lock = self.begin_writing()?;
        let mut request = BackupRequest::new(files.iter().map(|(path, _)| PathBuf::from(path)).collect());
        request.tags = vec![PROOF_TAG.to_owned()];
        request.time = time;
        let file = snapshot_file(&request);
        let (id, _) = self.with_writer(|writer| {
            let mut skeleton = Skeleton::new(time);
            for (path, content) in files {
                skeleton.insert_file(self, Path::new(&path), content)?;
            }
            self.seal_snapshot(&lock, writer, skeleton, file)
        })?;
        Ok(id)
    }

    /// Takes a lock, tidies up after backups that died if nobody else is here, and reads the index as it is now.
    pub(crate) fn begin_writing(&self) -> Result<Lock, Error> {
        let lock = Lock::take(&self.backend, &self.codecs)?;
        self.load_index()?;
        if lock.alone {
            self.backend.remove_temporary_files()?;
        }
        // Packs of a backup that was killed are as good as any; so are those of one that is still running. Those that a prune is to remove
        // are not.
        self.read_headers_except(&self.marked_packs()?)?;
        self.freeze_index();
        Ok(lock)
    }

    pub(crate) fn with_writer<T>(
        &self,
        work: impl FnOnce(&Writer<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let writer = Writer::new(self);
        std::thread::scope(|scope| {
            for _ in 0..PACK_WRITERS {
                scope.spawn(|| writer.write_packs());
            }
            let result = work(&writer);
            writer.close();
            result
        })
    }

    pub(crate) fn seal_snapshot(
        &self,
        lock: &Lock,
        writer: &Writer<'_>,
        skeleton: Skeleton,
        mut file: SnapshotFile,
    ) -> Result<(SnapshotId, u64), Error> {
        let mut codec = self.codecs.take()?;
        let sealed = skeleton.store(writer, &mut codec).and_then(|tree| writer.seal().map(|()| tree));
        self.codecs.give_back(codec);
        let Ok(tree) = sealed else { return Err(writer.failure()) };
        let again = self.make_up_for_lost(lock, tree)?;
        file.tree = tree;
        let (id, bytes) = self.save_sealed(FileKind::Snapshot, &file)?;
        // A prune that begins from here on sees the snapshot; one that came since the last look did not.
        if let Err(error) = self.make_up_for_lost(again.as_ref().unwrap_or(lock), tree) {
            self.backend.remove(FileKind::Snapshot, &id)?;
            return Err(error);
        }
        // Before anybody relies on it, it is read as it lies there: shares are known to lose what they confirmed.
        if Id::of(&self.backend.read(FileKind::Snapshot, &id)?) != id {
            let cause = "it reads as something else than was written".to_owned();
            return Err(Error::Damaged { what: "snapshot", id: id.to_string(), cause });
        }
        Ok((SnapshotId(id.to_string()), writer.added() + bytes))
    }

    /// Whoever thought that nobody is here may have pruned meanwhile. Then a lock is taken anew, and the snapshot is written only if all that
    /// it needs is there.
    fn make_up_for_lost(&self, lock: &Lock, tree: Id) -> Result<Option<Lock>, Error> {
        if lock.ensure_held().is_ok() {
            return Ok(None);
        }
        let again = Lock::take(&self.backend, &self.codecs)?;
        self.load_index()?;
        self.read_headers()?;
        self.ensure_restorable(tree)?;
        Ok(Some(again))
    }

    fn choose_parent(
        &self,
        request: &BackupRequest<'_>,
        roots: Vec<String>,
    ) -> Result<Option<Snapshot>, Error> {
        match &request.parent {
            ParentChoice::ReadEverything => Ok(None),
            ParentChoice::Snapshot(id) => self.find(&id.0).map(Some),
            ParentChoice::Newest => {
                let wanted = distinct_texts(roots);
                let same = |snapshot: &Snapshot| {
                    snapshot.hostname == request.hostname && snapshot.paths == wanted && !snapshot.is_proof()
                };
                Ok(self.snapshots()?.0.into_iter().rev().find(same))
            }
        }
    }

    /// What a snapshot has at a path; nothing if the way there is damaged, since it only saves reading.
    fn node_at(&self, snapshot: &Snapshot, path: &Path) -> Option<Node> {
        let mut codec = self.codecs.take().ok()?;
        let mut tree = snapshot.tree;
        let mut found = None;
        for component in path.components() {
            let Component::Normal(name) = component else { continue };
            let nodes = self.load_tree(&mut codec, &tree).ok()?;
            let node = nodes.into_iter().find(|node| node.name == name.as_bytes())?;
            tree = node.subtree.unwrap_or(tree);
            found = Some(node);
        }
        self.codecs.give_back(codec);
        // The root itself has no node of its own.
        found.or_else(|| Some(Node { subtree: Some(tree), ..Node::new(b"/", super::Kind::Dir) }))
    }
}

pub(crate) fn snapshot_file(request: &BackupRequest<'_>) -> SnapshotFile {
    let (uid, gid) = meta::own_ids();
    SnapshotFile {
        time: request.time,
        parent: None,
        tree: Id([0; 32]),
        paths: path_texts(&request.roots),
        hostname: request.hostname.clone(),
        username: meta::username(),
        uid,
        gid,
        excludes: path_texts(&request.exclude).into_iter().chain(request.filter.texts()).collect(),
        tags: (!request.tags.is_empty()).then(|| request.tags.clone()),
        program_version: Some(concat!("chartward ", env!("CARGO_PKG_VERSION")).to_owned()),
    }
}
