//! What is under way: bytes that came and were not judged yet, over all doors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be under way at once.
const BYTES_MAX: usize = 256 << 20;

/// Room for bytes, shared by all doors.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    taken: Arc<AtomicUsize>,
}

/// A part of the room, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    room: Room,
    bytes: usize,
}

impl Room {
    /// So much of it; `None`: there is none.
    pub(super) fn hold(&self, bytes: usize) -> Option<Held> {
        let mut held = Held { room: self.clone(), bytes: 0 };
        held.resize(bytes).then_some(held)
    }
}

impl Held {
    /// Holds more or less from now on; `false`: there is no room, and it holds what it held.
    pub(super) fn resize(&mut self, bytes: usize) -> bool {
        let taken = &self.room.taken;
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            let add = |taken: usize| taken.checked_add(more).filter(|sum| *sum <= BYTES_MAX);
            if taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
                return false;
            }
        } else {
            taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }

    /// Holds so much more.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        self.resize(self.bytes.saturating_add(more))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_much_and_again_once_it_was_given_back() {
        let room = Room::default();
        let mut first = room.hold(BYTES_MAX - 1).unwrap();
        assert!(room.hold(2).is_none() && !first.grow(2) && first.grow(1));
        assert!(room.hold(1).is_none());
        assert!(first.resize(BYTES_MAX - 10));
        let second = room.hold(10).unwrap();
        drop((first, second));
        assert!(room.hold(BYTES_MAX).is_some());
    }
}
