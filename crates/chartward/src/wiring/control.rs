//! The control socket of a watcher: one JSON object a line in, one out.
//!
//! Only the watcher's own user and root are answered. Requests are carried to the watcher's loop, which answers them between two
//! events, so that nothing changes in the middle of one.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A secret of 64 KiB, escaped.
const REQUEST_BYTES_MAX: usize = 512 * 1024;
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const CLIENTS_MAX: usize = 8;
/// A client that says nothing for so long is let go.
const IDLE: Duration = Duration::from_secs(60);
/// The watcher may be busy with an attack for some seconds.
const WATCHER_BUSY: Duration = Duration::from_secs(10);
/// What `sockaddr_un` holds with its closing NUL, unix(7).
const PATH_BYTES_MAX: usize = 107;

/// What may be asked of a watcher.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Request {
    /// How does it stand?
    Health,
    /// Act from now on.
    Arm,
    /// Only tell from now on. What was done stays done.
    Disarm,
    /// Let a frozen process and its relatives go on: by its start in clock ticks as well, as findings, actions and `health` say it,
    /// since a number may have been given to somebody else meanwhile.
    Release { pid: i32, start_ticks: u64 },
    /// Read anew what can be read anew.
    Reload,
}

/// A request on its way to the loop, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Asked<R = Request> {
    pub(crate) request: R,
    pub(crate) answer: Sender<Value>,
}

/// The serving side; dropped, the socket goes away.
#[derive(Debug)]
pub(crate) struct Control<R = Request> {
    asked: Receiver<Asked<R>>,
    path: PathBuf,
}

impl<R: DeserializeOwned + Send + 'static> Control<R> {
    /// Serves `path` on a thread of its own. To be called once the watcher has blocked its signals, since threads inherit that.
    pub(crate) fn serve(path: &Path) -> anyhow::Result<Self> {
        if let Some(dir) = path.parent() {
            act::evidence::private_dir(dir)?;
        }
        replace_stale(path)?;
        let listener = Short::of(path)
            .and_then(|short| UnixListener::bind(&short.path))
            .with_context(|| format!("open the control socket {}", path.display()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))
            .context("close the control socket to others")?;
        let (send, asked) = bounded(CLIENTS_MAX);
        thread::Builder::new()
            .name("control".into())
            .spawn(move || accept(&listener, &send))
            .context("start a thread for the control socket")?;
        Ok(Self { asked, path: path.to_owned() })
    }

    /// A request that waits, if one does.
    pub(crate) fn next(&self) -> Option<Asked<R>> {
        self.asked.try_recv().ok()
    }

    /// The next request; `None` when none can come any more.
    pub(crate) fn wait(&self) -> Option<Asked<R>> {
        self.asked.recv().ok()
    }
}

impl<R> Drop for Control<R> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The answer to a request that was carried out.
pub(crate) fn done(mut fields: Value) -> Value {
    fields["ok"] = true.into();
    fields
}

/// The answer to a request that was not.
pub(crate) fn refused(error: &str) -> Value {
    json!({"ok": false, "error": error})
}

/// Asks the watcher behind `path` and waits for its answer.
pub(crate) fn ask(path: &Path, request: &Value, timeout: Duration) -> anyhow::Result<Value> {
    let ask = || -> io::Result<Vec<u8>> {
        let until = Instant::now() + timeout;
        let mut stream = UnixStream::connect(&Short::of(path)?.path)?;
        stream.set_write_timeout(Some(timeout.max(Duration::from_millis(1))))?;
        stream.write_all(format!("{request}\n").as_bytes())?;
        let mut rest = Vec::new();
        read_line(&mut stream, &mut rest, ANSWER_BYTES_MAX, until)?.ok_or(ErrorKind::UnexpectedEof.into())
    };
    let line = ask().with_context(|| format!("ask the watcher at {}", path.display()))?;
    serde_json::from_slice(&line).with_context(|| format!("read the answer of {}", path.display()))
}

/// A killed watcher leaves its socket behind, on which nobody listens.
fn replace_stale(path: &Path) -> anyhow::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        bail!("the control socket {} cannot be opened: something else has that name", path.display());
    }
    match Short::of(path).and_then(|short| UnixStream::connect(&short.path)) {
        Ok(_) => bail!("the control socket {} is served by another process", path.display()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).with_context(|| format!("remove the old control socket {}", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("look at the control socket {}", path.display())),
    }
}

/// A name of the socket that fits into an address, by way of its folder where the path is too long.
struct Short {
    path: PathBuf,
    _dir: Option<File>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= PATH_BYTES_MAX {
            return Ok(Self { path: path.to_owned(), _dir: None });
        }
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let dir = File::open(path.parent().unwrap_or(Path::new("/")))?;
        Ok(Self {
            path: Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name),
            _dir: Some(dir),
        })
    }
}

