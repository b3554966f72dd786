#!/usr/bin/env python3
"""Measures what the guard costs: the same work without it, with it, and with ClamAV's clamonacc.

    apt install clamav-daemon fio postgresql xfsprogs e2fsprogs
    cargo build --release -p chartward
    sudo bench/guard.py [--binary F] [--rounds 5] [--trees ext4,xfs,disk] [--modes none,guard,clamonacc,permit,notify]
                        [--only untar,build,fio,pgbench,grep,open,memory] [--files 1000000] [--dir DIR] [--json F]

Each round does all work in each mode on the same tree; who goes first rotates. A row's ratio is the median over the rounds of
the time in a mode by the time without anything in the same round. Prints a table with the aims and, with --json, everything that
was measured. Exit status 1 when an aim was missed. The load before and after is printed: only a quiet machine's figures count.

The trees are loop images (ext4, XFS) and a folder of the disk that --dir lies on. Everything is taken away again at every exit,
also at kill -9 (by a second process that waits for the end of this one). README.md says what each row is and what it is not.
"""

import argparse
import ctypes
import json
import math
import os
import platform
import pwd
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve()
SMALL_FILES = 6000
# Most times by which a row may take longer than without anything: what the project has set itself.
AIMS = {"untar": 2.0, "build": 1.03, "pgbench": 1.03}
STRETCH = {"untar": 1.5}
MEMORY_MB_MAX = 64
WORDS = "MSH PID OBX OBR ORC NTE SPM TQ1 HIS SEND GW RECEIVE JC10 g/dL mg/dL 3A010 2026 L^I ISO IR87".split()
# What nobody means by chance and every scanner of this benchmark knows.
SIGNATURE = b"chartward-bench-signature-of-nothing-harmful"

# The floors: all that a program must do that lets every open wait (permit), or that is told of names and writes (notify).
FLOOR = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>
int main(int n, char **words) {
    static char buffer[65536] __attribute__((aligned(8)));
    int permit = n > 2 && !strcmp(words[1], "permit");
    int group = permit ? fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_LARGEFILE | O_CLOEXEC)
                       : fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_REPORT_DFID_NAME, 0);
    unsigned long long mask = permit ? FAN_OPEN_PERM : FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_MODIFY | FAN_CLOSE_WRITE;
    int scope = permit ? FAN_MARK_MOUNT : FAN_MARK_FILESYSTEM;
    if (group < 0 || fanotify_mark(group, FAN_MARK_ADD | scope, mask, AT_FDCWD, words[n - 1])) { perror("fanotify"); return 2; }
    puts("{\"type\": \"ready\"}"); fflush(stdout);
    for (ssize_t len; (len = read(group, buffer, sizeof buffer)) > 0;) {
        struct fanotify_event_metadata *event = (void *)buffer;
        for (; FAN_EVENT_OK(event, len); event = FAN_EVENT_NEXT(event, len)) {
            if (event->fd < 0) continue;
            struct fanotify_response answer = {.fd = event->fd, .response = FAN_ALLOW};
            if (write(group, &answer, sizeof answer) < 0) return 1;
            close(event->fd);
        }
    }
}
"""


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def born(pid):
    """When a process started, in ticks since boot; None when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def kilobytes(pid, key):
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{key}:\s+(\d+)", text, re.M)
    return int(found[1]) if found else 0


# ---- The place: all that is made, and the process that takes it away.

class Place:
    """A temporary folder with the trees' images and mounts. A second process waits for the end of this one, however it ends."""

    def __init__(self, folder):
        self.path = Path(tempfile.mkdtemp(dir=folder, prefix="chartward-guard-bench-")).resolve()
        self.path.chmod(0o755)
        self.sweeper = subprocess.Popen([sys.executable, str(HERE), "--sweep", str(self.path)], stdin=subprocess.PIPE,
                                        start_new_session=True)

    def spawn(self, command, **more):
        """A process that is ended with this one at the latest."""
        libc = ctypes.CDLL(None)
        more.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([str(word) for word in command], preexec_fn=lambda: libc.prctl(1, signal.SIGKILL), **more)
        with open(self.path / "processes", "a") as list_of:
            list_of.write(f"{process.pid} {born(process.pid)}\n")
        return process

    def image(self, kind, megabytes, *options):
        image, tree = self.path / f"{kind}.img", self.path / kind
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        run(f"mkfs.{kind.split('-')[0]}", "-q", *options, image)
        tree.mkdir()
        run("mount", "-o", "loop,noatime", image, tree)
        return tree

    def close(self):
        self.sweeper.stdin.close()
        self.sweeper.wait(120)


