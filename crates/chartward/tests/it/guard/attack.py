# Seeded XOR over the files of a test's own tree: reversible, no malware. Refuses any folder without the test's marker beside it.
import ctypes, mmap, os, random, sys, threading, time

kind, tree = sys.argv[1], sys.argv[2]
assert open(os.path.join(os.path.dirname(tree), "made-by-the-guard-test")).read() == tree


def transform(data, seed):
    return bytes(a ^ b for a, b in zip(data, random.Random(seed).randbytes(len(data))))


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data, mode="wb"):
    with open(path, mode) as file:
        file.write(data)


def in_place(path, length=None):
    with open(path, "r+b") as file:
        data = file.read(length) if length else file.read()
        file.seek(0)
        file.write(transform(data, path))


def gandcrab(path):
    note = os.path.join(os.path.dirname(path), "KRAB-DECRYPT.txt")
    if not os.path.exists(note):
        write(note, b"---= GANDCRAB V4 =--- a rehearsal\n")
    in_place(path)
    os.rename(path, path + ".KRAB")


def new_then_delete(path):
    write(path + ".enc", transform(read(path), path))
    os.unlink(path)


def rename_over(path):
    write(path + ".tmp", transform(read(path), path))
    os.rename(path + ".tmp", path)


def rename_first(path):
    os.rename(path, path + ".locked")
    in_place(path + ".locked")


def truncate(path):
    data = read(path)
    write(path, transform(data, path))


def mapped(path):
    with open(path, "r+b") as file:
        view = mmap.mmap(file.fileno(), 0)
        view[:] = transform(view[:], path)
        view.close()


libc = ctypes.CDLL(None)
AT_FDCWD, EXCHANGE, FOLLOW = -100, 2, 0x400


def exchange(path):
    write(path + ".x", transform(read(path), path))
    assert libc.renameat2(AT_FDCWD, os.fsencode(path + ".x"), AT_FDCWD, os.fsencode(path), EXCHANGE) == 0
    os.unlink(path + ".x")


def unnamed_then_linked(path):
    data = transform(read(path), path)
    file = os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY)
    os.write(file, data)
    os.unlink(path)
    assert libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % file, AT_FDCWD, os.fsencode(path), FOLLOW) == 0
    os.close(file)


def hard_link_first(path):
    os.link(path, path + ".l")
    in_place(path + ".l")
    os.rename(path + ".l", path)


def fork(path, session=False):
    child = os.fork()
    if child == 0:
        if session:
            os.setsid()
        in_place(path)
        os._exit(0)
    os.waitpid(child, 0)


each = {
    "gandcrab": gandcrab,
    "in-place": in_place,
    "new-then-delete": new_then_delete,
    "rename-over": rename_over,
    "rename-first": rename_first,
    "truncate": truncate,
    "mapped": mapped,
    "exchange": exchange,
    "unnamed-then-linked": unnamed_then_linked,
    "hard-link-first": hard_link_first,
    "first-4k": lambda path: in_place(path, 4096),
    "fork-per-file": fork,
    "setsid-per-file": lambda path: fork(path, session=True),
    "private-namespace": in_place,
}


def private_namespace():
    """As a service with a private /tmp works, which started some time ago."""
    assert libc.unshare(0x20000) == 0
    assert libc.mount(b"none", b"/", None, ctypes.c_ulong(16384 | 1 << 18), None) == 0
    time.sleep(1)


def eight_workers(files):
    workers = []
    for k in range(8):
        workers.append(os.fork())
        if workers[-1] == 0:
            for path in files[k::8]:
                in_place(path)
            os._exit(0)
    [os.waitpid(worker, 0) for worker in workers]


def opened_all_first(paths):
    files = [(path, open(path, "r+b")) for path in paths]
    for path, file in files:
        data = file.read()
        file.seek(0)
        file.write(transform(data, path))
        file.flush()


files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names)
if kind == "threads":
    threads = [threading.Thread(target=lambda k=k: [in_place(path) for path in files[k::4]]) for k in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
elif kind == "eight-workers":
    eight_workers(files)
elif kind == "opened-all-first":
    opened_all_first(files)
else:
    if kind == "private-namespace":
        private_namespace()
    # Where nobody holds it, it must not be through before it is looked at.
    pause = float(sys.argv[3]) if len(sys.argv) > 3 else 0
    for path in files:
        each[kind](path)
        time.sleep(pause)