fn accept<R: DeserializeOwned + Send + 'static>(listener: &UnixListener, send: &Sender<Asked<R>>) {
    let clients = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else {
            // Out of descriptors, for instance: waiting helps, spinning does not.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        if !may_ask(&stream) {
            let _ = answer(&mut stream, &refused("only the watcher's own user and root may ask"));
            continue;
        }
        if clients.load(Ordering::SeqCst) >= CLIENTS_MAX {
            let _ = answer(&mut stream, &refused("too many ask at once; ask again"));
            continue;
        }
        clients.fetch_add(1, Ordering::SeqCst);
        let (served, send) = (Arc::clone(&clients), send.clone());
        let spawned = thread::Builder::new().name("control client".into()).spawn(move || {
            // A client that breaks off is its own affair.
            let _ = attend(&mut stream, &send);
            served.fetch_sub(1, Ordering::SeqCst);
        });
        if spawned.is_err() {
            clients.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// SO_PEERCRED, unix(7): who connected, as the kernel saw it then.
fn may_ask(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid == own || peer.uid.is_root())
}

fn attend<R: DeserializeOwned>(stream: &mut UnixStream, send: &Sender<Asked<R>>) -> io::Result<()> {
    let mut rest = Vec::new();
    while let Some(line) = read_line(stream, &mut rest, REQUEST_BYTES_MAX, Instant::now() + IDLE)? {
        let value = match serde_json::from_slice(&line) {
            Ok(request) => carry(request, send),
            Err(error) => refused(&format!("this is no request: {error}")),
        };
        answer(stream, &value)?;
    }
    Ok(())
}

fn carry<R>(request: R, send: &Sender<Asked<R>>) -> Value {
    let (answer, answered) = bounded(1);
    if send.send_timeout(Asked { request, answer }, WATCHER_BUSY).is_err() {
        return refused("the watcher is busy or ending");
    }
    let late = |_| refused("the watcher did not answer in time or is ending");
    answered.recv_timeout(WATCHER_BUSY).unwrap_or_else(late)
}

fn answer(stream: &mut UnixStream, value: &Value) -> io::Result<()> {
    stream.write_all(format!("{value}\n").as_bytes())
}

/// The next line without its end; `None` at the end of the stream. `rest` holds what was read beyond it.
fn read_line(
    stream: &mut UnixStream,
    rest: &mut Vec<u8>,
    bytes_max: usize,
    until: Instant,
) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let mut line: Vec<u8> = rest.drain(..=end).collect();
            line.pop();
            return Ok(Some(line));
        }
        if rest.len() > bytes_max {
            return Err(ErrorKind::InvalidData.into());
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(len) => rest.extend_from_slice(buffer.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// A watcher that answers with what it was asked, until the test is over.
    fn echo(path: &Path) -> (thread::JoinHandle<()>, Sender<()>) {
        let control = Control::<Request>::serve(path).unwrap();
        let (stop, stopped) = bounded::<()>(0);
        let served = thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(1))
                == Err(crossbeam_channel::RecvTimeoutError::Timeout)
            {
                if let Some(Asked { request, answer }) = control.next() {
                    let _ = answer.send(done(json!({"asked": format!("{request:?}")})));
                }
            }
        });
        (served, stop)
    }

    #[test]
    fn requests_are_answered_and_nonsense_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        // Longer than the address of a socket.
        let path = dir.path().join("x".repeat(120)).join("guard.sock");
        let (served, stop) = echo(&path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for (request, expected) in [
            (json!({"do": "health"}), json!({"ok": true, "asked": "Health"})),
            (
                json!({"do": "release", "pid": 7, "start_ticks": 9}),
                json!({"ok": true, "asked": "Release { pid: 7, start_ticks: 9 }"}),
            ),
            (json!({"do": "arm"}), json!({"ok": true, "asked": "Arm"})),
        ] {
            assert_eq!(ask(&path, &request, PATIENCE).unwrap(), expected);
        }
        for request in [
            json!({"do": "explode"}),
            json!([]),
            json!({"do": "release"}),
            json!({"do": "release", "pid": 7}),
            json!("x"),
        ] {
            assert_eq!(ask(&path, &request, PATIENCE).unwrap()["ok"], false, "{request}");
        }
        drop(stop);
        served.join().unwrap();
        assert!(!path.exists());
        assert!(ask(&path, &json!({"do": "health"}), PATIENCE).is_err());
    }

    #[test]
    fn many_clients_and_endless_lines_do_not_hurt_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard.sock");
        let (served, stop) = echo(&path);
        let mut endless = UnixStream::connect(&path).unwrap();
        let _ = endless.write_all(&vec![b'x'; 1 << 20]);
        let idle: Vec<_> = (0..2 * CLIENTS_MAX).map(|_| UnixStream::connect(&path).unwrap()).collect();
        // One of those beyond the bound is told so.
        let mut last = Vec::new();
        let line = read_line(
            &mut idle.last().unwrap().try_clone().unwrap(),
            &mut last,
            4096,
            Instant::now() + PATIENCE,
        );
        assert!(String::from_utf8(line.unwrap().unwrap()).unwrap().contains("too many"));
        drop(idle);
        let until = Instant::now() + PATIENCE;
        let health = json!({"do": "health"});
        while ask(&path, &health, PATIENCE).ok().is_none_or(|answer| answer["ok"] != true) {
            assert!(Instant::now() < until, "nobody is answered any more");
        }
        drop(stop);
        served.join().unwrap();
    }

    #[test]
    fn a_stale_socket_is_replaced_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("guard.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (served, stop) = echo(&path);
        let second = Control::<Request>::serve(&path).unwrap_err().to_string();
        assert!(second.contains("another process"), "{second}");
        drop(stop);
        served.join().unwrap();
        fs::write(&path, "kept").unwrap();
        assert!(Control::<Request>::serve(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"kept");
    }
}
