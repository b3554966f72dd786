//! Keeps the lake in order: the journal becomes Parquet, days become one file, old days go.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use jiff::Timestamp;
use prove::State;
use prove::lake::Lake;

use super::handle::{Hub, Live};

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Events that wait in the journal at most.
const PENDING_MAX: u64 = 200_000;
/// How old an event in the journal gets at most, so that whoever reads the lake sees the last minutes, too.
const FLUSH_EVERY: Duration = Duration::from_secs(60);
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// Starts the thread; it ends when `end` is closed.
pub(super) fn start(
    lake: Arc<Lake>,
    state: State,
    hub: Hub,
    end: Receiver<()>,
) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("tide".into()).spawn(move || {
        let (mut flushed, mut tidied) = (Instant::now(), Instant::now());
        while end.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
            let waits = lake.pending().events;
            if waits > PENDING_MAX || (waits > 0 && flushed.elapsed() >= FLUSH_EVERY) {
                flushed = Instant::now();
                tell(&hub, lake.flush().map(|_| ()).and_then(|()| release(&lake, &state)));
            }
            if tidied.elapsed() >= TIDY_EVERY {
                tidied = Instant::now();
                let now = Timestamp::now();
                // What is old is only known while the clock is believed.
                let is_believed = hub.shown().clock.is_none();
                let expire = || if is_believed { lake.expire(now).map(|_| ()) } else { Ok(()) };
                tell(&hub, lake.compact(now).and_then(|_| expire()));
            }
        }
    })
}

/// The journal goes as far as both Parquet and the correlation's checkpoint have it.
fn release(lake: &Lake, state: &State) -> Result<(), prove::Error> {
    match state.lowest_watermark()? {
        Some(watermark) => {
            // What names this place in the journal has to be on the disk before what stands before it goes.
            state.sync()?;
            lake.release(watermark)
        }
        None => Ok(()),
    }
}

fn tell(hub: &Hub, result: Result<(), prove::Error>) {
    let trouble = result.err().map(|error| format!("{:#}", anyhow::Error::from(error)));
    hub.show(|shown| shown.lake_trouble = trouble, Live::Promise);
}