def sweep(place):
    """Waits for the end of whoever holds the other end of the input, then ends what it started and takes away what it made."""
    sys.stdin.read()
    assert place.name.startswith("chartward-guard-bench-")
    if (place / "processes").exists():
        for line in (place / "processes").read_text().splitlines():
            pid, start = line.split()
            if str(born(pid)) == start:
                os.kill(int(pid), signal.SIGKILL)
    for _ in range(100):
        below = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        below = [point for point in below if point.startswith(f"{place}/")]
        if not below:
            break
        for point in reversed(below):
            subprocess.run(["umount", point] if _ < 50 else ["umount", "-l", point], check=False, stderr=subprocess.DEVNULL)
        time.sleep(0.1)
    shutil.rmtree(place, ignore_errors=True)


# ---- The modes: what runs beside the work.

class Mode:
    """Something that watches a tree from start() to stop()."""

    def __init__(self, name, place, args):
        self.name, self.place, self.args, self.process = name, place, args, None

    def start(self, tree):
        if self.name == "none":
            return
        if self.name in ("guard", "observe"):
            store = Path(tempfile.mkdtemp(dir=self.place.path, prefix="store-"))
            command = [self.args.binary, "guard", "--json", tree, "--store", store, "--state", store / "state"]
            self.ready(command + (["--observe-only"] if self.name == "observe" else []))
        elif self.name in ("permit", "notify"):
            self.bound = tree if self.name == "permit" else None
            if self.bound:
                run("mount", "--bind", tree, tree)
            self.ready([self.place.path / "floor", self.name, tree])
        elif self.name == "clamonacc":
            self.scanner(tree)

    def ready(self, command):
        with open(self.place.path / f"{self.name}.log", "a") as log:
            self.process = self.place.spawn(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        if '"ready"' not in line:
            sys.exit(f"{self.name} did not start: {line} {(self.place.path / f'{self.name}.log').read_text()[-1000:]}")
        self.said = []
        threading.Thread(target=lambda: self.said.extend(self.process.stdout), daemon=True).start()

    def scanner(self, tree):
        log = self.place.path / "clamonacc.log"
        log.unlink(missing_ok=True)
        config = self.place.path / "clamonacc.conf"
        config.write_text((self.place.path / "clamd.conf").read_text() + f"OnAccessIncludePath {tree}\n")
        command = ["clamonacc", "--foreground", "--fdpass", f"--config-file={config}", f"--log={log}"]
        self.process = self.place.spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # It says that it watches before it does: asked with a file that it must refuse.
        probe = tree / "probe"
        probe.write_bytes(SIGNATURE)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                probe.read_bytes()
            except PermissionError:
                probe.unlink()
                return
            time.sleep(0.1)
        sys.exit(f"clamonacc refuses nothing: {log.read_text()[-1500:] if log.exists() else 'no log'}")

    def memory_mb(self):
        return kilobytes(self.process.pid, "VmHWM") / 1024 if self.process else 0

    def cpu_s(self):
        """User and system time of its threads: what hardly changes on a busy machine."""
        if not self.process:
            return 0
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def stop(self):
        """Ends it; says what it stopped, which must be nothing."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        if self.name == "permit":
            run("umount", self.bound)
        for line in getattr(self, "said", []):
            if '"class_uid"' in line:
                sys.exit(f"a false alarm while measuring: {line[:500]}")


def start_clamd(place):
    """ClamAV's daemon with one signature of a harmless text, on a socket in the place."""
    base, clamav = place.path / "clam", pwd.getpwnam("clamav")
    base.mkdir()
    (base / "bench.ndb").write_text(f"Bench.Text:0:*:{SIGNATURE.hex()}\n")
    os.chown(base, clamav.pw_uid, clamav.pw_gid)
    config = place.path / "clamd.conf"
    config.write_text(f"""LocalSocket {base}/clamd.sock
LocalSocketMode 666
DatabaseDirectory {base}
User clamav
Foreground yes
ExitOnOOM no
MaxThreads 4
OnAccessPrevention yes
OnAccessExcludeUname clamav
OnAccessMaxFileSize 5M
""")
    place.spawn(["clamd", "--foreground", f"--config-file={config}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (base / "clamd.sock").exists():
        if time.monotonic() > end:
            sys.exit("clamd does not start")
        time.sleep(0.1)


# ---- The work.

def record(rng):
    """A text of about 0.3 to 8 kB, as lines of HL7 messages are."""
    return "\r".join("|".join(rng.choices(WORDS, k=12)) for _ in range(rng.randrange(4, 120))).encode()


def make_archive(place):
    rng = random.Random(5)
    source = place.path / "small"
    for number in range(SMALL_FILES):
        folder = source / f"{number // 100:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}_OML-11").write_bytes(record(rng))
    with tarfile.open(place.path / "small.tar", "w") as tar:
        tar.add(source, "small")
    shutil.rmtree(source)


def make_crates(folder):
    """A program with five libraries of twelve modules each: what a compiler opens, and nothing from a network."""
    names = [f"part{number}" for number in range(5)]
    for name in names:
        source = folder / name / "src"
        source.mkdir(parents=True)
        (folder / name / "Cargo.toml").write_text(f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n')
        for module in range(12):
            lines = [f"pub fn f{number}(x: &[u64]) -> Vec<String> {{ x.iter().map(|v| format!(\"{{}}\", v.wrapping_mul({number})))"
                     f".filter(|s| s.len() > {number % 3}).collect() }}" for number in range(25)]
            (source / f"m{module}.rs").write_text("\n".join(lines))
        (source / "lib.rs").write_text("\n".join(f"pub mod m{module};" for module in range(12)))
    main = folder / "program" / "src"
    main.mkdir(parents=True)
    needs = "\n".join(f'{name} = {{ path = "../{name}" }}' for name in names)
    (folder / "program" / "Cargo.toml").write_text(
        f'[package]\nname = "program"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n{needs}\n')
    calls = "\n".join(f"    n += {name}::m{module}::f7(&[1, 2, 3]).len();" for name in names for module in range(12))
    (main / "main.rs").write_text(f"fn main() {{\n    let mut n = 0;\n{calls}\n    println!(\"{{n}}\");\n}}\n")
    (folder / "Cargo.toml").write_text(f'[workspace]\nresolver = "2"\nmembers = {json.dumps([*names, "program"])}\n')


class Database:
    """A PostgreSQL with its data folder on the tree."""

    def __init__(self, place, tree):
        self.place, self.data = place, tree / "pgdata"
        self.user = pwd.getpwnam("postgres")
        self.programs = Path(sorted(Path("/usr/lib/postgresql").iterdir())[-1]) / "bin"
        self.sockets = place.path / f"pg-{tree.name}"
        for folder in (self.data, self.sockets):
            folder.mkdir(mode=0o700)
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.as_user = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": [], "cwd": self.sockets,
                        "env": {**os.environ, "HOME": str(self.sockets)}}
        run(self.programs / "initdb", "--no-sync", "-A", "trust", "-D", self.data, **self.as_user)
        self.process = None
        with self:
            run(self.programs / "pgbench", "-i", "-q", "-s", "5", "-h", self.sockets, "postgres", **self.as_user)

    def __enter__(self):
        command = [self.programs / "postgres", "-D", self.data, "-k", self.sockets, "-c", "listen_addresses=",
                   "-c", "shared_buffers=64MB", "-c", "autovacuum=off"]
        self.process = self.place.spawn(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user)
        end = time.monotonic() + 60
        ready = [str(self.programs / "pg_isready"), "-h", str(self.sockets)]
        while subprocess.run(ready, capture_output=True).returncode != 0:
            if time.monotonic() > end:
                sys.exit("PostgreSQL does not start")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def work(self):
        """Seconds for 2,000 transactions of four clients."""
        began = time.perf_counter()
        run(self.programs / "pgbench", "-n", "-c", "4", "-j", "2", "-t", "500", "-h", self.sockets, "postgres", **self.as_user)
        return time.perf_counter() - began


class Work:
    """All that is done on one tree in one mode: name to seconds, or to a list of microseconds."""

    def __init__(self, place, tree, wanted):
        self.place, self.tree, self.wanted, self.turn = place, tree, wanted, 0
        self.read = tree / "read"
        run("tar", "xf", place.path / "small.tar", "-C", tree)
        (tree / "small").rename(self.read)
        if "build" in wanted:
            (tree / "crates").mkdir()
            make_crates(tree / "crates")
        self.database = Database(place, tree) if "pgbench" in wanted else None

    def timed(self, *command, **more):
        os.sync()
        began = time.perf_counter()
        run(*command, **more)
        return time.perf_counter() - began

    def all(self):
        self.turn += 1
        return {name: getattr(self, name)() for name in ["untar", "grep", "open", "build", "fio", "pgbench"] if name in self.wanted}

    def untar(self):
        into = self.tree / f"untar-{self.turn}"
        into.mkdir()
        return self.timed("tar", "xf", self.place.path / "small.tar", "-C", into)

    def grep(self):
        # It finds what stands in every file, so that it reads no more than the start of each and succeeds.
        return self.timed("grep", "-rl", "|", self.read)

    def open(self):
        """Microseconds of each open for reading of every file."""
        paths, times = [str(path) for path in sorted(self.read.rglob("*_OML-11"))], []
        for path in paths:
            began = time.perf_counter_ns()
            file = os.open(path, os.O_RDONLY)
            times.append((time.perf_counter_ns() - began) / 1000)
            os.close(file)
        return times

    def build(self):
        target = self.tree / f"target-{self.turn}"
        env = {**os.environ, "CARGO_TARGET_DIR": str(target), "CARGO_INCREMENTAL": "0"}
        return self.timed("cargo", "build", "-q", "--offline", cwd=self.tree / "crates", env=env)

    def fio(self):
        file = self.tree / f"fio-{self.turn}"
        said = json.loads(run("fio", "--name=w", f"--filename={file}", "--rw=randwrite", "--bs=4k", "--size=128m", "--ioengine=psync",
                              "--end_fsync=1", "--randseed=5", "--output-format=json"))
        return said["jobs"][0]["write"]["runtime"] / 1000

    def pgbench(self):
        with self.database as database:
            return database.work()

    def clear(self):
        """With nothing watching."""
        for left in self.tree.iterdir():
            if left.name.startswith(("untar-", "target-")):
                shutil.rmtree(left)
            elif left.name.startswith("fio-"):
                left.unlink()


# ---- The parts of the benchmark.

def rounds(place, tree, modes, wanted, count):
    """Per mode a list of what each round gave."""
    work, results = Work(place, tree, wanted), {mode.name: [] for mode in modes}
    for number in range(count):
        turn = number % len(modes)
        for mode in modes[turn:] + modes[:turn]:
            mode.start(tree)
            try:
                done = work.all()
                done["memory_mb"], done["cpu_s"] = mode.memory_mb(), mode.cpu_s()
            finally:
                mode.stop()
            work.clear()
            results[mode.name].append(done)
            show = {name: round(value, 3) for name, value in done.items() if not isinstance(value, list)}
            say(f"{tree.name} round {number + 1} {mode.name}: {json.dumps(show)}, load {os.getloadavg()[0]:.1f}")
    return results


def memory(place, args):
    """Resident memory of the guard before and after every one of a million files was opened, and the time of each open."""
    # Contents within the inodes, so that they are read and kept without a block for each.
    tree = place.image("ext4-million", 4000 + args.files * 1100 // 1_000_000, "-O", "inline_data,^has_journal", "-I", "512", "-N",
                       str(args.files + args.files // 500 + 1000), "-F")
    content = b"|".join(word.encode() for word in WORDS * 2)[:180]
    for number in range(args.files):
        if number % 1000 == 0:
            folder = tree / f"{number // 1000:04}"
            folder.mkdir()
        file = os.open(f"{folder}/{number:07}", os.O_WRONLY | os.O_CREAT)
        os.write(file, content)
        os.close(file)
    guard = Mode("guard", place, args)
    guard.start(tree)
    try:
        before, began = kilobytes(guard.process.pid, "VmRSS") / 1024, time.perf_counter()
        for number in range(args.files):
            os.close(os.open(f"{tree}/{number // 1000:04}/{number:07}", os.O_RDONLY))
        seconds = time.perf_counter() - began
        after = kilobytes(guard.process.pid, "VmRSS") / 1024
        return {"files": args.files, "before_mb": before, "after_mb": after, "peak_mb": guard.memory_mb(),
                "us_per_open": seconds / args.files * 1e6}
    finally:
        guard.stop()


def table(measured, modes):
    """Prints the rows; gives the aims that were missed."""
    missed = []
    others = [name for name in modes if name != "none"]
    print(f"{'tree':6} {'work':16} {'none':>10} " + " ".join(f"{name:>18}" for name in others) + "  aim")
    for tree, results in measured.items():
        rows = [name for name in results["none"][0] if name not in ("open", "memory_mb", "cpu_s")]
        for row in rows:
            plain = [done[row] for done in results["none"]]
            cells, ratios = [], {}
            for name in others:
                ratios[name] = statistics.median(done[row] / base for done, base in zip(results[name], plain))
                cells.append(f"{statistics.median(done[row] for done in results[name]):9.3f} s {ratios[name]:5.2f}×")
            notes = []
            if "guard" in ratios:
                notes = judge(tree, row, ratios, missed)
            print(f"{tree:6} {row:16} {statistics.median(plain):8.3f} s " + " ".join(f"{cell:>18}" for cell in cells) + "  " + ", ".join(notes))
        if "open" in results["none"][0]:
            for share in (0.5, 0.99):
                pooled = {name: quantile([one for done in results[name] for one in done["open"]], share) for name in modes}
                cells = " ".join(f"{pooled[name]:15.1f} µs" for name in others)
                print(f"{tree:6} {f'open p{share * 100:.0f}':16} {pooled['none']:7.1f} µs {cells}")
        cells = " ".join(f"{statistics.median(done['cpu_s'] for done in results[name]):16.2f} s" for name in others)
        print(f"{tree:6} {'its own cpu':16} {'':10} {cells}")
        peak = {name: max(done["memory_mb"] for done in results[name]) for name in others}
        cells = " ".join(f"{peak[name]:15.1f} MB" for name in others)
        over = [name for name in others if name == "guard" and peak[name] > MEMORY_MB_MAX]
        missed += [f"{tree} memory" for _ in over]
        print(f"{tree:6} {'peak memory':16} {'':10} {cells}  {'≤ 64 MB ' + ('MISSED' if over else 'met') if 'guard' in others else ''}")
    return missed


def judge(tree, row, ratios, missed):
    notes = []
    if row in AIMS:
        met = ratios["guard"] <= AIMS[row]
        notes.append(f"≤ {AIMS[row]}× {'met' if met else 'MISSED'}")
        missed += [] if met else [f"{tree} {row}"]
    if row in STRETCH:
        notes.append(f"≤ {STRETCH[row]}× {'met' if ratios['guard'] <= STRETCH[row] else 'not yet'}")
    if "clamonacc" in ratios:
        ahead = ratios["guard"] <= ratios["clamonacc"]
        notes.append("ahead of clamonacc" if ahead else "BEHIND clamonacc")
        missed += [] if ahead else [f"{tree} {row} behind clamonacc"]
    return notes


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--binary", type=Path, default=HERE.parent.parent / "target/release/chartward")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--trees", default="ext4,xfs,disk")
    options.add_argument("--modes", default="none,guard,clamonacc,permit,notify")
    options.add_argument("--only", default="untar,build,fio,pgbench,grep,open,memory")
    options.add_argument("--files", type=int, default=1_000_000)
    options.add_argument("--dir", help="where to work: the disk to measure on (default: the temporary folder)")
    options.add_argument("--json", type=Path)
    options.add_argument("--sweep", type=Path, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.sweep:
        return sweep(args.sweep)
    args.binary = args.binary.resolve()
    wanted, names = args.only.split(","), args.modes.split(",")
    needed = {"clamonacc": ["clamonacc", "clamd"], "permit": ["cc"], "notify": ["cc"], "fio": ["fio"], "build": ["cargo"],
              "xfs": ["mkfs.xfs"], "ext4": ["mkfs.ext4"], "memory": ["mkfs.ext4"]}
    for part in [*names, *wanted, *args.trees.split(",")]:
        missing = [tool for tool in needed.get(part, []) if not shutil.which(tool)]
        if missing:
            sys.exit(f"{part} needs {', '.join(missing)}")
    if os.geteuid() != 0 or not args.binary.is_file() or "none" not in names:
        sys.exit("needs root, the binary (cargo build --release -p chartward), and the mode none")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit("asked to end"))
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "load_before": os.getloadavg()}
    measured, place, million = {}, Place(args.dir), None
    try:
        make_archive(place)
        if {"permit", "notify"} & set(names):
            run("cc", "-O2", "-o", place.path / "floor", "-xc", "-", input=FLOOR)
        if "clamonacc" in names:
            start_clamd(place)
        modes = [Mode(name, place, args) for name in names]
        if set(wanted) - {"memory"}:
            for name in args.trees.split(","):
                if name == "disk":
                    (place.path / name).mkdir()
                tree = place.path / name if name == "disk" else place.image(name, 4000, *(["-F"] if name == "ext4" else []))
                measured[name] = rounds(place, tree, modes, set(wanted), args.rounds)
        if "memory" in wanted:
            million = memory(place, args)
    finally:
        place.close()
    machine["load_after"] = os.getloadavg()
    missed = table(measured, names)
    if million:
        met = million["peak_mb"] <= MEMORY_MB_MAX
        missed += [] if met else ["memory"]
        print(f"guard's memory with {million['files']:,} files opened: {million['before_mb']:.1f} MB before, {million['after_mb']:.1f} MB "
              f"after, {million['peak_mb']:.1f} MB at most (≤ {MEMORY_MB_MAX} MB {'met' if met else 'MISSED'}), "
              f"{million['us_per_open']:.0f} µs an open")
    print(json.dumps({"machine": machine, "missed": missed}))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "measured": measured, "memory": million, "missed": missed}))
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
