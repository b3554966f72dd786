"""Written by somebody who did not know how the guard judges: other shapes of ciphertext, other orders of work."""

import base64
import binascii
import hashlib
import hmac
import os
import random
import sqlite3
import struct
import time
import wave
import zlib
from io import BytesIO

import acts
import disguise
from acts import in_place, stretches
from crews import apart, orphan
from deeds import cipher, deed, read, seed_of, write, xor
from disguise import over

# Parts of a file.


def each_every_second_byte(path):
    data = bytearray(read(path))
    data[1::2] = cipher(bytes(data[1::2]), path)
    over(path, bytes(data))


def each_last_half(path):
    size = os.path.getsize(path)
    stretches(path, [(size // 2, size - size // 2)])


def all_several_passes(files, _):
    """A few bytes of every file, then a few more of every file: eight times, a sixteenth of the file in all."""
    for turn in range(8):
        for path in files:
            size = os.path.getsize(path)
            stretches(path, [(size * turn // 8, max(16, size // 128))])


# Weak ciphers, other letters.


def each_repeating_key(path):
    """XOR with the same 16 bytes over and over: patterns of the original shine through."""
    data = read(path)
    key = hashlib.sha256(seed_of(path).encode("utf-8", "surrogateescape")).digest()[:16]
    over(path, xor(data, key * (len(data) // 16 + 1)) if data else data)


def each_compressed_then_encrypted(path):
    data = read(path)
    over(path, cipher(zlib.compress(data), path))


def each_fernet_token(path):
    """As the usual script in Python does: read, Fernet, opened anew for writing."""
    data = read(path)
    body = b"\x80" + struct.pack(">Q", 1_539_640_000) + hashlib.sha256(seed_of(path).encode("utf-8", "surrogateescape")).digest()[:16]
    body += cipher(data + bytes([16 - len(data) % 16]) * (16 - len(data) % 16), path)
    token = base64.urlsafe_b64encode(body + hmac.digest(b"simulated", body, "sha256"))
    deed(path)
    write(path, token)


def each_hex_output(path):
    over(path, binascii.hexlify(cipher(read(path), path)))


def each_ascii85_output(path):
    over(path, base64.a85encode(cipher(read(path), path), wrapcol=76, adobe=True))


def each_uuencoded(path):
    data = cipher(read(path), path)
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    deed(path)
    write(path + ".uue", b"begin 644 data\n" + lines + b"`\nend\n")
    os.unlink(path)


# Containers that any reader of the format accepts.


def replace(path, suffix, data):
    deed(path)
    write(path + suffix, data)
    os.unlink(path)


def each_png_of_cipher(path):
    """A PNG that every viewer shows: the ciphertext is its pixels."""
    data = struct.pack(">Q", os.path.getsize(path)) + cipher(read(path), path)
    width = 256
    height = -(-len(data) // (3 * width))
    data = data.ljust(height * width * 3, b"\0")
    rows = b"".join(b"\0" + data[at : at + 3 * width] for at in range(0, len(data), 3 * width))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    replace(path, ".png", b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def each_bmp_of_cipher(path):
    data = struct.pack("<Q", os.path.getsize(path)) + cipher(read(path), path)
    width = 256
    height = -(-len(data) // (3 * width))
    data = data.ljust(height * width * 3, b"\0")
    header = struct.pack("<2sIHHI", b"BM", 54 + len(data), 0, 0, 54)
    header += struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(data), 2835, 2835, 0, 0)
    over(path, header + data)


def each_wav_of_cipher(path):
    packed = BytesIO()
    with wave.open(packed, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(44100)
        data = cipher(read(path), path)
        sound.writeframes(data + b"\0" * (len(data) % 2))
    replace(path, ".wav", packed.getvalue())


def each_dicom_of_cipher(path):
    """An image keeps all that stands before its pixels; what is no image becomes one."""
    data = read(path)
    at = data.find(b"\xe0\x7f\x10\x00")
    if data[128:132] == b"DICM" and 0 < at < len(data) - 64:
        return over(path, data[: at + 12] + cipher(data[at + 12 :], path))

    def element(group, number, kind, value):
        value += (b"\0" if kind in (b"UI", b"OB") else b" ") * (len(value) % 2)
        length = struct.pack("<HI", 0, len(value)) if kind in (b"OB", b"OW") else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + kind + length + value

    meta = element(2, 1, b"OB", b"\0\1") + element(2, 2, b"UI", b"1.2.840.10008.5.1.4.1.1.7")
    meta += element(2, 3, b"UI", b"2.25.2018") + element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1")
    side = -(-len(data) // 512)
    number = lambda value: struct.pack("<H", value)
    image = element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.7") + element(8, 0x18, b"UI", b"2.25.2018")
    image += element(8, 0x60, b"CS", b"OT") + element(0x10, 0x10, b"PN", b"ANON") + element(0x10, 0x20, b"LO", b"1")
    image += element(0x28, 2, b"US", number(1)) + element(0x28, 4, b"CS", b"MONOCHROME2")
    image += element(0x28, 0x10, b"US", number(side & 0xFFFF)) + element(0x28, 0x11, b"US", number(512))
    for tag, value in [(0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0)]:
        image += element(0x28, tag, b"US", number(value))
    image += element(0x7FE0, 0x10, b"OB", cipher(data, path).ljust(side * 512, b"\0"))
    over(path, b"\0" * 128 + b"DICM" + element(2, 0, b"UL", struct.pack("<I", len(meta))) + meta + image)


def compound(streams):
    """An OLE compound file of a few streams, none of them small."""
    size, end, free = 512, 0xFFFFFFFE, 0xFFFFFFFF
    streams = [(name, data, data.ljust(max(4096, -(-len(data) // size) * size), b"\0")) for name, data in streams]
    count = 1 + sum(len(padded) // size for _, _, padded in streams)
    tables = 1
    while tables * 128 < count + tables:
        tables += 1
    fat = [0xFFFFFFFD] * tables + [end]
    entry = lambda name, kind, child, right, start, length: struct.pack(
        "<64sHBBIII16sIQQIQ", name.encode("utf-16-le"), 2 * len(name) + 2, kind, 1, free, right, child, b"", 0, 0, 0, start, length
    )
    folder = entry("Root Entry", 5, 1, free, end, 0)
    for number, (name, data, padded) in enumerate(streams, 1):
        start, blocks = len(fat), len(padded) // size
        fat += [*range(start + 1, start + blocks), end]
        folder += entry(name, 2, free, number + 1 if number < len(streams) else free, start, max(4096, len(data)))
    fat += [free] * (tables * 128 - len(fat))
    header = struct.pack("<8s16sHHHHH6sIIIIIIIII", bytes.fromhex("d0cf11e0a1b11ae1"), b"", 0x3E, 3, 0xFFFE, 9, 6, b"", 0, tables, tables, 0, 4096, end, 0, end, 0)
    header += struct.pack("<109I", *(list(range(tables)) + [free] * (109 - tables)))
    return header + struct.pack(f"<{len(fat)}I", *fat) + folder.ljust(size, b"\0") + b"".join(padded for _, _, padded in streams)


def each_ole_encrypted_package(path):
    """What Office writes for a document with a password: a compound file around ciphertext."""
    data = read(path)
    info = struct.pack("<HHI", 4, 4, 0x40) + b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><encryption xmlns="http://schemas.microsoft.com/office/2006/encryption"/>'
    over(path, compound([("EncryptionInfo", info), ("EncryptedPackage", struct.pack("<Q", len(data)) + cipher(data, path))]))


# Orders of work.


def all_container_then_emptied(files, args):
    """Twenty files at a time go into one container in the tree; then each is emptied and stays."""
    for at in range(0, len(files), 20):
        with open(os.path.join(args.tree, f"volume-{at // 20:03}.bin"), "wb") as container:
            for path in files[at : at + 20]:
                container.write(cipher(read(path), path))
        for path in files[at : at + 20]:
            deed(path)
            write(path, b"")


def copies_of(files):
    for path in files:
        write(path + ".enc", cipher(read(path), path))


def remove(files):
    for path in files:
        deed(path)
        os.unlink(path)


def all_copies_first(files, _):
    """Ciphertext beside every file, a pause, and only then all originals go."""
    copies_of(files)
    time.sleep(2)
    remove(files)


def all_copies_first_other_removes(files, _):
    """The same, but whoever removes is an orphan that never read or wrote anything."""
    apart(lambda: copies_of(files), session=True)
    time.sleep(2)
    orphan(lambda: remove(files))


def all_irregular_pauses(files, _):
    """Two in quick succession, then nothing for a while, as a person's work."""
    dice = random.Random(len(files))
    for number, path in enumerate(files[:20]):
        in_place(path)
        time.sleep(dice.uniform(0.5, 2.5) if number % 2 else 0.05)


def each_read_then_renamed(path):
    """The original is read and renamed before anything is written."""
    data = read(path)
    deed(path)
    os.rename(path, path + ".locked")
    write(path + ".locked", cipher(data, path))


def all_names_first(files, _):
    """First every name becomes ciphertext, then every content."""
    taken = []
    for path in files:
        name = hashlib.sha256(seed_of(path).encode("utf-8", "surrogateescape")).hexdigest()[:32]
        taken.append(os.path.join(os.path.dirname(path), name))
        deed(path)
        os.rename(path, taken[-1])
    for path, now in zip(files, taken):
        in_place(now, path)


def all_technique_per_folder(files, _):
    """Each folder is done in another way, so that no way is seen often."""
    ways = [acts.each_in_place, acts.each_new_then_delete, acts.each_rename_over, acts.each_mapped, acts.each_intermittent]
    ways += [acts.each_o_trunc, disguise.each_base64_output, disguise.each_valid_gzip_of_cipher, each_every_second_byte, each_hex_output]
    for path in files:
        ways[hashlib.sha256(os.path.dirname(path).encode("utf-8", "surrogateescape")).digest()[0] % len(ways)](path)


def all_honest_between(files, args):
    """Twenty files are read and five of them copied for each one that is encrypted, all by the same process."""
    copies = os.path.join(args.tree, "copies")
    os.mkdir(copies)
    for number, path in enumerate(files):
        for step in range(1, 21):
            other = files[(number + step) % len(files)]
            data = read(other)
            if step <= 5:
                write(os.path.join(copies, f"{step}-{os.path.basename(other)}"), data)
        in_place(path)


def each_times_put_back(path):
    """Size, mode and times are what they were."""
    before = os.stat(path)
    in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def each_appended_then_zeroed(path):
    """The ciphertext is appended, then the original before it becomes zeros; the file only grows."""
    data = read(path)
    with open(path, "r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(cipher(data, path))
        file.flush()
        deed(path)
        file.seek(0)
        file.write(b"\0" * len(data))


def all_sqlite_update(files, _):
    """Databases stay databases: their rows become ciphertext through SQLite itself."""
    for path in files:
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                continue
        connection = sqlite3.connect(path)
        connection.create_function("taken", 1, lambda text: cipher(str(text).encode(), path), deterministic=True)
        deed(path)
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            columns = [row[1] for row in connection.execute(f'pragma table_info("{table}")') if not row[5]]
            for column in columns:
                connection.execute(f'update "{table}" set "{column}" = taken("{column}") where "{column}" is not null')
        connection.commit()
        connection.close()
