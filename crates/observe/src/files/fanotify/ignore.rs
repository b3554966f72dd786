//! Folders in which no open waits: a database's, whose server opens files all the time and holds them open for days.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{FAN_PRE_ACCESS, Watch, sys};
use crate::Error;

/// From linux/fanotify.h, since 6.0: the mark tells what is not wanted, and means it for a folder's entries, too.
const FAN_MARK_IGNORE: u32 = 0x0000_0400;
const FAN_MARK_IGNORED_SURV_MODIFY: u32 = 0x0000_0040;

impl Watch {
    /// From now on opens of `path`, and of what lies directly in it when it is a folder, pass without being heard of, and so do reads
    /// and writes. Closes after a write are told as before. The kernel forgets it with the folder.
    pub fn ignore_opens(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::Mark { path: path.to_owned(), purpose: "opens to ignore", source };
        let target = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
        let flags = libc::FAN_MARK_ADD | FAN_MARK_IGNORE | FAN_MARK_IGNORED_SURV_MODIFY;
        let (children, folders) =
            if path.is_dir() { (libc::FAN_EVENT_ON_CHILD, libc::FAN_ONDIR) } else { (0, 0) };
        let ignore = |mask| sys::mark(self.content.as_fd(), flags, mask | children, &target);
        // By itself: the kernel refuses it together with folders, and kernels before 6.14 do not know it.
        let _ = ignore(FAN_PRE_ACCESS);
        ignore(libc::FAN_OPEN_PERM | libc::FAN_MODIFY | folders).map_err(failed)
    }
}
