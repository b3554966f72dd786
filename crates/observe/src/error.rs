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
    /// The file system of a folder does not answer: a server that is gone, a program that hangs.
    #[error("look at {path}: its file system has not answered within {seconds} s")]
    Silent {
        /// The folder.
        path: PathBuf,
        /// The bound.
        seconds: u64,
    },
    /// A decoy could not be planted, or their list not be read.
    #[error("plant the decoy {path}")]
    Canary {
        /// The decoy, or the list.
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
    /// A share is not written as `//server/share`.
    #[error("read the name of the share {given:?}: it is written //server/share")]
    ShareName {
        /// What was given.
        given: String,
    },
    /// The file with the account cannot be read, or others may read it.
    #[error("read the credentials file {path}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A share could not be reached, or refused the account.
    #[error("connect to {share}")]
    ShareConnect {
        /// `//server/share`.
        share: String,
        /// Why.
        #[source]
        source: smb2::Error,
    },
    /// A folder, file or the connection of a share failed; names of files are not part of it.
    #[error("{operation} on {share}")]
    ShareAccess {
        /// What was tried.
        operation: &'static str,
        /// `//server/share`.
        share: String,
        /// Why.
        #[source]
        source: smb2::Error,
    },
    /// The server did not answer in time.
    #[error("{operation} on {share}: the server took longer than {seconds} s")]
    ShareSlow {
        /// What was tried.
        operation: &'static str,
        /// `//server/share`.
        share: String,
        /// The bound.
        seconds: u64,
    },
    /// A mounted share, or a file of it, could not be touched; names of files are not part of it.
    #[error("{operation} in the mounted share {path}")]
    ShareFolder {
        /// What was tried.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The thread's machinery for the network could not be made.
    #[error("set up the network client")]
    ShareRuntime(#[source] io::Error),
    /// A pulled file could not be written here.
    #[error("write {path}")]
    PullWrite {
        /// The local path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
