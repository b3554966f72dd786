//! Orthanc, an image archive (DICOM): its index, then its files.
//!
//! Orthanc keeps its SQLite database locked for itself as long as it runs, so the online backup never gets in. Database and log are
//! copied as files until nothing changed meanwhile; SQLite then recovers the copy as it would after a crash, which the
//! two files of one moment allow it to. What Orthanc took in during the last seconds may not be in its files yet.
//!
//! The index comes first: images that arrive meanwhile are in the files and not in the index, which does no harm, while the
//! other way round the index would name files that the snapshot lacks.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::Connection;
use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use schema::{DatabaseCensus, Shortfall, ShortfallKind};
use serde_json::{Value, json};

use super::mariadb::copy_tree;
use super::server::Server;
use super::settings::{Setting, optional, required};
use super::{Adapter, Entry, Findings, Place, Restored, Settings, Taken, program, sqlite};
use crate::error::Error;

/// The adapter.
pub const ENTRY: Entry = Entry {
    kind: "orthanc",
    title: (
        "Orthanc (DICOM images) with its SQLite index, on this machine",
        "Orthanc(DICOM画像):この機械のSQLite索引と画像ファイル",
    ),
    settings: &SETTINGS,
    open: |settings| Ok(Box::new(Orthanc::new(settings)?)),
    proves: Some((
        "Orthanc {} was started on its index and images, its resources counted and a sample of images read back",
        "Orthanc {}：索引と画像から起動し、件数を数え、画像の一部を読み出した",
    )),
    drill,
};

static SETTINGS: [Setting; 2] = [
    required("storage", "its StorageDirectory", "StorageDirectory のフォルダー"),
    optional("index", "its IndexDirectory, where it is another one", "IndexDirectory(別のフォルダーの場合)"),
];

/// Name of the index's file.
const INDEX: &str = "index";
const FILES: &str = "storage";
const START: Duration = Duration::from_secs(120);
/// Copies of the index until one is of a single moment, with more and more time between them.
const ATTEMPTS: u32 = 12;
const PAUSE: Duration = Duration::from_millis(200);
const COMPARED_BYTES: u64 = 1 << 20;
/// Images that are read back through the server.
const SAMPLED: usize = 32;
/// No image or answer that we ask for is larger.
const ANSWER_BYTES_MAX: u64 = 512 << 20;
/// Kinds of resources in the index, in the order of their numbers.
const LEVELS: [&str; 4] = ["patients", "studies", "series", "instances"];

struct Orthanc {
    storage: PathBuf,
    index: PathBuf,
}

impl Orthanc {
    fn new(settings: &Settings) -> Result<Orthanc, Error> {
        let missing = || settings.refuse("storage= is missing".to_owned());
        let storage = settings.path("storage")?.ok_or_else(missing)?;
        let index = settings.path("index")?.unwrap_or_else(|| storage.clone()).join(INDEX);
        Ok(Orthanc { storage, index })
    }
}

impl Adapter for Orthanc {
    fn capture(&self, place: &Place<'_>) -> Result<Taken, Error> {
        let instant = (place.now)();
        let folder = place.staging.join(INDEX);
        program::folder(&folder)?;
        let copy = folder.join(INDEX);
        copy_index(&self.index, &copy)?;
        let census = census(&copy, &format!("orthanc:{}", place.name))?;
        let live = Path::new(FILES).join(INDEX);
        let mut left_out: Vec<PathBuf> = sqlite::companions(&live).collect();
        left_out.push(live);
        let parts = vec![(INDEX.to_owned(), folder), (FILES.to_owned(), self.storage.clone())];
        let not_proven = vec![format!("pixels: at most {SAMPLED} images are read back, the others by size")];
        Ok(Taken {
            parts,
            left_out,
            instant: Some(instant),
            databases: vec![census],
            not_proven,
            ..Taken::default()
        })
    }
}

/// One moment of a database that its server keeps locked, in one file.
fn copy_index(index: &Path, copy: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { op: "copy", path: index.to_path_buf(), source };
    let pairs = [(index.to_path_buf(), copy.to_path_buf()), (with_log(index), with_log(copy))];
    let copied = (0..ATTEMPTS).any(|attempt| {
        std::thread::sleep(PAUSE * attempt);
        copy_still(&pairs).unwrap_or(false)
    });
    if !copied {
        return Err(io(std::io::Error::other("it kept changing, or could not be read")));
    }
    let fail = |source| Error::Database { op: "recover the copy of", path: index.to_path_buf(), source };
    let database = Connection::open(copy).map_err(fail)?;
    // Leaves one file, into which the log is written back.
    database.pragma_update(None, "journal_mode", "DELETE").map_err(fail)?;
    let answer: String =
        database.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fail)?;
    if answer == "ok" { Ok(()) } else { Err(io(std::io::Error::other(answer))) }
}

