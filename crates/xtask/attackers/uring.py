"""As much io_uring as an encryptor needs, one request at a time."""

import ctypes
import mmap
import os
import struct

SETUP, ENTER = 425, 426
OPENAT, CLOSE, READ, WRITE, RENAMEAT = 18, 19, 22, 23, 35
SQES_AT = 0x10000000
GETEVENTS = 1
AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)
_ring = None


def ring():
    global _ring
    _ring = _ring or Ring()
    return _ring


class Ring:
    def __init__(self):
        params = ctypes.create_string_buffer(120)
        self.fd = _libc.syscall(SETUP, 8, params)
        if self.fd < 0:
            raise SystemExit(f"unsupported: io_uring: {os.strerror(ctypes.get_errno())}")
        words = struct.unpack("<30I", params.raw)
        sq_entries, cq_entries = words[0], words[1]
        self.sq_tail, self.sq_mask, self.sq_array = words[11], words[12], words[16]
        self.cq_head, self.cq_tail, self.cq_mask, self.cqes = words[20], words[21], words[22], words[25]
        size = max(self.sq_array + 4 * sq_entries, self.cqes + 16 * cq_entries)
        self.rings = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self.sqes = mmap.mmap(self.fd, 64 * sq_entries, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=SQES_AT)

    def word(self, at):
        return struct.unpack_from("<I", self.rings, at)[0]

    def submit(self, opcode, fd, offset, address, length, flags=0):
        tail = self.word(self.sq_tail)
        index = tail & self.word(self.sq_mask)
        struct.pack_into("<BBHiQQIIQ24x", self.sqes, 64 * index, opcode, 0, 0, fd, offset, address, length, flags, 1)
        struct.pack_into("<I", self.rings, self.sq_array + 4 * index, index)
        struct.pack_into("<I", self.rings, self.sq_tail, (tail + 1) & 0xFFFFFFFF)
        while self.word(self.cq_head) == self.word(self.cq_tail):
            _libc.syscall(ENTER, self.fd, 0 if self.word(self.sq_tail) != tail + 1 else 1, 1, GETEVENTS, None, 0)
        head = self.word(self.cq_head)
        result = struct.unpack_from("<Qi", self.rings, self.cqes + 16 * (head & self.word(self.cq_mask)))[1]
        struct.pack_into("<I", self.rings, self.cq_head, (head + 1) & 0xFFFFFFFF)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def open(self, path, flags):
        name = ctypes.create_string_buffer(os.fsencode(path))
        return self.submit(OPENAT, AT_FDCWD, 0, ctypes.addressof(name), 0o644, flags)

    def read(self, fd, length):
        room = ctypes.create_string_buffer(max(1, length))
        return room.raw[: self.submit(READ, fd, 0, ctypes.addressof(room), length)]

    def write(self, fd, data):
        room = ctypes.create_string_buffer(data, max(1, len(data)))
        self.submit(WRITE, fd, 0, ctypes.addressof(room), len(data))

    def rename(self, old, new):
        names = [ctypes.create_string_buffer(os.fsencode(name)) for name in (old, new)]
        self.submit(RENAMEAT, AT_FDCWD, ctypes.addressof(names[1]), ctypes.addressof(names[0]), AT_FDCWD & 0xFFFFFFFF)

    def close(self, fd):
        self.submit(CLOSE, fd, 0, 0, 0)
