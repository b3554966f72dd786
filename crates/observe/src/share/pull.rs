//! Copies the files of a share here, read-only, so that a server on which nothing may be installed can be backed up.

