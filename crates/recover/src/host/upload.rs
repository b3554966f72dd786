//! A file on its way in. Until all of it is there, is what its name says and is durable, nobody sees it.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use super::folder;
use super::name::{FileName, Kind};
use super::receipts::on_medium;
use super::refusal::Refusal;
use super::repository::Repository;

/// A file that is being received. Dropped before [`Upload::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Upload<'r> {
    repository: &'r Repository,
    name: FileName,
    by: String,
    temporary: String,
    /// `None` once it has its name, or could not be made.
    file: Option<File>,
    hasher: Sha256,
    size: u64,
    left: u64,
}

impl<'r> Upload<'r> {
    pub(super) fn begin(
        repository: &'r Repository,
        name: FileName,
        size: u64,
        by: &str,
        temporary: String,
    ) -> Result<Upload<'r>, Refusal> {
        let by = by.to_owned();
        let mut upload =
            Upload { repository, name, by, temporary, file: None, hasher: Sha256::new(), size, left: size };
        let file = folder::create(&repository.incoming, &upload.temporary)
            .map_err(repository.failed("receive a file for"))?;
        upload.file = Some(file);
        Ok(upload)
    }

    /// Takes the next part of the body.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Refusal::WrongLength)?;
        self.hasher.update(bytes);
        let Some(file) = &mut self.file else { return Err(Refusal::WrongLength) };
        Ok(file.write_all(bytes).map_err(self.repository.failed("receive a file for"))?)
    }

    /// The body has ended: the file is checked, flushed, named and receipted, or refused.
    pub fn finish(mut self) -> Result<(), Refusal> {
        if self.left > 0 {
            return Err(Refusal::WrongLength);
        }
        let digest: [u8; 32] = std::mem::take(&mut self.hasher).finalize().into();
        if self.name.kind != Kind::Config && digest != self.name.id.0 {
            return Err(Refusal::WrongName);
        }
        let Some(file) = &self.file else { return Err(Refusal::WrongLength) };
        file.sync_all().map_err(self.repository.failed("receive a file for"))?;
        self.repository.admit(&self.temporary, &self.name, self.size, &self.by)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if self.name.kind != Kind::Locks {
            self.repository.reserved.fetch_sub(on_medium(self.size), Ordering::AcqRel);
        }
        if self.file.is_some() {
            let name = self.temporary.as_str();
            let _ = rustix::fs::unlinkat(&self.repository.incoming, name, rustix::fs::AtFlags::empty());
        }
    }
}
