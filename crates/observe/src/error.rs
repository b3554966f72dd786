use std::io;
use std::path::PathBuf;

/// What can go wrong while watching; the variant says the operation, the source says why.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder to protect cannot be used.
    #[error("open the protected folder {path}")]
    OpenRoot {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel gives no fanotify group; without CAP_SYS_ADMIN that is expected.
    #[error("make a fanotify group ({purpose})")]
    Group {
        /// What it is for.
        purpose: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A group could not be pointed at the tree.
    #[error("mark {path} for {purpose}")]
    Mark {
        /// The folder.
        path: PathBuf,
        /// What the mark is for.
        purpose: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The tree could not be given a mount of its own.
    #[error("mount {path} onto itself")]
    Bind {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list of mounts could not be read.
    #[error("read the list of mounts")]
    Mounts(#[source] io::Error),
    /// The thread that reads events could not be set up or broke off.
    #[error("read events")]
    Read(#[source] io::Error),
    /// The store of pre-images cannot be used.
    #[error("use the store {path}")]
    Store {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store lies inside what it protects.
    #[error("the store {store} lies inside the protected folder {root}")]
    StoreInside {
        /// The store.
        store: PathBuf,
        /// The protected folder.
        root: PathBuf,
    },
    /// A pre-image could not be taken or read.
    #[error("keep a pre-image")]
    PreImage(#[source] io::Error),
}
