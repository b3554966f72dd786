//! The raw system calls of a packet socket and its ring. Every unsafe line of the sensor stands here, but for one in `pages`.
#![allow(
    unsafe_code,
    reason = "options of packet sockets and the memory that the kernel writes packets to have no safe wrapper; this file holds nothing else"
)]

use std::ffi::c_void;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a block's status stands in it: `tpacket_hdr_v1.block_status`.
const STATUS_AT: usize = 8;

/// How the ring is laid out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// A power of two, and at least a page.
    pub(super) block_bytes: u32,
    pub(super) blocks: u32,
    /// A block that is not full is handed over after so long.
    pub(super) retire_ms: u32,
}

/// Room that the kernel leaves before each frame, for the VLAN tag that it took out.
pub(super) const RESERVED: u32 = 4;

/// What the kernel counted since it was last asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Those that were dropped included.
    pub(super) packets: u32,
    pub(super) dropped: u32,
}

/// The memory that kernel and sensor share, block by block. Lives as long as its mapping.
#[derive(Debug)]
pub(super) struct Ring {
    start: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
}

impl Ring {
    /// Makes `socket` write its packets to a ring of TPACKET_V3 (Documentation/networking/packet_mmap.rst).
    pub(super) fn new(socket: BorrowedFd<'_>, layout: Layout) -> io::Result<Self> {
        const FRAME_BYTES: u32 = 2048;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set(socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        set(socket, libc::SOL_PACKET, libc::PACKET_RESERVE, &RESERVED)?;
        let request = libc::tpacket_req3 {
            tp_block_size: layout.block_bytes,
            tp_block_nr: layout.blocks,
            tp_frame_size: FRAME_BYTES,
            tp_frame_nr: layout.block_bytes / FRAME_BYTES * layout.blocks,
            tp_retire_blk_tov: layout.retire_ms,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let (block_bytes, blocks) = (layout.block_bytes as usize, layout.blocks as usize);
        let bytes = block_bytes.checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice, of the length that the ring was just made with.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, block_bytes, blocks })
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        let at = (block % self.blocks) * self.block_bytes + STATUS_AT;
        // SAFETY: `at` lies within the mapping, which is aligned to a page and lives as long as `self`; blocks are multiples of a
        // page and the status is a 32-bit word at a multiple of four. Kernel and sensor access it as a whole word only.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// The block, if the kernel has handed it over.
    pub(super) fn take(&mut self, block: usize) -> Option<&mut [u8]> {
        if self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let at = (block % self.blocks) * self.block_bytes;
        // SAFETY: the block lies within the mapping. The kernel writes nothing to it until its status is `TP_STATUS_KERNEL` again,
        // which only `give_back` makes it, for which this borrow has to have ended.
        Some(unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(at), self.block_bytes) })
    }

    /// Lets the kernel write to the block again.
    pub(super) fn give_back(&mut self, block: usize) {
        self.status(block).store(libc::TP_STATUS_KERNEL, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, of which no slice outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.blocks) };
    }
}

/// Takes packets of that interface from now on, of every protocol; with protocol 0 of none.
pub(super) fn bind(socket: BorrowedFd<'_>, index: u32, protocol: u16) -> io::Result<()> {
    // SAFETY: plain data, for which all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = index.cast_signed();
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is a `sockaddr_ll` of that length and outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks the interface for packets that are addressed to others as well, for as long as the socket is open.
pub(super) fn promiscuous(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let request = libc::packet_mreq {
        mr_ifindex: index.cast_signed(),
        mr_type: libc::PACKET_MR_PROMISC as libc::c_ushort,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// What was counted since the last call.
pub(super) fn counts(socket: BorrowedFd<'_>) -> io::Result<Counts> {
    // SAFETY: plain data, for which all zeros is a value.
    let mut stats: libc::tpacket_stats_v3 = unsafe { mem::zeroed() };
    let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `stats`, which is as long.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut stats).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Counts { packets: stats.tp_packets, dropped: stats.tp_drops })
}

/// `IFF_UP` and its like of an interface (netdevice(7)).
pub(super) fn flags(socket: impl AsFd, name: &str) -> io::Result<i32> {
    let request = ask(socket.as_fd(), name, libc::SIOCGIFFLAGS)?;
    // SAFETY: SIOCGIFFLAGS has filled this member.
    Ok(i32::from(unsafe { request.ifr_ifru.ifru_flags }))
}

/// `ARPHRD_ETHER` and its like of an interface.
pub(super) fn hardware(socket: impl AsFd, name: &str) -> io::Result<u16> {
    let request = ask(socket.as_fd(), name, libc::SIOCGIFHWADDR)?;
    // SAFETY: SIOCGIFHWADDR has filled this member.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

fn ask(socket: BorrowedFd<'_>, name: &str, what: libc::c_ulong) -> io::Result<libc::ifreq> {
    // SAFETY: plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    // SAFETY: both requests read the name, which ends in NUL, and write to this very structure.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(request) }
}

fn set<T>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let value: *const c_void = ptr::from_ref(value).cast();
    // SAFETY: the kernel reads `length` bytes from `value`, which is a plain structure of that length and outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, value, length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
