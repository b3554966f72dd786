"""What every class shares: the marker, the journal of deeds, the keystream."""

import hashlib
import os
import time

MARKER = ".chartward-evaluation"
FILE_BYTES_MAX = 16 << 20

_tree, _journal, _seed = "", -1, ""


def refuse_unless_made_by(room, token, tree):
    room, tree = os.path.realpath(room), os.path.realpath(tree)
    with open(os.path.join(room, MARKER)) as marker:
        if len(token) < 16 or marker.read().strip() != token:
            raise SystemExit("refused: the room was not made by this run")
    if not tree.startswith(room + "/"):
        raise SystemExit("refused: the tree lies outside the room")


def begin(tree, journal, seed):
    global _tree, _journal, _seed
    # Opened once: whoever changes its user later can still write to it.
    _tree, _journal, _seed = tree, os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666), seed


def deed(path):
    """Said right before the first harm to a file; one write, so that processes do not mix."""
    os.write(_journal, f"{time.time_ns()} {os.path.relpath(path, _tree)}\n".encode("utf-8", "surrogateescape"))


def done():
    os.write(_journal, f"{time.time_ns()} /done\n".encode())


def outside(name):
    """A place beside the journal, which nobody guards."""
    folder = os.path.join(os.path.dirname(os.readlink(f"/proc/self/fd/{_journal}")), "loot")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:24])


def seed_of(path):
    return f"{_seed}:{os.path.relpath(path, _tree)}"


def keystream(path, length):
    return hashlib.shake_256(seed_of(path).encode("utf-8", "surrogateescape")).digest(length)


def xor(data, key):
    length = len(data)
    return (int.from_bytes(data, "big") ^ int.from_bytes(key[:length], "big")).to_bytes(length, "big")


def cipher(data, path):
    return xor(data, keystream(path, len(data))) if data else data


def read(path):
    with open(path, "rb") as file:
        return file.read(FILE_BYTES_MAX)


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)
