# Spreads a seeded, reversible XOR over processes that share as little as possible. Refuses any folder without the test's marker
# beside it. Arguments: kind, tree, number of files, and a place for control groups where the kind needs one.
import os, random, select, sys, time

kind, tree, count, groups = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
assert open(os.path.join(os.path.dirname(tree), "made-by-the-guard-test")).read() == tree


def transform(data, seed):
    return bytes(a ^ b for a, b in zip(data, random.Random(seed).randbytes(len(data))))


def in_place(path):
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(0)
        file.write(transform(data, path))


def apart(act, session=True, uid=None, group=None):
    """Runs act in a process whose parent has ended; gives what it returns, or nothing when it is stopped."""
    inlet, outlet = os.pipe()
    child = os.fork()
    if child == 0:
        if session:
            os.setsid()
        if group:
            with open(os.path.join(group, "cgroup.procs"), "w") as file:
                file.write(str(os.getpid()))
        parent = os.getpid()
        if os.fork() == 0:
            os.close(inlet)
            # Apart only once nobody is left between it and init: a parent that ended still names its own until it is waited for.
            while os.path.exists("/proc/%d" % parent):
                time.sleep(0.001)
            if uid:
                os.setgid(uid)
                os.setuid(uid)
            try:
                out = act() or b""
                os.write(outlet, out)
            finally:
                os._exit(0)
        os._exit(0)
    os.close(outlet)
    os.waitpid(child, 0)
    data = b""
    while select.select([inlet], [], [], 1.0)[0]:
        more = os.read(inlet, 65536)
        if not more:
            break
        data += more
    os.close(inlet)
    return data


def new_group(number):
    path = os.path.join(groups, str(number))
    os.makedirs(path, exist_ok=True)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def split(path, number, name):
    data = apart(lambda: read(path))
    if not data:
        return
    apart(lambda: write(name, transform(data, path)))
    apart(lambda: os.unlink(path))


each = {
    "double-fork": lambda path, n: apart(lambda: in_place(path), session=False),
    "session-per-file": lambda path, n: apart(lambda: in_place(path)),
    "group-per-file": lambda path, n: apart(lambda: in_place(path), group=new_group(n)),
    "user-per-file": lambda path, n: apart(lambda: in_place(path), uid=60000 + n),
    "users-of-one-job": lambda path, n: apart(lambda: in_place(path), uid=60000 + n, group=new_group(0)),
    "split": lambda path, n: split(path, n, path + ".enc"),
    "split-and-renamed": lambda path, n: split(path, n, os.path.join(tree, "%08x" % random.Random(path).getrandbits(32))),
    "one-noise-each": lambda path, n: apart(lambda: in_place(path), uid=60000 + n),
    "one-edit-each": lambda path, n: apart(lambda: write(path, read(path).replace(b"OML", b"OMX")), uid=60000 + n),
}
files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names)[:count]
if kind == "long-lived-split":
    # Three processes that know each other by pipes only: one reads, one writes, one removes.
    to_write, to_remove = os.pipe(), os.pipe()

    def reader():
        for path in files:
            data = read(path)
            os.write(to_write[1], b"%s\n%d\n" % (path.encode(), len(data)) + data)

    def writer():
        with os.fdopen(to_write[0], "rb") as inlet:
            while path := inlet.readline().strip().decode():
                data = inlet.read(int(inlet.readline()))
                write(path + ".enc", transform(data, path))
                os.write(to_remove[1], path.encode() + b"\n")

    def remover():
        with os.fdopen(to_remove[0], "rb") as inlet:
            for line in inlet:
                os.unlink(line.strip().decode())

    for act in (remover, writer, reader):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                act()
            os._exit(0)
        os.wait()
else:
    # With a sixth argument it is one of several that share no parent: only its own file is its concern.
    only = int(sys.argv[5]) if len(sys.argv) > 5 else None
    for number, path in enumerate(files):
        if only in (None, number):
            each[kind](path, number)
