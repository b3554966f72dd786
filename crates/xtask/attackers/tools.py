"""More ordinary programs: loops of a shell, archivers that remove what they took, a restore of ciphertext."""

import os
import subprocess
import tarfile
from io import BytesIO

from deeds import cipher, deed, outside, read
from programs import QUIET

KEY = "73696d756c6174656473696d756c61746573696d756c6174656473696d756c61"


def shell(files, args, line):
    """One shell that does `line` to each file `$f`; `say` is its word to the journal."""
    say = 'say() { printf "%s %s\\n" "$(date +%s%N)" "${f#"$T"/}" >>"$J"; }; while IFS= read -r f; do ' + line + "; done"
    settings = {**os.environ, "T": args.tree, "J": args.journal, "K": KEY, "LC_ALL": "C"}
    names = b"".join(os.fsencode(path) + b"\n" for path in files)
    subprocess.run(["sh", "-ec", say], input=names, stdout=subprocess.DEVNULL, check=True, env=settings)


def all_openssl_in_place(files, args):
    """No file of its own: it reads and writes the same inode, which the shell opened for it."""
    shell(files, args, 'say; openssl enc -aes-256-ctr -K $K -iv 00 <"$f" 1<>"$f" 2>/dev/null')


def all_openssl_ecb(files, args):
    """The weakest mode: equal blocks stay equal."""
    shell(files, args, 'openssl enc -aes-256-ecb -K $K -in "$f" -out "$f.enc" 2>/dev/null; say; rm "$f"')


def all_openssl_base64_cat(files, args):
    shell(files, args, 'openssl enc -aes-256-cbc -a -K $K -iv 00 -in "$f" -out "$f.tmp" 2>/dev/null; say; cat "$f.tmp" >"$f"; rm "$f.tmp"')


def all_sed_letters(files, args):
    """A substitution of letters and digits by sed: weak, and yet nobody can read a record."""
    shell(files, args, "say; sed -i y/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/qwertyuiopasdfghjklzxcvbnmQWERTYUIOPASDFGHJKLZXCVBNM7412589630/ \"$f\"")


def all_perl_in_place(files, args):
    """perl -pi with a key of 16 bytes."""
    shell(files, args, "say; perl -0777 -pi -e '$_ ^= substr(\"simulated-key-16\" x (1 + length($_) / 16), 0, length($_))' \"$f\"")


def all_dd_pieces(files, args):
    """dd writes the first 16 KiB back, encrypted, block by block in a pipe."""
    line = 'say; dd if="$f" bs=4k count=4 status=none | openssl enc -aes-256-ctr -K $K -iv 00 2>/dev/null | dd of="$f" bs=4k conv=notrunc iflag=fullblock status=none'
    shell(files, args, line)


def all_age_and_rm(files, args):
    identity = outside("identity")
    if not os.path.exists(identity):
        subprocess.run(["age-keygen", "-o", identity], **QUIET)
    with open(identity) as file:
        recipient = next(line.split(": ")[1].strip() for line in file if line.startswith("# public key"))
    shell(files, args, f'age -r {recipient} -o "$f.age" "$f"; say; rm "$f"')


def each_ccrypt(path):
    """Overwrites in place and renames by itself."""
    deed(path)
    subprocess.run(["ccrypt", "-e", "-f", "-K", "simulated", path], **QUIET)


def by_folder(files, act):
    """The journal counts a whole folder as touched, though the program comes to its files one after another."""
    for folder in sorted({os.path.dirname(path) for path in files}):
        inside = [path for path in files if os.path.dirname(path) == folder]
        for path in inside:
            deed(path)
        act(folder, inside)


def all_7z_per_folder(files, _):
    """7z removes what it has taken."""
    by_folder(files, lambda folder, inside: subprocess.run(["7z", "a", "-sdel", "-psimulated", "-mhe=on", "-mx=1", os.path.join(folder, "archive.7z"), *inside], **QUIET))


def all_zip_per_folder(files, _):
    """zip -m removes what it has taken."""
    by_folder(files, lambda folder, inside: subprocess.run(["zip", "-q", "-m", "-j", "-1", "-P", "simulated", os.path.join(folder, "archive.zip"), *inside], **QUIET))


def all_qpdf_password(files, _):
    """PDFs alone, and they stay PDFs: nobody knows their password."""
    for path in files:
        if path.endswith(".pdf"):
            deed(path)
            ended = subprocess.run(["qpdf", "--encrypt", "simulated", "simulated", "256", "--", "--replace-input", path], **{**QUIET, "check": False})
            if os.path.exists(path + ".~qpdf-orig"):
                os.unlink(path + ".~qpdf-orig")
            if ended.returncode not in (0, 2, 3):
                raise SystemExit(f"qpdf: {ended.returncode}")


def all_tar_over(files, args):
    """Looks like a restore: tar unpacks over everything, and what it unpacks is ciphertext."""
    tar = subprocess.Popen(["tar", "-xf", "-", "-C", args.tree, "--overwrite"], stdin=subprocess.PIPE)
    with tarfile.open(fileobj=tar.stdin, mode="w|", bufsize=512, format=tarfile.GNU_FORMAT) as archive:
        for path in files:
            data = cipher(read(path), path)
            member = tarfile.TarInfo(os.path.relpath(path, args.tree))
            member.size, member.mode = len(data), 0o666
            deed(path)
            archive.addfile(member, BytesIO(data))
    tar.stdin.close()
    if tar.wait():
        raise SystemExit("tar failed")


def all_rsync_over(files, args):
    """An encrypted copy is made elsewhere; rsync brings it over the tree, folder by folder."""
    mirror = outside("mirror")
    for path in files:
        target = os.path.join(mirror, os.path.relpath(path, args.tree))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(cipher(read(path), path))
    bring = lambda folder: ["rsync", "-dI", os.path.join(mirror, os.path.relpath(folder, args.tree)) + "/", folder + "/"]
    by_folder(files, lambda folder, _: subprocess.run(bring(folder), **QUIET))
