//! The raw system calls that rustix does not carry. Every unsafe line of this crate stands here.
#![allow(
    unsafe_code,
    reason = "fanotify, file handles and signalfd have no safe wrapper in rustix; this file is the only one"
)]

use std::ffi::CStr;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

/// fanotify_init(2).
pub(super) fn init(flags: u32, event_flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two integers and gives a new descriptor or -1.
    let fd = unsafe { libc::fanotify_init(flags, event_flags.cast_unsigned()) };
    // SAFETY: a descriptor that is not -1 was just made for us and nobody else owns it.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// fanotify_mark(2) on the object that `target` names.
pub(super) fn mark(group: BorrowedFd<'_>, flags: u32, mask: u64, target: &CStr) -> io::Result<()> {
    // SAFETY: `target` is a string that ends in NUL and outlives the call; the rest are integers.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, libc::AT_FDCWD, target.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// fanotify_mark(2) on the object that `target` names from `folder` on.
pub(super) fn mark_at(
    group: BorrowedFd<'_>,
    flags: u32,
    mask: u64,
    folder: BorrowedFd<'_>,
    target: &CStr,
) -> io::Result<()> {
    // SAFETY: as in `mark`.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, folder.as_raw_fd(), target.as_ptr()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// fanotify_mark(2) on the very inode behind `target`.
pub(super) fn mark_inode(
    group: BorrowedFd<'_>,
    flags: u32,
    mask: u64,
    target: BorrowedFd<'_>,
) -> io::Result<()> {
    // SAFETY: a null path stands for the object behind the descriptor; the rest are integers.
    let result =
        unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, target.as_raw_fd(), ptr::null()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Takes over a descriptor that the kernel put into an event.
pub(super) fn adopt(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: the kernel installs one fresh descriptor for each event, named only in that event, and each event is
    // parsed once.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the calling thread comes before everybody who shares the processor in the ordinary way, by real-time priority of the lowest
/// degree. What it starts does not inherit that. Without effect where it is not permitted.
pub(super) fn come_first(first: bool) {
    // SAFETY: plain data, for which all zeros is a value.
    let mut parameters: libc::sched_param = unsafe { mem::zeroed() };
    let policy = if first {
        parameters.sched_priority = 1;
        libc::SCHED_RR | libc::SCHED_RESET_ON_FORK
    } else {
        libc::SCHED_OTHER
    };
    // SAFETY: 0 is the calling thread, and the parameters outlive the call.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
}

/// Adds to an eventfd(2), which wakes whoever polls it.
pub(super) fn ring(bell: &OwnedFd) {
    // It only fails where so many calls stand in it that its owner is awake.
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// Empties an eventfd(2).
pub(super) fn hear(bell: &OwnedFd) {
    let _ = rustix::io::read(bell, &mut [0; 8]);
}

/// This process; the C library asks the kernel anew each time.
pub(super) fn own_pid() -> i32 {
    static OWN: OnceLock<i32> = OnceLock::new();
    *OWN.get_or_init(|| rustix::process::getpid().as_raw_nonzero().get())
}

/// Whether `tid` is a thread of this process: tgkill(2) with signal 0 sends nothing and asks just that.
pub(super) fn is_own(tid: i32) -> bool {
    // SAFETY: the call takes three integers and gives 0 or -1.
    unsafe { libc::syscall(libc::SYS_tgkill, own_pid(), tid, 0) == 0 }
}

/// open_by_handle_at(2) with O_PATH: the directory that an event names by its handle.
pub(super) fn open_by_handle(mount: BorrowedFd<'_>, kind: i32, handle: &[u8]) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct Raw {
        bytes: u32,
        kind: i32,
        handle: [u8; libc::MAX_HANDLE_SZ as usize],
    }
    let mut raw = Raw { bytes: 0, kind, handle: [0; libc::MAX_HANDLE_SZ as usize] };
    let room = raw.handle.get_mut(..handle.len()).ok_or(io::ErrorKind::InvalidInput)?;
    room.copy_from_slice(handle);
    raw.bytes = u32::try_from(handle.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `Raw` has the layout of `struct file_handle` followed by `bytes` bytes, and lives through the call.
    let fd = unsafe {
        libc::open_by_handle_at(
            mount.as_raw_fd(),
            ptr::from_mut(&mut raw).cast(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    // SAFETY: as in `init`.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

/// Blocks SIGTERM, SIGINT and SIGHUP for the calling thread and those it starts later, and gives a descriptor that becomes
/// readable when one of them arrives.
pub(in crate::files) fn termination() -> io::Result<OwnedFd> {
    // SAFETY: `set` is plain data that sigemptyset fills before anybody reads it, and it outlives all calls.
    let fd = unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut set, signal);
        }
        let error = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    // SAFETY: as in `init`.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}