fn with_log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// Copies the files, and says whether they were the same all the while: read a second time, and by their times.
fn copy_still(pairs: &[(PathBuf, PathBuf)]) -> std::io::Result<bool> {
    let look = || -> Vec<Option<(u64, Option<std::time::SystemTime>)>> {
        let seen = pairs.iter().map(|(from, _)| fs::metadata(from).ok());
        seen.map(|meta| meta.map(|meta| (meta.len(), meta.modified().ok()))).collect()
    };
    let before = look();
    for ((from, to), seen) in pairs.iter().zip(&before) {
        match seen {
            Some(_) => fs::copy(from, to).map(|_| ())?,
            None => drop(fs::remove_file(to)),
        }
    }
    for ((from, to), _) in pairs.iter().zip(&before).filter(|(_, seen)| seen.is_some()) {
        if !same_content(from, to)? {
            return Ok(false);
        }
    }
    Ok(before.first().is_some_and(Option::is_some) && look() == before)
}

fn same_content(a: &Path, b: &Path) -> std::io::Result<bool> {
    let (a, b) = (fs::File::open(a)?, fs::File::open(b)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        let read = (&a).take(COMPARED_BYTES).read_to_end(&mut left)?;
        (&b).take(COMPARED_BYTES).read_to_end(&mut right)?;
        if left != right || read == 0 {
            return Ok(left == right);
        }
    }
}

/// Patients, studies, series and instances, and when the newest instance arrived.
fn census(index: &Path, path: &str) -> Result<DatabaseCensus, Error> {
    let fail = |source| Error::Database { op: "count the images of", path: index.to_path_buf(), source };
    let database = sqlite::open(index).map_err(fail)?;
    let mut census =
        DatabaseCensus { path: path.to_owned(), engine: "orthanc".to_owned(), ..DatabaseCensus::default() };
    for (number, level) in (1_i64..).zip(LEVELS) {
        let count = "SELECT count(*) FROM Resources WHERE resourceType = ?1";
        let rows: i64 = database.query_row(count, [number], |row| row.get(0)).map_err(fail)?;
        census.tables.insert(level.to_owned(), rows.unsigned_abs());
    }
    census.newest_record = newest(&database).map_err(fail)?.and_then(|text| {
        let time: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    });
    Ok(census)
}

/// When the newest instance was received (metadata 2, in UTC).
fn newest(database: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT max(m.value) FROM Metadata m JOIN Resources r ON r.internalId = m.id \
               WHERE m.type = 2 AND r.resourceType = 4";
    database.query_row(sql, [], |row| row.get(0))
}

/// Files that the index names and that are not there, or have another size.
fn missing(index: &Path, storage: &Path) -> Result<Vec<Shortfall>, Error> {
    let fail = |source| Error::Database { op: "read", path: index.to_path_buf(), source };
    let database = sqlite::open(index).map_err(fail)?;
    let mut statement = database.prepare("SELECT uuid, compressedSize FROM AttachedFiles").map_err(fail)?;
    let rows =
        statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).map_err(fail)?;
    let mut found = Vec::new();
    for row in rows {
        let (uuid, size) = row.map_err(fail)?;
        let named = uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let path = uuid.get(0..2).zip(uuid.get(2..4)).filter(|_| named);
        let held = path
            .and_then(|(first, second)| fs::metadata(storage.join(first).join(second).join(&uuid)).ok())
            .map(|metadata| metadata.len());
        if held != u64::try_from(size).ok() {
            let held = held.map_or_else(|| "missing".to_owned(), |held| format!("{held} bytes"));
            found.push(Shortfall {
                kind: ShortfallKind::NotRestored,
                what: format!("image file {uuid}"),
                detail: format!("{held}, the index says {size} bytes"),
            });
        }
    }
    Ok(found)
}

fn drill(restored: &Restored<'_>) -> Result<Findings, Error> {
    let engines = restored.engines;
    let folder = engines.folder(&format!("dicom-{}", restored.source.name))?;
    let (index, storage) = (folder.join(INDEX), folder.join(FILES));
    copy_tree(&restored.part(INDEX), &index, engines)?;
    copy_tree(&restored.part(FILES), &storage, engines)?;
    let mut findings = Findings { shortfalls: missing(&index.join(INDEX), &storage)?, ..Findings::default() };
    let path = format!("orthanc:{}", restored.source.name);
    // Before the server takes the index for itself.
    let mut found = census(&index.join(INDEX), &path)?;
    let archive = Archive::start(restored, &folder, &index, &storage)?;
    let statistics = archive.get_json("/statistics")?;
    for (level, key) in
        LEVELS.into_iter().zip(["CountPatients", "CountStudies", "CountSeries", "CountInstances"])
    {
        let count = statistics[key].as_u64().ok_or_else(|| not_understood(&statistics.to_string()))?;
        found.tables.insert(level.to_owned(), count);
    }
    let all = archive.get_json("/instances")?;
    let all: Vec<&str> = all.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let step = all.len().div_ceil(SAMPLED).max(1);
    for id in all.iter().step_by(step) {
        if let Err(error) = archive.read_image(id) {
            findings.shortfalls.push(Shortfall {
                kind: ShortfallKind::DatabaseDamaged,
                what: format!("image {id}"),
                detail: error.chain(),
            });
        }
    }
    findings.databases.push(found);
    findings.sandbox.extend(engines.loopback_said());
    Ok(findings)
}

