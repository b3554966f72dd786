//! Contents that nobody pinned before they were written, compared with a copy from somewhere else.

use std::fs::File;

use decode::content::Histogram;
use rustix::fs::ioctl_ficlone;
use schema::FileEvidence;

use super::measure::measure;
use super::preimage::sample;

/// Chi-square per degree of freedom from which on bytes are no noise, with room for a page's header.
const STANDS_OUT: f32 = 1.9;

/// What became of a database's file: against an earlier copy of it, or, without one, by what a database's file never is. `file` is its
/// number for the gate.
pub fn database_evidence(before: Option<&File>, now: &File, file: u64) -> Option<FileEvidence> {
    let present = sample(now).ok()?;
    if let Some(before) = before.and_then(|before| sample(before).ok()) {
        return Some(FileEvidence { file, ..measure(&before, &present) });
    }
    let mut histogram = Histogram::default();
    for chunk in &present.chunks {
        histogram.add(chunk.bytes.iter().copied());
    }
    let (structured, chi2) = (measure(&present, &present), histogram.chi2());
    if chi2 > STANDS_OUT {
        // Pages, logs and maps of a format that nobody else knows are no sign of anything: whoever restores a database writes them, too.
        let (size_before, size_after) = (present.len, present.len);
        return Some(FileEvidence { file, size_before, size_after, ..FileEvidence::default() });
    }
    Some(FileEvidence {
        file,
        size_before: present.len,
        size_after: present.len,
        bytes_changed: histogram.total(),
        bytes_compared: histogram.total(),
        entropy_after: histogram.entropy(),
        // Pages have headers and free space: no server writes a whole file without either.
        structured_before: true,
        chi2_before: 16.0,
        chi2_changed: chi2,
        chi2_xor: chi2,
        structure_kept: structured.structured_before,
        structured_after: structured.structured_before,
        ..FileEvidence::default()
    })
}

/// Makes `to` share the blocks of `from`, where the file system can: at once, and without room of its own.
pub fn reflink(to: &File, from: &File) -> std::io::Result<()> {
    Ok(ioctl_ficlone(to, from)?)
}
