use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::backend::Backend;
use super::chunker::{Chunker, Polynomial};
use super::codec::{Codec, Codecs};
use super::crypto::{Key, KeyBytes, random};
use super::disk::Disk;
use super::file_kind::FileKind;
use super::id::{BlobKind, Id};
use super::index::{Index, IndexFile, IndexedPack, Location, Pack};
use super::key::{self, KeyCost};
use super::password::Password;
use super::rest::VaultAt;
use super::tree::{self, Node};
use super::{meta, pack};
use crate::Error;

/// Largest key file that is tried; restic's has about 450 bytes.
const KEY_FILE_MAX: usize = 64 << 10;

/// An open repository.
pub struct Vault {
    pub(crate) backend: Arc<Backend>,
    pub(crate) codecs: Arc<Codecs>,
    pub(crate) key: Key,
    pub(crate) chunker: Chunker,
    id: String,
    version: u64,
    pub(crate) index: RwLock<Index>,
    notes: Mutex<Vec<String>>,
    headers: Mutex<Headers>,
    /// Index files that `index` was made from, if all of them could be read and nothing else was added.
    indexed: Mutex<Option<BTreeSet<Id>>>,
    /// Packs that no index lists; the next backup puts them into its own.
    pub(crate) unindexed: Mutex<Vec<IndexedPack>>,
    opened_in: Duration,
    /// The key file that the passphrase opened.
    pub(crate) opened_with: Option<Id>,
}

/// Which packs' own headers have been read since the index was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Headers {
    #[default]
    None,
    /// Of packs that no index lists, or that it lists with another length than they have.
    Doubtful,
    /// Of all.
    All,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Config {
    version: u64,
    id: String,
    chunker_polynomial: String,
}

impl Vault {
    /// Creates a repository in a folder that is missing or empty, or on a server.
    pub fn init(at: impl Into<VaultAt>, password: &Password) -> Result<Vault, Error> {
        Vault::init_with_cost(at, password, KeyCost::RESTIC)
    }

    /// As [`Vault::init`], with another cost of trying a passphrase.
    pub fn init_with_cost(
        at: impl Into<VaultAt>,
        password: &Password,
        cost: KeyCost,
    ) -> Result<Vault, Error> {
        Vault::create(Backend::new(&at.into())?, password, cost)
    }

