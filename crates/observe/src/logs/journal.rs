//! The machine's journal, as `journalctl` tells it, from a cursor on.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::Sender;
use schema::Micros;

use super::split::Splitter;
use super::{Batch, Losses, Position, Source};
use crate::Error;

/// After the journal's program ended it is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The journal at work; dropped, it ends and its program with it.
pub struct Journal {
    stop: Arc<AtomicBool>,
    child: Arc<std::sync::Mutex<Option<Child>>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Follows the journal behind a cursor, else from now on; where that is, is told by a first batch without lines.
    ///
    /// # Errors
    /// When `journalctl` cannot be started.
    pub fn follow(
        cursor: Option<&str>,
        out: Sender<Batch>,
        losses: Losses,
        clock: fn() -> Micros,
    ) -> Result<Self, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let (mut place, mut cursor) = (None, cursor.map(str::to_owned));
        if cursor.is_none() {
            cursor = last();
            place = cursor.clone();
        }
        let first = start(cursor.as_deref()).map_err(Error::Journal)?;
        let child = Arc::new(std::sync::Mutex::new(Some(first)));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&child));
        let work = move || {
            if let Some(cursor) = place {
                let mut batch = Batch::new(Source::new("journal"), clock());
                batch.position = Some(Position::Journal { cursor });
                if out.send(batch).is_err() {
                    return;
                }
            }
            let mut buffer = vec![0; 64 << 10];
            while !stopped.load(Ordering::Relaxed) {
                let output = lock(&shared).as_mut().and_then(|child| child.stdout.take());
                if let Some(mut output) = output {
                    let mut splitter = Splitter::default();
                    while let Ok(length @ 1..) = output.read(&mut buffer) {
                        let mut batch = Batch::new(Source::new("journal"), clock());
                        let cut = splitter.cut;
                        splitter.feed(buffer.get(..length).unwrap_or_default(), &mut |line| batch.push(line));
                        losses.cut(splitter.cut - cut);
                        if let Some(last) = batch.lines().last().and_then(cursor_of) {
                            batch.position = Some(Position::Journal { cursor: last.clone() });
                            cursor = Some(last);
                        }
                        if !batch.is_empty() && out.send(batch).is_err() {
                            return;
                        }
                    }
                }
                if let Some(mut ended) = lock(&shared).take() {
                    let _ = ended.kill();
                    let _ = ended.wait();
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                thread::sleep(AGAIN_AFTER);
                let again = start(cursor.as_deref()).ok();
                let mut place = lock(&shared);
                *place = again;
                if stopped.load(Ordering::Relaxed)
                    && let Some(child) = place.as_mut()
                {
                    let _ = child.kill();
                }
            }
        };
        let thread = thread::Builder::new().name("journal".into()).spawn(work).map_err(Error::Journal)?;
        Ok(Self { stop, child, thread: Some(thread) })
    }
}

impl Journal {
    /// Nothing more is read; what was, may still wait in the queue.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(child) = lock(&self.child).as_mut() {
            let _ = child.kill();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(child: &std::sync::Mutex<Option<Child>>) -> std::sync::MutexGuard<'_, Option<Child>> {
    child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn start(cursor: Option<&str>) -> std::io::Result<Child> {
    let mut command = Command::new("journalctl");
    command.args(["--follow", "--output=json", "--all", "--no-pager"]);
    match cursor {
        Some(cursor) => command.arg(format!("--after-cursor={cursor}")),
        None => command.arg("--lines=0"),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
}

/// The cursor of the youngest entry, if there is one.
fn last() -> Option<String> {
    let mut command = Command::new("journalctl");
    command.args(["--lines=1", "--output=json", "--no-pager"]).stdin(Stdio::null()).stderr(Stdio::null());
    cursor_of(command.output().ok()?.stdout.trim_ascii())
}

/// `"__CURSOR":"…"` of a line.
fn cursor_of(line: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    value["__CURSOR"].as_str().filter(|cursor| cursor.len() < 1_024).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_that_of_the_journal() {
        assert_eq!(cursor_of(br#"{"__CURSOR":"s=1;i=2","MESSAGE":"x"}"#).as_deref(), Some("s=1;i=2"));
        assert_eq!(cursor_of(b"{}"), None);
        assert_eq!(cursor_of(b"x"), None);
    }
}
