"""Ciphertext that does not look like noise, or does not look like ciphertext."""

import base64
import os
import random
import struct
import zipfile
import zlib
from io import BytesIO

from deeds import cipher, deed, read, write, xor

_PERMUTATION = list(range(4096))
random.Random(4096).shuffle(_PERMUTATION)


def over(path, data):
    """Written over the original's own inode."""
    with open(path, "r+b") as file:
        deed(path)
        file.write(data)
        file.truncate(len(data))


def permuted(data):
    whole = len(data) // 4096 * 4096
    blocks = (data[at : at + 4096] for at in range(0, whole, 4096))
    rest = data[whole:]
    order = sorted(range(len(rest)), key=lambda k: (k * 2654435761) % 4294967296)
    return b"".join(bytes(map(block.__getitem__, _PERMUTATION)) for block in blocks) + bytes(map(rest.__getitem__, order))


def each_entropy_matched(path):
    """A keyed permutation: every statistic of single bytes stays what it was."""
    over(path, permuted(read(path)))


def each_single_byte_xor(path):
    """A weak cipher on purpose: the histogram is only relabelled."""
    data = read(path)
    over(path, xor(data, b"\xa7" * len(data)) if data else data)


def each_base64_output(path):
    data = read(path)
    over(path, base64.encodebytes(cipher(data, path)))


def each_base64_new_then_delete(path):
    data = read(path)
    deed(path)
    write(path + ".txt", base64.encodebytes(cipher(data, path)))
    os.unlink(path)


def each_hl7_shaped(path):
    """A text that looks like a record: its own first line, then ciphertext in fields of letters."""
    data = read(path)
    text = base64.b32encode(cipher(data, path)).decode().rstrip("=")
    head = data.split(b"\r", 1)[0][:256] if data.startswith(b"MSH|") else b"MSH|^~\\&|HIS|SEND|GW|RECEIVE|20181016||OML^O33|1|P|2.5"
    fields = "\r".join(f"OBX|{k}|ST|{text[at : at + 60]}|||F" for k, at in enumerate(range(0, len(text), 60)))
    over(path, head + b"\r" + fields.encode() + b"\r")


def each_kept_header(path):
    data = read(path)
    over(path, data[:512] + cipher(data[512:], path))


def png(data):
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def each_forged_png(path):
    """Frames, lengths and sums of a PNG are right; what should be pixels is ciphertext."""
    over(path, png(cipher(read(path), path)))


def each_forged_pdf(path):
    data = cipher(read(path), path)
    over(path, b"%%PDF-1.4\n1 0 obj\n<< /Length %d >>\nstream\n" % len(data) + data + b"\nendstream\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n")


def each_forged_zip_magic(path):
    over(path, b"PK\x03\x04\x14\x00\x00\x00\x08\x00" + cipher(read(path), path))


def each_forged_gzip_magic(path):
    over(path, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + cipher(read(path), path))


def each_valid_stored_zip(path):
    """A ZIP that opens, with one stored member of ciphertext."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data", cipher(read(path), path))
    data = packed.getvalue()
    deed(path)
    write(path + ".zip", data)
    os.unlink(path)


def each_valid_gzip_of_cipher(path):
    """A gzip that unpacks, to ciphertext."""
    data = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = data.compress(cipher(read(path), path)) + data.flush()
    deed(path)
    write(path + ".gz", packed)
    os.unlink(path)


def each_diluted(path):
    """Twenty honest new files for each that is taken."""
    folder = os.path.dirname(path)
    data = read(path)
    for number in range(20):
        write(os.path.join(folder, f"{os.path.basename(path)}.note-{number}.txt"), b"an honest line of text\n" * 20)
    over(path, cipher(data, path))
