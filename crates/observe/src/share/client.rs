//! The connection to one share, with a bound on every request.

use std::future::Future;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use decode::content::{Chunk, Sample};
use smb2::client::{Connection, Tree};
use smb2::{ClientConfig, ErrorKind, ListOptions, SmbClient};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::shadow::{self, Shadow};
use super::{Account, ShareName};
use crate::Error;

/// What one request may take; a server that answers slower than this is as good as silent.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(20);
/// Requests in flight.
const PARALLEL: usize = 16;
/// Names longer than NTFS allows are not followed: 255 units of UTF-16 are at most this many bytes.
pub(super) const NAME_BYTES_MAX: usize = 3 * 255;

/// Sampled bytes at each of up to three places.
pub(super) const PIECE: u64 = 4096;

/// A signed-in connection to one share.
pub struct Client {
    runtime: Runtime,
    name: ShareName,
    address: Option<IpAddr>,
    // Held for the session's life.
    _session: SmbClient,
    pub(super) tree: Arc<Tree>,
    pub(super) connection: Connection,
}

/// What a listing says of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_folder: bool,
    pub(super) stamp: Stamp,
    /// The same for two ways to one folder: its number on the volume and when it was made.
    pub(super) identity: Option<(u64, u64)>,
}

/// What tells one state of a file from the next, in the server's own time, so that its clock does not matter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    /// 100 ns since 1601.
    pub(super) modified: u64,
    /// The same for metadata: an encryptor that puts the modification time back cannot put this one back.
    pub(super) changed: u64,
}

/// One folder's listing.
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) entries: Result<Vec<Entry>, Trouble>,
    /// Entries with names that no Windows server can have, or more entries than the bound.
    pub(super) left_out: u64,
}

/// A file's sample and the state it was read in.
pub(super) type Read = Result<(Sample, Stamp), Trouble>;

/// Why a request came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is not there.
    Gone,
    /// The server refuses, another program holds it, or the answer makes no sense.
    Refused,
    /// The answer does not come in time: one such place must not hide the others.
    Slow,
    /// The connection is lost.
    Silent,
}

impl Trouble {
    fn of(error: &smb2::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => Trouble::Gone,
            ErrorKind::TimedOut => Trouble::Slow,
            ErrorKind::ConnectionLost | ErrorKind::SessionExpired => Trouble::Silent,
            _ => Trouble::Refused,
        }
    }
}

