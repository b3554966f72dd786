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
    /// The scanner for malware cannot be asked.
    #[error("{operation} clamd at {endpoint} (does clamav-daemon run, and may this user reach its socket?)")]
    Clamd {
        /// What was tried.
        operation: &'static str,
        /// The socket or the address.
        endpoint: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The scanner for malware answers something that is no verdict.
    #[error("understand clamd at {endpoint}, which answers {answer:?} (see its log)")]
    ClamdAnswer {
        /// The socket or the address.
        endpoint: String,
        /// What it said.
        answer: String,
    },
    /// The configuration names no socket and no address of this machine.
    #[error(
        "use {given:?} as clamd's socket: give a path such as /run/clamav/clamd.ctl, or an address of this machine such as 127.0.0.1:3310"
    )]
    ClamdEndpoint {
        /// What was given.
        given: String,
    },
    /// The milter's socket could not be opened.
    #[error("listen for mail at {at}")]
    MailListen {
        /// Where.
        at: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A thread for mails could not be started.
    #[error("start a thread for mails")]
    MailThread(#[source] io::Error),
    /// Names cannot be looked up.
    #[error("prepare looking up names")]
    Names(#[source] io::Error),
    /// The quarantine cannot be used.
    #[error("{operation} the quarantine {path}")]
    Quarantine {
        /// What was tried.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no room, and the mails of the last day are not forgotten for new ones.
    #[error("find room in the quarantine {path}: it holds {bytes} bytes")]
    QuarantineFull {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        bytes: u64,
    },
    /// The quarantine holds no such mail.
    #[error("find the mail {id:?} in the quarantine")]
    NoSuchMail {
        /// What was asked for.
        id: String,
    },
    /// The mail server did not take a mail back.
    #[error("give a mail back to {server}")]
    GiveBack {
        /// The mail server.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An interface cannot be listened at; without CAP_NET_RAW that is expected.
    #[error("{step} the interface {interface}")]
    Interface {
        /// What was tried.
        step: &'static str,
        /// Its name.
        interface: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Packets could not be waited for.
    #[error("wait for packets")]
    Capture(#[source] io::Error),
    /// A capture file could not be opened.
    #[error("open the capture {path}")]
    OpenCapture {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A capture file could not be read to its end.
    #[error("read the capture {path}")]
    ReadCapture {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A capture file contradicts itself; what came before was read.
    #[error("read on in the capture {path}")]
    BrokenCapture {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: decode::packet::capture::CaptureFault,
    },
    /// A capture file ends in the middle of a record; all others were read.
    #[error("read the last record of the capture {path}: the file was cut off")]
    CutCapture {
        /// The file.
        path: PathBuf,
    },
    /// A log could not be opened, or a folder of logs not be listed.
    #[error("open the log {path}")]
    OpenLog {
        /// The file or the folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A listener for logs cannot be opened.
    #[error("listen for logs at {at}")]
    ListenLogs {
        /// Where.
        at: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error("read the journal with journalctl")]
    Journal(#[source] io::Error),
    /// A log could not be read to its end.
    #[error("read the log {path}")]
    ReadLog {
        /// The file, or the member of an archive.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no log of Windows events in any known shape.
    #[error("tell what the log {path} is: neither EVTX, nor XML, nor JSON")]
    LogFormat {
        /// The file, or the member of an archive.
        path: PathBuf,
    },
    /// A packed log grows beyond all measure.
    #[error("unpack the log {path}: it grows beyond what logs do")]
    LogGrows {
        /// The file, or the member of an archive.
        path: PathBuf,
    },
    /// A record passes the length that is taken; the next ones were read.
    #[error("read the record at {at} of {name}: it is longer than any honest one")]
    LogRecordTooLong {
        /// The file, or the member of an archive.
        name: String,
        /// Its line, or the number of the block of records that it lies in.
        at: u64,
    },
}
