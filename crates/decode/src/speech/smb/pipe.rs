//! Named pipes: what is sent through them is DCE/RPC.

use schema::Sight;

use super::super::rpc::{self, Contexts};

/// Pipes that are open at once on one connection; with more of them the oldest is forgotten.
const PIPES_MAX: usize = 16;

/// The pipes of one connection in which DCE/RPC was seen.
#[derive(Debug, Default)]
pub(super) struct Pipes {
    open: Vec<Pipe>,
}

#[derive(Debug)]
struct Pipe {
    id: u64,
    /// Bytes of a fragment that are still to come with the next writes.
    left: u32,
    contexts: Contexts,
}

impl Pipes {
    /// Whether any is open.
    pub(super) fn are_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The client wrote `length` bytes to a file, of which `data` are the first.
    pub(super) fn sent(&mut self, id: Option<u64>, data: Option<&[u8]>, length: u32, out: &mut Vec<Sight>) {
        let (Some(id), Some(data)) = (id, data) else { return };
        let place = self.open.iter().position(|pipe| pipe.id == id);
        if let Some(at) = place
            && self.open[at].left > 0
        {
            self.open[at].left = self.open[at].left.saturating_sub(length);
            return;
        }
        if !rpc::is_header(data) {
            return;
        }
        let at = place.unwrap_or_else(|| self.opened(id));
        let Some(pipe) = self.open.get_mut(at) else { return };
        pipe.left = rpc::length(data).saturating_sub(length);
        pipe.contexts.read(data, out);
    }

    /// The server answered with data of which these are the first bytes.
    pub(super) fn received(&mut self, data: Option<&[u8]>, out: &mut Vec<Sight>) {
        let Some(data) = data else { return };
        if self.are_open() && rpc::is_header(data) {
            out.extend(rpc::refusal(data));
        }
    }

    /// The file was closed.
    pub(super) fn close(&mut self, id: Option<u64>) {
        self.open.retain(|pipe| Some(pipe.id) != id);
    }

    fn opened(&mut self, id: u64) -> usize {
        if self.open.len() >= PIPES_MAX {
            self.open.remove(0);
        }
        self.open.push(Pipe { id, left: 0, contexts: Contexts::default() });
        self.open.len() - 1
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.open.capacity() * size_of::<Pipe>()
    }
}