impl Client {
    /// Connects, signs in and opens the share.
    pub fn connect(name: &ShareName, port: u16, account: &Account) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::ShareRuntime)?;
        let host = name.server.as_str();
        let addr = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let address = addr.to_socket_addrs().ok().and_then(|mut found| found.next()).map(|found| found.ip());
        let config = ClientConfig {
            addr,
            timeout: REQUEST_MAX,
            username: account.username.clone(),
            password: account.password.clone(),
            domain: account.domain.clone(),
            // A referral would sign in elsewhere with this account and could lead in circles.
            dfs_enabled: false,
            // Decompression is one more parser that a hostile server could feed.
            compression: false,
            response_timeout: Some(REQUEST_MAX),
            ..ClientConfig::default()
        };
        let failed = |source| Error::ShareConnect { share: name.to_string(), source };
        let (session, tree, connection) = runtime
            .block_on(within(REQUEST_MAX * 2, async {
                let mut session = SmbClient::connect(config).await?;
                let tree = session.connect_share(&name.share).await?;
                let connection = session.connection_for(&tree)?;
                Ok((session, Arc::new(tree), connection))
            }))
            .unwrap_or(Err(smb2::Error::Timeout))
            .map_err(failed)?;
        let address = address.map(|address| address.to_canonical());
        Ok(Self { runtime, name: name.clone(), address, _session: session, tree, connection })
    }

    /// `//server/share`.
    pub fn name(&self) -> &ShareName {
        &self.name
    }

    /// The server's address, as its name was resolved.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    pub(super) fn error(&self, operation: &'static str, source: smb2::Error) -> Error {
        Error::ShareAccess { operation, share: self.name.to_string(), source }
    }

    /// Runs a request to its end or to the bound.
    pub(super) fn run<T>(
        &self,
        operation: &'static str,
        bound: Duration,
        request: impl Future<Output = smb2::Result<T>>,
    ) -> Result<T, Error> {
        let slow = || Error::ShareSlow { operation, share: self.name.to_string(), seconds: bound.as_secs() };
        let answer = self.runtime.block_on(within(bound, request)).ok_or_else(slow)?;
        answer.map_err(|source| self.error(operation, source))
    }

    /// Does the same for many things at once, in any order, until `deadline`; the rest is handed back.
    pub(super) fn many<J, R, F>(
        &self,
        jobs: &mut dyn FnMut() -> Option<J>,
        start: impl Fn(Arc<Tree>, Connection, J) -> F,
        take: &mut dyn FnMut(R) -> Vec<J>,
        deadline: Instant,
    ) -> Vec<J>
    where
        F: Future<Output = R> + Send + 'static,
        R: Send + 'static,
    {
        self.runtime.block_on(async {
            let mut running = JoinSet::new();
            let mut waiting: Vec<J> = Vec::new();
            loop {
                while running.len() < PARALLEL && Instant::now() < deadline {
                    let Some(job) = waiting.pop().or_else(&mut *jobs) else { break };
                    running.spawn(start(Arc::clone(&self.tree), self.connection.clone(), job));
                }
                match running.join_next().await {
                    Some(Ok(result)) => waiting.extend(take(result)),
                    Some(Err(_)) => {}
                    None => return waiting,
                }
            }
        })
    }

    /// Lists folders and what `take` asks for next, until nothing is left or `deadline`; what was not listed is handed back.
    pub(super) fn list(
        &self,
        folders: Vec<String>,
        entries_max: usize,
        take: &mut dyn FnMut(Listed) -> Vec<String>,
        deadline: Instant,
    ) -> Vec<String> {
        self.list_as_it_was(None, folders, entries_max, take, deadline)
    }

    /// The same in a previous version of the share, or as it is now.
    pub(super) fn list_as_it_was(
        &self,
        shadow: Option<Shadow>,
        folders: Vec<String>,
        entries_max: usize,
        take: &mut dyn FnMut(Listed) -> Vec<String>,
        deadline: Instant,
    ) -> Vec<String> {
        let mut folders = folders;
        let start = |tree, connection, path| list_folder(tree, connection, shadow, path, entries_max);
        let mut rest = self.many(&mut || folders.pop(), start, take, deadline);
        rest.append(&mut folders);
        rest
    }

    /// Reads samples of files; the numbers say which is whose.
    pub(super) fn samples(&self, paths: Vec<(usize, String)>, deadline: Instant) -> Vec<(usize, Read)> {
        let mut paths = paths;
        let mut found = Vec::with_capacity(paths.len());
        let start = |tree, connection, (number, path): (usize, String)| async move {
            (number, sample(&tree, connection, &path).await)
        };
        let mut take = |result| {
            found.push(result);
            Vec::new()
        };
        let _unread = self.many(&mut || paths.pop(), start, &mut take, deadline);
        found
    }

    /// Lets the connection's own work go on while nothing else is to be done.
    pub fn rest(&self, time: Duration) {
        // Made inside: a timer belongs to the runtime that it is made in.
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }
}

pub(super) async fn within<T>(bound: Duration, request: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(bound, request).await.ok()
}