/// A private Orthanc. It knows no sockets of files, so it listens on a loopback with a password that only this drill has.
struct Archive {
    address: SocketAddr,
    credentials: String,
    /// Where the address is; `None`: on this machine's own loopback.
    network: Option<fs::File>,
    _server: Server,
}

impl Archive {
    fn start(restored: &Restored<'_>, folder: &Path, index: &Path, storage: &Path) -> Result<Archive, Error> {
        let io = |source| Error::Io { op: "listen for", path: folder.to_path_buf(), source };
        let address =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).map_err(io)?;
        let mut random = [0_u8; 24];
        let failed = |error: getrandom::Error| Error::Engine {
            op: "draw a password",
            source: std::io::Error::other(error.to_string()),
        };
        getrandom::fill(&mut random).map_err(failed)?;
        let password = hex::encode(random);
        let settings = json!({
            "Name": "drill",
            "StorageDirectory": storage,
            "IndexDirectory": index,
            "HttpPort": address.port(),
            "RemoteAccessAllowed": false,
            "AuthenticationEnabled": true,
            "RegisteredUsers": BTreeMap::from([("drill", &password)]),
            "DicomServerEnabled": false,
            "Plugins": [],
            "UserMetadata": {},
        });
        let path = folder.join("orthanc.json");
        program::write(&path, "")?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io)?;
        program::write(&path, settings.to_string())?;
        restored.engines.hand_over(&path)?;
        let engines = restored.engines;
        let mut command = engines.command_with_loopback(&program::find("Orthanc", "orthanc")?)?;
        let mut server = Server::start(engines, command.arg(&path), &folder.join("log"), Signal::INT)?;
        let credentials = base64::engine::general_purpose::STANDARD.encode(format!("drill:{password}"));
        let own = engines.loopback_said().is_none();
        let mut network = None;
        // Its network is there before it listens, and is asked for anew until the process in it is its own.
        server.network_until(START, own, |net| {
            let answers = get(address, &credentials, "/system", net).is_ok();
            if answers {
                network = net.and_then(|net| net.try_clone().ok());
            }
            answers
        })?;
        Ok(Archive { address, credentials, network, _server: server })
    }

    fn get_json(&self, path: &str) -> Result<Value, Error> {
        let body = get(self.address, &self.credentials, path, self.network.as_ref())?;
        serde_json::from_slice(&body).map_err(|_| not_understood(&String::from_utf8_lossy(&body)))
    }

    /// The image as it was sent to the archive: Orthanc finds its file and parses it.
    fn read_image(&self, id: &str) -> Result<(), Error> {
        if !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Err(not_understood(id));
        }
        let image =
            get(self.address, &self.credentials, &format!("/instances/{id}/file"), self.network.as_ref())?;
        // PS3.10 §7.1: 128 bytes of anything, then DICM.
        if image.get(128..132) != Some(b"DICM") {
            return Err(not_understood("an image without the mark of DICOM"));
        }
        self.get_json(&format!("/instances/{id}/simplified-tags")).map(|_| ())
    }
}

/// One answer with status 200, asked for from within the server's own network: a thread enters it and ends with the answer.
fn get(
    address: SocketAddr,
    credentials: &str,
    path: &str,
    network: Option<&fs::File>,
) -> Result<Vec<u8>, Error> {
    let Some(network) = network else { return exchange(address, credentials, path) };
    let fail = |source| Error::Io { op: "ask Orthanc for", path: PathBuf::from(path), source };
    let ask = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|cause| fail(cause.into()))?;
        exchange(address, credentials, path)
    };
    std::thread::scope(|scope| scope.spawn(ask).join())
        .unwrap_or_else(|_| Err(fail(std::io::Error::other("the thread that asked ended"))))
}

/// The connection ends with the answer, so no length has to be understood.
fn exchange(address: SocketAddr, credentials: &str, path: &str) -> Result<Vec<u8>, Error> {
    let fail = |source| Error::Io { op: "ask Orthanc for", path: PathBuf::from(path), source };
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).map_err(fail)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(fail)?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(fail)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(fail)?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
    let status = answer.split(|byte| *byte == b' ').nth(1);
    match (status, body) {
        (Some(b"200"), Some(body)) => Ok(answer.split_off(body)),
        _ => Err(not_understood(&String::from_utf8_lossy(&answer[..answer.len().min(200)]))),
    }
}

fn not_understood(answer: &str) -> Error {
    Error::Answer { program: "Orthanc", answer: answer.chars().take(200).collect() }
}
