//! A stream as messages: the beginning of each is shown, the rest is counted and let go.

/// The most that is held of one message.
pub(super) const HELD_MAX: usize = 24 << 10;

/// What a reader says of the beginning of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It needs this many bytes from the message's beginning.
    More(usize),
    /// The message is this long; the next one follows.
    Next(u64),
    /// This is no message: the stream is out of step.
    Lost,
    /// Nothing more is wanted of this side.
    Stop,
}

/// How a feed ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fed<'a> {
    /// All bytes were used.
    All,
    /// The stream is out of step; these bytes were not looked at yet.
    Lost(&'a [u8]),
    /// The reader has what it wanted.
    Stopped,
}

/// One side's place between messages.
///
/// A reader is always shown exactly as many bytes as it asked for, however the stream was cut into segments, so that what it says
/// depends on the stream alone. Bytes are copied only when a segment ends inside of what was asked for.
#[derive(Debug, Default)]
pub(super) struct Framer {
    held: Vec<u8>,
    want: usize,
    skip: u64,
}

impl Framer {
    /// Goes through `bytes`; each message's first `first` bytes are shown to `read`, and more as it asks.
    pub(super) fn feed<'a>(
        &mut self,
        mut bytes: &'a [u8],
        first: usize,
        mut read: impl FnMut(&[u8]) -> Step,
    ) -> Fed<'a> {
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Fed::All;
            }
            let want = self.want.max(first);
            let missing = want - self.held.len().min(want);
            if bytes.len() < missing {
                self.held.extend_from_slice(bytes);
                return Fed::All;
            }
            // What stands in this segment as a whole is not copied.
            let direct = self.held.is_empty();
            if !direct {
                self.held.extend_from_slice(&bytes[..missing]);
                bytes = &bytes[missing..];
            }
            let step = read(if direct { &bytes[..want] } else { &self.held });
            match step {
                Step::More(more) if more > want && more <= HELD_MAX => {
                    self.want = more;
                }
                Step::Next(length) => {
                    self.skip = length.max(want as u64) - if direct { 0 } else { want as u64 };
                    self.rest();
                }
                Step::Stop => {
                    self.begin();
                    return Fed::Stopped;
                }
                Step::More(_) | Step::Lost => {
                    self.begin();
                    return Fed::Lost(bytes);
                }
            }
        }
    }

    /// Passes by `bytes` that are missing, if all of them belong to what nobody looks at; whether they did.
    pub(super) fn pass(&mut self, bytes: u64) -> bool {
        let is_body = self.held.is_empty() && bytes <= self.skip;
        if is_body {
            self.skip -= bytes;
        }
        is_body
    }

    /// The next byte begins a message.
    pub(super) fn begin(&mut self) {
        self.rest();
        self.skip = 0;
    }

    fn rest(&mut self) {
        self.want = 0;
        // A long message now and then must not keep its room for as long as the flow lives.
        if self.held.capacity() > 2_048 {
            self.held = Vec::new();
        }
        self.held.clear();
    }

    /// Bytes of memory besides its own.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.held.capacity()
    }
}
