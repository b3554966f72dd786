use std::fs::File;
use std::path::Path;

use crate::Error;

/// Makes the folder's entries survive a power cut.
pub(crate) fn sync_dir(file_in_it: &Path) -> Result<(), Error> {
    let dir = file_in_it.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::file("sync", dir))
}