    /// As [`Vault::init_with_cost`], with something between the vault and the file system.
    pub fn init_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        password: &Password,
        cost: KeyCost,
    ) -> Result<Vault, Error> {
        Vault::create(Backend::on(dir, disk), password, cost)
    }

    fn create(backend: Backend, password: &Password, cost: KeyCost) -> Result<Vault, Error> {
        if backend.probe().is_ok() {
            return Err(Error::NotEmpty { dir: backend.dir().to_owned() });
        }
        backend.create_layout()?;
        let (key, key_file) = key::create(password, cost, &meta::hostname(), &meta::username())?;
        let opened_with = backend.save(FileKind::Key, &key_file)?;
        let mut id = [0; 32];
        random(&mut id)?;
        let polynomial = Polynomial::draw()?;
        let config =
            Config { version: 2, id: hex::encode(id), chunker_polynomial: format!("{:x}", polynomial.0) };
        let text =
            serde_json::to_vec(&config).map_err(|e| Error::Engine { op: "serialise", source: e.into() })?;
        let mut sealed = Vec::new();
        key.seal(&text, &mut sealed)?;
        // Last: a folder with a config is a repository.
        backend.save_config(&sealed)?;
        let mut vault = Vault::assemble(backend, key, config, polynomial);
        vault.opened_with = Some(opened_with);
        Ok(vault)
    }

    /// Opens a repository. A lost or damaged index is made up for from the packs' headers; [`Vault::notes`] tells.
    pub fn open(at: impl Into<VaultAt>, password: &Password) -> Result<Vault, Error> {
        Vault::enter(Instant::now(), Backend::new(&at.into())?, password)
    }

    /// As [`Vault::open`], with something between the vault and the file system.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, password: &Password) -> Result<Vault, Error> {
        Vault::enter(Instant::now(), Backend::on(dir, disk), password)
    }

    fn enter(started: Instant, backend: Backend, password: &Password) -> Result<Vault, Error> {
        backend.probe()?;
        let (id, bytes) = find_key(&backend, password)?;
        let key = Key::new(&bytes);
        let (config, polynomial) = read_config(&backend, &key)?;
        let mut vault = Vault::assemble(backend, key, config, polynomial);
        vault.opened_with = Some(id);
        vault.load_index()?;
        vault.opened_in = started.elapsed();
        Ok(vault)
    }

    /// A copy of this repository elsewhere, opened with the same key; its index is not read yet.
    pub(crate) fn beside(&self, backend: Backend) -> Result<Vault, Error> {
        backend.probe()?;
        let other = || Error::OtherVault { dir: backend.dir().to_owned() };
        let (config, polynomial) = match read_config(&backend, &self.key) {
            Err(Error::Damaged { .. }) => return Err(other()),
            read => read?,
        };
        if config.id != self.id {
            return Err(other());
        }
        Ok(Vault::assemble(backend, self.key.clone(), config, polynomial))
    }

    /// Whether there is a repository, looked at without a passphrase: [`Error::MediumAbsent`],
    /// [`Error::NoRepository`] or [`Error::ConfigLost`] if not.
    pub fn probe(at: impl Into<VaultAt>) -> Result<(), Error> {
        Backend::new(&at.into())?.probe()
    }

    /// How many packs that the index lists are missing, or have another length than they should.
    pub fn damaged_packs(&self) -> u64 {
        self.index().packs().iter().filter(|pack| !pack.is_whole()).count() as u64
    }

    /// Bytes that its packs take up on the medium.
    pub fn pack_bytes(&self) -> u64 {
        self.index().packs().iter().filter_map(|pack| pack.size).sum()
    }

    /// The repository's id, as its config has it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How long opening it took: whoever is to read a chart waits for that, too.
    pub fn opened_in(&self) -> Duration {
        self.opened_in
    }

    /// The folder, or the server's address as `rest:https://…`.
    pub fn dir(&self) -> &Path {
        self.backend.dir()
    }

    /// What was found wrong with the repository while it was used, and made up for.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seals a text with the repository's key.
    pub(crate) fn seal(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let mut sealed = Vec::new();
        self.key.seal(text, &mut sealed)?;
        Ok(sealed)
    }

    /// What [`Vault::seal`] sealed; `None` if it was not this repository's key, or a single bit differs.
    pub(crate) fn unseal(&self, sealed: &mut [u8]) -> Option<Vec<u8>> {
        self.key.open(sealed).map(|text| text.to_vec())
    }

    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        // Enough to see what is wrong; a check names everything.
        if notes.len() < 1000 && !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// Whether the format version allows compression.
    pub(crate) fn compresses(&self) -> bool {
        self.version >= 2
    }

    fn assemble(backend: Backend, key: Key, config: Config, polynomial: Polynomial) -> Vault {
        Vault {
            backend: Arc::new(backend),
            codecs: Arc::new(Codecs::new(key.clone())),
            key,
            chunker: Chunker::new(polynomial),
            id: config.id,
            version: config.version,
            index: RwLock::default(),
            notes: Mutex::default(),
            headers: Mutex::default(),
            indexed: Mutex::default(),
            unindexed: Mutex::default(),
            opened_in: Duration::ZERO,
            opened_with: None,
        }
    }

    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The opened text of a snapshot or an index.
    pub(crate) fn load_file(&self, kind: FileKind, what: &'static str, id: &Id) -> Result<Vec<u8>, Error> {
        let damaged = |cause: &str| Error::Damaged { what, id: id.to_string(), cause: cause.to_owned() };
        let mut sealed = self.backend.read(kind, id)?;
        if Id::of(&sealed) != *id {
            return Err(damaged("its content does not match its name"));
        }
        let codec = self.codecs.take()?;
        let text = codec.open_file(&mut sealed).map_err(damaged);
        self.codecs.give_back(codec);
        text
    }

    /// Seals a value as a file of its own; returns its name and its length.
    pub(crate) fn save_sealed<T: Serialize>(&self, kind: FileKind, value: &T) -> Result<(Id, u64), Error> {
        let text =
            serde_json::to_vec(value).map_err(|e| Error::Engine { op: "serialise", source: e.into() })?;
        let mut codec = self.codecs.take()?;
        let sealed = codec.seal_file(&text, self.compresses())?;
        self.codecs.give_back(codec);
        self.backend.save(kind, &sealed).map(|id| (id, sealed.len() as u64))
    }

    /// Reads the index as it is now; files that were read before are not read again, unless one of them is gone.
    pub(crate) fn load_index(&self) -> Result<(), Error> {
        let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut indexed = self.indexed.lock().unwrap_or_else(PoisonError::into_inner);
        // In this order: a backup that runs meanwhile writes its packs before the index that names them.
        let files: BTreeSet<Id> = self.backend.list(FileKind::Index)?.into_iter().map(|(id, _)| id).collect();
        let sizes = self.backend.list(FileKind::Pack)?;
        let size_of = |id: &Id| sizes.binary_search_by_key(id, |(id, _)| *id).ok().map(|at| sizes[at].1);
        *headers = Headers::None;
        self.unindexed.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let known = indexed.take().filter(|known| known.is_subset(&files)).unwrap_or_default();
        let mut index =
            if known.is_empty() { Index::default() } else { std::mem::take(&mut *self.index_mut()) };
        index.set_sizes(size_of);
        let mut whole = !files.is_empty();
        for id in files.difference(&known) {
            match self.load_index_file(id) {
                Ok(file) => {
                    for pack in &file.packs {
                        index.add(pack.id, &pack.entries(), size_of(&pack.id));
                    }
                }
                Err(error) => {
                    whole = false;
                    self.note(format!("{error}; the packs' headers are read instead"));
                }
            }
        }
        if index.contradictions() > 0 {
            self.note(format!(
                "index files contradict each other about packs ({} times): some are forged or damaged; every place that any of them names is tried",
                index.contradictions()
            ));
        }
        *self.index_mut() = index;
        drop(headers);
        if whole {
            *indexed = Some(files);
        } else if !sizes.is_empty() {
            drop(indexed);
            if files.is_empty() {
                self.note("the index is lost; the packs' headers are read instead".to_owned());
            }
            self.read_headers()?;
        }
        Ok(())
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn load_index_file(&self, id: &Id) -> Result<IndexFile, Error> {
        let text = self.load_file(FileKind::Index, "index", id)?;
        serde_json::from_slice(&text).map_err(|e| Error::Damaged {
            what: "index",
            id: id.to_string(),
            cause: e.to_string(),
        })
    }

    /// Adds the packs that no index lists as they are, from their headers; once. Returns how many.
    pub(crate) fn read_headers(&self) -> Result<usize, Error> {
        self.read_headers_of(Headers::Doubtful, &HashSet::new())
    }

    /// As [`Vault::read_headers`], without packs that are to be removed: nothing new must come to need them.
    pub(crate) fn read_headers_except(&self, left_out: &HashSet<Id>) -> Result<usize, Error> {
        self.read_headers_of(Headers::Doubtful, left_out)
    }

    /// Lets no more packs come into the index but those that this process writes: a snapshot in the making must not come to need
    /// what somebody has taken out of the index on purpose.
    pub(crate) fn freeze_index(&self) {
        *self.headers.lock().unwrap_or_else(PoisonError::into_inner) = Headers::All;
    }

    fn read_headers_of(&self, wanted: Headers, left_out: &HashSet<Id>) -> Result<usize, Error> {
        let mut done = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
        if *done >= wanted {
            return Ok(0);
        }
        *done = wanted;
        let doubtful: Vec<(Id, u64)> = {
            let index = self.index();
            let is_doubtful =
                |id: &Id| wanted == Headers::All || !index.pack_named(id).is_some_and(Pack::is_whole);
            let packs = self.backend.list(FileKind::Pack)?.into_iter();
            packs.filter(|(id, _)| is_doubtful(id) && !left_out.contains(id)).collect()
        };
        let mut added = Vec::new();
        let codec = self.codecs.take()?;
        for (id, size) in doubtful {
            match self.backend.open_pack(&id).and_then(|file| pack::read_header(&codec, &id, &file)) {
                Ok(entries) => {
                    let mut index = self.index_mut();
                    let is_listed = index.knows_pack(&id);
                    if index.add(id, &entries, Some(size)) {
                        added.push(IndexedPack::new(id, &entries));
                        if is_listed {
                            drop(index);
                            self.note(format!(
                                "the index lists other blobs in pack {id} than the pack itself"
                            ));
                        }
                    }
                }
                Err(error) if !self.index().knows_pack(&id) => {
                    self.note(format!("a pack that no index lists cannot be used: {error}"));
                }
                // What is wrong with it shows where it is needed.
                Err(_) => {}
            }
        }
        self.codecs.give_back(codec);
        let count = added.len();
        if count > 0 {
            // What is in memory is more than the index files say.
            *self.indexed.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        self.unindexed.lock().unwrap_or_else(PoisonError::into_inner).extend(added);
        Ok(count)
    }

    /// All places of a blob. If the index has none, packs that it does not list are searched, then all: an index can lie.
    pub(crate) fn locate(&self, kind: BlobKind, id: &Id) -> Result<Vec<Location>, Error> {
        for wanted in [Headers::Doubtful, Headers::All] {
            let found = self.index().locations(kind, id);
            if !found.is_empty() {
                return Ok(found);
            }
            if self.read_headers_of(wanted, &HashSet::new())? > 0 {
                self.note(
                    "the index does not list all that the packs hold; their headers are read as well"
                        .to_owned(),
                );
            }
        }
        Ok(self.index().locations(kind, id))
    }

    /// The content of a blob, from the first of its places that is undamaged.
    pub(crate) fn load_blob(&self, codec: &mut Codec, kind: BlobKind, id: &Id) -> Result<Vec<u8>, Error> {
        let mut failure = Error::Missing { what: kind.name(), id: id.to_string() };
        let (mut buffer, mut opened) = (Vec::new(), Vec::new());
        for (tried, location) in self.locate(kind, id)?.into_iter().enumerate() {
            let pack = self.index().pack(location.pack).id;
            let read = self.backend.open_pack(&pack).and_then(|file| {
                file.read_at(u64::from(location.offset), location.length as usize, &mut buffer)
            });
            match read {
                Ok(()) => match codec.open_blob(kind, id, &mut buffer, location.uncompressed, &mut opened) {
                    Ok(content) => {
                        if tried > 0 {
                            self.note(format!(
                                "{failure}; it was read from another place that the index names"
                            ));
                        }
                        if location.uncompressed.is_none() {
                            return Ok(content.to_vec());
                        }
                        return Ok(opened);
                    }
                    Err(cause) => {
                        failure = Error::Damaged {
                            what: kind.name(),
                            id: id.to_string(),
                            cause: format!("{cause} (pack {pack})"),
                        };
                    }
                },
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The entries of a directory, ordered by name.
    pub(crate) fn load_tree(&self, codec: &mut Codec, id: &Id) -> Result<Vec<Node>, Error> {
        let bytes = self.load_blob(codec, BlobKind::Tree, id)?;
        tree::parse(&bytes).map_err(|cause| Error::Damaged { what: "tree", id: id.to_string(), cause })
    }
}

/// The first key file that opens with a passphrase, and what it holds. Cheap ones are tried first: whoever can add key files, and cannot
/// know the passphrase, must not keep those out who do by files that take minutes each.
pub(crate) fn find_key(backend: &Backend, password: &Password) -> Result<(Id, KeyBytes), Error> {
    let mut failure = None;
    let mut files = Vec::new();
    for (id, _) in backend.list(FileKind::Key)? {
        match backend.read(FileKind::Key, &id) {
            Ok(text) if text.len() > KEY_FILE_MAX => {
                let (what, size) = (format!("the key {id}"), text.len() as u64);
                failure = Some(Error::TooLarge { what, size, limit: KEY_FILE_MAX as u64 });
            }
            Ok(text) => files.push((key::work(&id, &text), id, text)),
            Err(error) => failure = Some(error),
        }
    }
    if files.is_empty() && failure.is_none() {
        return Err(Error::Missing { what: "key", id: "file of any name".to_owned() });
    }
    files.sort();
    for (_, id, text) in files {
        match key::open(&id, &text, password) {
            Ok(Some(key)) => return Ok((id, key)),
            Ok(None) => {}
            Err(error) => failure = Some(error),
        }
    }
    // A damaged key file may be the one that this passphrase opens, so that is what the operator has to know.
    Err(failure.unwrap_or_else(|| Error::WrongPassphrase { dir: backend.dir().to_owned() }))
}

fn read_config(backend: &Backend, key: &Key) -> Result<(Config, Polynomial), Error> {
    let damaged =
        |cause: &str| Error::Damaged { what: "config", id: "file".to_owned(), cause: cause.to_owned() };
    let mut sealed = backend.read_config()?;
    let text = key.open(&mut sealed).ok_or_else(|| damaged("its authentication fails"))?;
    let (config, polynomial) = parse_config(text).map_err(|cause| damaged(&cause))?;
    if !matches!(config.version, 1 | 2) {
        return Err(Error::UnsupportedVersion { dir: backend.dir().to_owned(), version: config.version });
    }
    let polynomial = polynomial.ok_or_else(|| damaged("its chunker polynomial cannot be used"))?;
    Ok((config, polynomial))
}

/// An opened config, and its polynomial if one can chunk with it.
pub(crate) fn parse_config(text: &[u8]) -> Result<(Config, Option<Polynomial>), String> {
    let config: Config = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    let polynomial = u64::from_str_radix(&config.chunker_polynomial, 16).ok().map(Polynomial);
    Ok((config, polynomial.filter(|polynomial| polynomial.is_usable())))
}