async fn list_folder(
    tree: Arc<Tree>,
    connection: Connection,
    shadow: Option<Shadow>,
    path: String,
    entries_max: usize,
) -> Listed {
    let mut listed = Listed { path, entries: Ok(Vec::new()), left_out: 0 };
    let mut entries = Vec::new();
    let (path, left_out) = (&listed.path, &mut listed.left_out);
    let answer = match shadow {
        Some(shadow) => {
            let request =
                shadow::read_folder(&tree, &connection, shadow, path, entries_max, &mut entries, left_out);
            within(REQUEST_MAX, request).await
        }
        None => {
            let request = read_folder(&tree, connection, path, entries_max, &mut entries, left_out);
            within(REQUEST_MAX, request).await
        }
    };
    listed.entries = match answer {
        None => Err(Trouble::Slow),
        Some(Err(error)) => Err(Trouble::of(&error)),
        Some(Ok(())) => Ok(entries),
    };
    listed
}

async fn read_folder(
    tree: &Tree,
    connection: Connection,
    path: &str,
    entries_max: usize,
    entries: &mut Vec<Entry>,
    left_out: &mut u64,
) -> smb2::Result<()> {
    let options = ListOptions::new().index_numbers(true);
    let mut reader = tree.open_directory_reader_with(connection, path, options).await?;
    while let Some(batch) = reader.next_batch().await? {
        for found in batch {
            if found.name == "." || found.name == ".." {
                continue;
            }
            let impossible = found.name.is_empty()
                || found.name.len() > NAME_BYTES_MAX
                || found.name.contains(['/', '\0'])
                || found.is_link();
            if impossible || entries.len() >= entries_max {
                *left_out += 1;
                continue;
            }
            entries.push(Entry {
                identity: found.index_number.map(|number| (number, found.created.0)),
                is_folder: found.is_directory,
                stamp: Stamp { size: found.size, modified: found.modified.0, changed: found.changed.0 },
                name: found.name,
            });
        }
        if entries.len() >= entries_max {
            // An endless listing is left at the bound; what is beyond was not looked at.
            *left_out += 1;
            return reader.close().await;
        }
    }
    Ok(())
}

/// Where a file of that length is read: all of a small one; start, middle and end of another.
pub(super) fn places(len: u64) -> Vec<(u64, u64)> {
    if len <= 3 * PIECE {
        return vec![(0, 3 * PIECE)];
    }
    let middle = (len / 2).next_multiple_of(128);
    vec![(0, PIECE), (middle, PIECE.min(len - PIECE - middle)), (len - PIECE, PIECE)]
}

/// Reads the start, the middle and the end of a file, at most 12 KiB however long it is or grows.
async fn sample(tree: &Arc<Tree>, connection: Connection, path: &str) -> Result<(Sample, Stamp), Trouble> {
    let request = async {
        let mut connection = connection;
        // Nearly all records are small: one round trip.
        match tree.read_file_compound_sized_with_info(&mut connection, path, 3 * PIECE).await {
            Ok((bytes, info)) => {
                let stamp = Stamp { size: info.size, modified: info.modified.0, changed: info.changed.0 };
                return Ok((Sample { len: info.size, ..Sample::whole(&bytes) }, stamp));
            }
            Err(smb2::Error::FileTooLargeForSingleRead { .. }) => {}
            Err(error) => return Err(error),
        }
        let reader = tree.open_file_reader(connection, path).await?;
        let (info, len) = (reader.info(), reader.size());
        let stamp = Stamp { size: len, modified: info.modified.0, changed: info.changed.0 };
        let mut sample = Sample { len, chunks: Vec::new() };
        for (offset, len) in places(len) {
            let mut bytes = reader.read_at(offset, len).await?;
            bytes.truncate(usize::try_from(len).unwrap_or(0));
            if !bytes.is_empty() {
                sample.chunks.push(Chunk { offset, bytes });
            }
        }
        reader.close().await?;
        Ok((sample, stamp))
    };
    match within(REQUEST_MAX, request).await {
        None => Err(Trouble::Slow),
        Some(answer) => answer.map_err(|error| Trouble::of(&error)),
    }
}
