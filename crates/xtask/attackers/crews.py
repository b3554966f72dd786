"""Many processes, so that nobody sees one of them do much."""

import os
import subprocess
import sys
import threading
import time

from acts import in_place
from deeds import cipher, deed, outside, read, write


def apart(act, session=False, twice=False, uid=None):
    """Does `act` in a child; `twice`: in a grandchild whose parent has gone already."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    status = 1
    try:
        if session:
            os.setsid()
        if uid:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        if not twice or os.fork() == 0:
            act()
        status = 0
    finally:
        os._exit(status)


def each_fork(path):
    apart(lambda: in_place(path))


def each_setsid(path):
    apart(lambda: in_place(path), session=True)


def orphan(act):
    """In a grandchild that belongs to init; waited for by a pipe, since nobody can wait for its process."""
    ours, theirs = os.pipe()
    apart(act, session=True, twice=True)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)


def each_double_fork(path):
    orphan(lambda: in_place(path))


def each_double_fork_new_then_delete(path):
    def act():
        data = read(path)
        deed(path)
        write(path + ".enc", cipher(data, path))
        os.unlink(path)

    orphan(act)


def each_split_roles(path):
    """One reads and writes beside, another deletes: children of one parent."""
    apart(lambda: write(path + ".enc", cipher(read(path), path)))
    apart(lambda: (deed(path), os.unlink(path)))


def all_unrelated_roles(files, _):
    """A reader, a writer and a remover who share no parent; one tells the next by names outside the tree."""

    def reader():
        for path in files:
            write(outside(path) + ".part", cipher(read(path), path))
            os.rename(outside(path) + ".part", outside(path))

    def wait_for(path):
        end = time.monotonic() + 20
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.001)

    def writer():
        for path in files:
            wait_for(outside(path))
            write(path + ".enc", read(outside(path)))
            write(outside(path) + ".written", b"")

    def remover():
        for path in files:
            wait_for(outside(path) + ".written")
            deed(path)
            os.unlink(path)

    ours, theirs = os.pipe()
    for act in (reader, writer, remover):
        apart(act, session=True, twice=True)
    os.close(theirs)
    os.read(ours, 1)


def each_orphan_per_act(path):
    """For each file a reader, a writer and a remover of its own, all orphans."""
    orphan(lambda: write(outside(path), cipher(read(path), path)))
    orphan(lambda: write(path + ".enc", read(outside(path))))
    orphan(lambda: (deed(path), os.unlink(path)))


def all_threads(files, _):
    threads = [threading.Thread(target=lambda k=k: [in_place(path) for path in files[k::4]]) for k in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


def all_many_workers(files, _):
    """Eight processes at once."""
    workers = []
    for k in range(8):
        child = os.fork()
        if child == 0:
            try:
                for path in files[k::8]:
                    in_place(path)
            finally:
                os._exit(0)
        workers.append(child)
    [os.waitpid(worker, 0) for worker in workers]


def all_relay(files, _):
    """Each process does one file, starts the next one and ends."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        for path in files:
            in_place(path)
            if os.fork():
                os._exit(0)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)


def all_uid_per_file(files, _):
    """Another user for each file, as a stolen domain would have."""
    for number, path in enumerate(files):
        apart(lambda: in_place(path), session=True, uid=20000 + number)


def all_uid_and_orphan_per_file(files, _):
    for number, path in enumerate(files):
        ours, theirs = os.pipe()
        apart(lambda: in_place(path), session=True, twice=True, uid=20000 + number)
        os.close(theirs)
        os.read(ours, 1)
        os.close(ours)


def each_exec_per_file(path):
    """A program of its own for each file: dd writes what was encrypted elsewhere."""
    write(outside(path), cipher(read(path), path))
    deed(path)
    subprocess.run(["dd", "conv=notrunc", "status=none", f"if={outside(path)}", f"of={path}"], check=True)
