"""Rare system calls and detours."""

import ctypes
import os

import uring
from acts import in_place
from deeds import cipher, deed, outside, read, write

_libc = ctypes.CDLL(None, use_errno=True)
PUNCH_HOLE, COLLAPSE, KEEP_SIZE = 2, 8, 1
FICLONE = 0x40049409
EXCHANGE, FOLLOW = 2, 0x400
AT_FDCWD = -100
O_PATH = 0o10000000


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def each_fallocate(path):
    """The old content goes by punching, the new one is written where it was."""
    data = read(path)
    descriptor = os.open(path, os.O_RDWR)
    deed(path)
    if data:
        check(_libc.fallocate(descriptor, PUNCH_HOLE | KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(len(data))))
    os.pwrite(descriptor, cipher(data, path), 0)
    os.close(descriptor)


def each_append_then_collapse(path):
    """The ciphertext is appended; then the original's blocks are cut out."""
    data = read(path)
    with open(path, "r+b") as file:
        file.write(data + b"\0" * (-len(data) % 4096))
        deed(path)
        file.seek(-(-len(data) // 4096) * 4096)
        file.write(cipher(data, path))
        file.flush()
        cut = -(-len(data) // 4096) * 4096
        if cut:
            check(_libc.fallocate(file.fileno(), COLLAPSE, ctypes.c_long(0), ctypes.c_long(cut)))


def each_copy_file_range(path):
    write(outside(path), cipher(read(path), path))
    source = os.open(outside(path), os.O_RDONLY)
    target = os.open(path, os.O_WRONLY)
    deed(path)
    while os.copy_file_range(source, target, 1 << 30):
        pass
    os.close(source)
    os.close(target)


def each_sendfile(path):
    write(outside(path), cipher(read(path), path))
    with open(outside(path), "rb") as source:
        target = os.open(path, os.O_WRONLY)
        deed(path)
        os.sendfile(target, source.fileno(), 0, os.path.getsize(outside(path)))
        os.close(target)


def each_o_path_reopen(path):
    """Found as a mere path, opened for writing by its number in /proc."""
    descriptor = os.open(path, O_PATH)
    data = read(f"/proc/self/fd/{descriptor}")
    target = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY)
    deed(path)
    os.write(target, cipher(data, path))
    os.close(target)
    os.close(descriptor)


def each_io_uring(path):
    ring = uring.ring()
    descriptor = ring.open(path, os.O_RDWR)
    data = ring.read(descriptor, os.fstat(descriptor).st_size)
    deed(path)
    ring.write(descriptor, cipher(data, path))
    ring.close(descriptor)


def each_io_uring_names(path):
    """Written beside and put over the original by io_uring alone."""
    ring = uring.ring()
    data = read(path)
    descriptor = ring.open(path + ".tmp", os.O_WRONLY | os.O_CREAT)
    ring.write(descriptor, cipher(data, path))
    ring.close(descriptor)
    deed(path)
    ring.rename(path + ".tmp", path)


def each_exchange(path):
    """The two names are exchanged, then the original goes."""
    write(path + ".x", cipher(read(path), path))
    deed(path)
    names = [os.fsencode(name) for name in (path + ".x", path)]
    check(_libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], EXCHANGE))
    os.unlink(path + ".x")


def each_unnamed_then_linked(path):
    """The ciphertext has no name until it takes the original's."""
    data = read(path)
    descriptor = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY)
    os.write(descriptor, cipher(data, path))
    deed(path)
    os.unlink(path)
    check(_libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % descriptor, AT_FDCWD, os.fsencode(path), FOLLOW))
    os.close(descriptor)


def each_clone_over(path):
    """The ciphertext's blocks are shared into the original (reflink)."""
    import fcntl

    data = read(path)
    write(path + ".c", cipher(data, path))
    with open(path + ".c", "rb") as source, open(path, "r+b") as target:
        deed(path)
        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        target.truncate(len(data))
    os.unlink(path + ".c")


def each_hard_link_first(path):
    """Written through a second name, which then takes the first one's place."""
    os.link(path, path + ".l")
    in_place(path + ".l", path)
    os.rename(path + ".l", path)


def all_folder_renamed_first(files, args):
    for folder in sorted({os.path.dirname(path) for path in files}, key=lambda name: -name.count("/")):
        inside = [path for path in files if os.path.dirname(path) == folder]
        moved = folder if folder == args.tree else folder + ".taken"
        for path in inside:
            deed(path)
        if moved != folder:
            os.rename(folder, moved)
        for path in inside:
            data = read(os.path.join(moved, os.path.basename(path)))
            with open(os.path.join(moved, os.path.basename(path)), "r+b") as file:
                file.write(cipher(data, path))


def each_moved_out_then_back(path):
    """Encrypted where nobody guards, then brought back over the original."""
    write(outside(path), cipher(read(path), path))
    deed(path)
    os.unlink(path)
    write(path, read(outside(path)))


def each_stolen_then_deleted(path):
    """Ciphertext goes elsewhere; nothing but deletions happens in the tree."""
    write(outside(path), cipher(read(path), path))
    deed(path)
    os.unlink(path)


def each_stolen_then_emptied(path):
    """Ciphertext goes elsewhere; the originals are emptied by path and stay, at size 0."""
    write(outside(path), cipher(read(path), path))
    deed(path)
    os.truncate(path, 0)


def each_deleted_unread(path):
    """A wiper: originals that nobody opened are removed."""
    deed(path)
    os.unlink(path)


def each_zeroed(path):
    """A wiper that writes zeros."""
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        deed(path)
        file.write(b"\0" * size)
