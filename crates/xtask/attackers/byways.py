"""Further detours: other calls that write, other hands that hold the descriptor, other ways to the same inode."""

import ctypes
import mmap
import os
import socket
import struct
import subprocess
import time

from acts import in_place
from crews import apart
from deeds import cipher, deed, outside, read, write
from sneak import AT_FDCWD, check

_libc = ctypes.CDLL(None, use_errno=True)
IO_SETUP, IO_GETEVENTS, IO_SUBMIT = 206, 208, 209
NEWNS = 0x20000
BIND, REC, PRIVATE = 4096, 16384, 1 << 18
SYMLINK_FOLLOW = 0x400

# Other calls.


def each_o_direct(path):
    """Past the page cache: whole blocks from aligned memory, then the length is put right."""
    data = read(path)
    length = -(-len(data) // 4096) * 4096
    if not length:
        return
    with mmap.mmap(-1, length) as room:
        room[: len(data)] = cipher(data, path)
        descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT)
        deed(path)
        os.write(descriptor, room)
        os.ftruncate(descriptor, len(data))
        os.close(descriptor)


def each_pwritev(path):
    """In small pieces from the end to the beginning."""
    data = cipher(read(path), path)
    descriptor = os.open(path, os.O_WRONLY)
    deed(path)
    for at in reversed(range(0, len(data), 8192)):
        os.pwritev(descriptor, [data[at : at + 4096], data[at + 4096 : at + 8192]], at)
    os.close(descriptor)


_context = ctypes.c_ulong(0)


def each_aio(path):
    """Linux's older asynchronous calls (libaio)."""
    if not _context.value:
        check(_libc.syscall(IO_SETUP, 8, ctypes.byref(_context)))
    data = cipher(read(path), path)
    descriptor = os.open(path, os.O_WRONLY)
    room = ctypes.create_string_buffer(data, max(1, len(data)))
    request = ctypes.create_string_buffer(struct.pack("<QIIHhIQQqQII", 0, 0, 0, 1, 0, descriptor, ctypes.addressof(room), len(data), 0, 0, 0, 0))
    requests = (ctypes.c_void_p * 1)(ctypes.addressof(request))
    deed(path)
    check(_libc.syscall(IO_SUBMIT, _context, ctypes.c_long(1), requests))
    event = ctypes.create_string_buffer(32)
    check(_libc.syscall(IO_GETEVENTS, _context, ctypes.c_long(1), ctypes.c_long(1), event, None))
    os.close(descriptor)
    assert struct.unpack_from("<q", event, 16)[0] == len(data)


def each_splice(path):
    """Out of a pipe into the file."""
    data = cipher(read(path), path)
    out, into = os.pipe()
    descriptor = os.open(path, os.O_WRONLY)
    deed(path)
    for at in range(0, len(data), 4096):
        piece = data[at : at + 4096]
        os.write(into, piece)
        left = len(piece)
        while left:
            left -= os.splice(out, descriptor, left)
    for number in (out, into, descriptor):
        os.close(number)


# Other hands.


def each_inherited_descriptor(path):
    """Opened here, written by a program that never opened it."""
    write(outside(path), cipher(read(path), path))
    descriptor = os.open(path, os.O_WRONLY)
    deed(path)
    subprocess.run(["dd", "status=none", "bs=64k", f"if={outside(path)}"], stdout=descriptor, check=True)
    os.close(descriptor)


def all_passed_descriptor(files, _):
    """One opens and hands over (SCM_RIGHTS), another, of no kin once it runs, reads and writes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def writer():
        ours.close()
        while True:
            name, held, _, _ = socket.recv_fds(theirs, 65536, 1)
            if not held:
                return
            path = os.fsdecode(name)
            data = os.pread(held[0], 16 << 20, 0)
            deed(path)
            os.pwrite(held[0], cipher(data, path), 0)
            os.close(held[0])
            theirs.send(b"done")

    apart(writer, session=True, twice=True)
    theirs.close()
    for path in files:
        descriptor = os.open(path, os.O_RDWR)
        socket.send_fds(ours, [os.fsencode(path)], [descriptor])
        os.close(descriptor)
        if not ours.recv(16):
            raise SystemExit("the writer has gone")


def all_descriptor_of_another(files, _):
    """A child only reads; its parent opens for writing what lies under the child's number in /proc."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        try:
            while name := theirs.recv(65536):
                descriptor = os.open(name, os.O_RDONLY)
                theirs.send(b"%d" % descriptor)
                theirs.recv(16)
                os.close(descriptor)
        finally:
            os._exit(0)
    theirs.close()
    for path in files:
        ours.send(os.fsencode(path))
        number = ours.recv(16).decode()
        if not number:
            raise SystemExit("the reader has gone")
        in_place(f"/proc/{child}/fd/{number}", path)
        ours.send(b"done")
    ours.close()
    os.waitpid(child, 0)


def all_opened_all_first(files, _):
    """Every file is opened for writing, nothing happens for a second, then all are written without another open."""
    held = [os.open(path, os.O_RDWR) for path in files]
    time.sleep(1)
    for path, descriptor in zip(files, held):
        data = os.pread(descriptor, 16 << 20, 0)
        deed(path)
        os.pwrite(descriptor, cipher(data, path), 0)
    for descriptor in held:
        os.close(descriptor)


def all_mapped_all_first(files, _):
    """Every file is mapped and closed again; a child that opened nothing writes to the mappings."""
    views = []
    for path in files:
        with open(path, "r+b") as file:
            views.append(mmap.mmap(file.fileno(), 0))
    time.sleep(1)

    def act():
        for path, view in zip(files, views):
            data = view[:]
            deed(path)
            view[:] = cipher(data, path)

    apart(act)


# Other ways to the same inode.


def each_symlink_outside(path):
    if not os.path.lexists(outside(path)):
        os.symlink(path, outside(path))
    in_place(outside(path), path)


def each_by_handle(path):
    """Opened by its handle: no path is walked."""
    handle = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0) + b"\0" * 128)
    mount = ctypes.c_int()
    check(_libc.name_to_handle_at(AT_FDCWD, os.fsencode(path), handle, ctypes.byref(mount), SYMLINK_FOLLOW))
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    descriptor = check(_libc.open_by_handle_at(folder, handle, os.O_RDWR))
    data = os.pread(descriptor, 16 << 20, 0)
    deed(path)
    os.pwrite(descriptor, cipher(data, path), 0)
    os.close(descriptor)
    os.close(folder)


def enter_a_namespace():
    check(_libc.unshare(NEWNS))
    check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(REC | PRIVATE), None))


def all_private_namespace(files, _):
    """In a mount namespace of its own, as every service with PrivateTmp= runs that started some time ago."""
    enter_a_namespace()
    time.sleep(0.5)
    for path in files:
        in_place(path)


def all_fresh_namespace(files, _):
    """In one that it has just made."""
    enter_a_namespace()
    for path in files:
        in_place(path)


def all_bind_mount(files, args):
    """Through another mount of the tree, which goes with the process."""
    enter_a_namespace()
    place = outside("bind")
    os.makedirs(place, exist_ok=True)
    check(_libc.mount(os.fsencode(args.tree), os.fsencode(place), None, ctypes.c_ulong(BIND), None))
    for path in files:
        in_place(os.path.join(place, os.path.relpath(path, args.tree)), path)


def all_chroot(files, args):
    """The tree is its root folder, as a container's is."""
    os.chroot(args.tree)
    os.chdir("/")
    for path in files:
        in_place("/" + os.path.relpath(path, args.tree), path)
