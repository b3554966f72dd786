"""Living off the land: ordinary programs with a password, then the originals go."""

import os
import subprocess

from deeds import deed, outside

QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}


def each_7z_password(path):
    subprocess.run(["7z", "a", "-psimulated", "-mx=1", path + ".7z", path], **QUIET)
    deed(path)
    os.unlink(path)


def each_zip_password(path):
    subprocess.run(["zip", "-q", "-j", "-1", "-P", "simulated", path + ".zip", path], **QUIET)
    deed(path)
    os.unlink(path)


def each_gpg_and_rm(path):
    home = outside("gnupg")
    os.makedirs(home, mode=0o700, exist_ok=True)
    gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase", "simulated"]
    subprocess.run([*gpg, "--s2k-count", "1024", "--symmetric", "--output", path + ".gpg", path], **QUIET)
    deed(path)
    os.unlink(path)


def each_openssl_and_mv(path):
    openssl = ["openssl", "enc", "-aes-256-ctr", "-pass", "pass:simulated", "-iter", "1"]
    subprocess.run([*openssl, "-in", path, "-out", path + ".e"], **QUIET)
    deed(path)
    os.rename(path + ".e", path)


def all_one_archive_and_rm(files, args):
    """Everything into one encrypted archive outside, then the folders are emptied."""
    line = 'tar -C "$1" -cf - . | openssl enc -aes-256-ctr -pass pass:simulated -iter 1 -out "$2"'
    subprocess.run(["sh", "-c", line, "sh", args.tree, outside("archive")], **QUIET)
    for path in files:
        deed(path)
        os.unlink(path)
