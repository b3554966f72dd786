#!/usr/bin/env python3
"""Compares the vault's engine with restic, borg and rustic on the same files, in turn, and prints a table and JSON.

    apt install restic borgbackup
    cargo build --release -p recover --example vault_engine
    bench/vault_vs_restic.py [--scale 1.0] [--rounds 3] [--dir DIR] [--json FILE]

The files (`--scale 1`): 200,000 HL7 messages in 1,000 folders, 160 files of database pages (1.2 GB) and 3 files
that do not compress (1.3 GB): 200,163 in all. Programs that are not installed are left out and named.

Each round runs every program on a fresh repository: first backup, unchanged backup, 1 % changed (one message in a
hundred rewritten, and some pages of a database), restore, and a check that reads everything; who goes first rotates. Figures are
medians over the rounds: wall seconds, CPU seconds (user and system), peak resident MB. The floor of the disk is
measured in every round: as many bytes as the vault's repository, written and flushed in files of 16 MB, and, for the
restore, the same files created and flushed once.

The load before and after is printed: wall seconds count only from a quiet machine.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = ["first backup", "unchanged backup", "1 % changed", "restore", "check --read-data"]
# Ours divided by restic's, CPU and wall: what the project has set itself.
LIMITS = {"first backup": (0.6, 0.7), "unchanged backup": (0.2, 0.2), "1 % changed": (0.3, 0.3),
          "restore": (0.6, 0.6), "check --read-data": (0.8, 0.8)}
FOLDERS, MESSAGES, DATABASES, IMAGES = 1000, 200, 160, 3
DATABASE_BYTES, IMAGE_BYTES = 7_500_000, 433_000_000
PAGE = 8192


def message(rng, number):
    """An HL7 message of about 2 to 4 kB."""
    lines = [f"MSH|^~\\&|HIS|SAPPORO|ARCH|VAULT|2026{rng.randrange(10**10):010d}||ORU^R01|{number:09d}|P|2.5|||||JPN||",
             f"PID|||{rng.randrange(10**10):010d}^^^^PI||^^^^^L^P||19{rng.randrange(10, 99)}0{rng.randrange(1, 9)}11|M"]
    for row in range(rng.randrange(12, 28)):
        lines.append(f"OBX|{row}|NM|3B0{rng.randrange(10**6):06d}^ITEM{rng.randrange(200)}^JC10||{rng.random() * 300:.1f}"
                     f"|mg/dL|{rng.randrange(90)}-{rng.randrange(100, 200)}|N|||F|||2026{rng.randrange(10**8):08d}")
    return "\r".join(lines).encode()


def pages(rng, size):
    """Pages as a database has them: a header, rows of words and numbers, and free space of zeros."""
    words = [f"word{number}".encode() for number in range(500)]
    rows = [b"|".join([rng.choice(words), rng.randbytes(24), rng.choice(words), rng.randbytes(16).hex().encode()])
            for _ in range(4000)]
    out = bytearray()
    while len(out) < size:
        page = rng.randbytes(24) + b"".join(rng.choices(rows, k=rng.randrange(40, 80)))
        out += page[:PAGE].ljust(PAGE, b"\0")
    return bytes(out[:size])


def make_files(store, scale):
    rng = random.Random(4)
    count = 0
    for folder in range(max(1, round(FOLDERS * scale))):
        place = store / "hl7" / f"{folder // 100:02d}" / f"{folder:04d}"
        place.mkdir(parents=True)
        for _ in range(MESSAGES):
            count += 1
            (place / f"{count:09d}_ORU.hl7").write_bytes(message(rng, count))
    for kind, number, size, make in [("db", DATABASES, DATABASE_BYTES, pages),
                                     ("images", IMAGES, IMAGE_BYTES, lambda rng, size: rng.randbytes(size))]:
        (store / kind).mkdir(parents=True)
        for item in range(number if scale >= 1 else max(1, round(number * scale))):
            count += 1
            left = size if kind == "db" or scale >= 1 else max(1 << 20, round(size * scale * number))
            with open(store / kind / f"{item:04d}", "wb") as file:
                while left > 0:
                    left -= file.write(make(rng, min(left, 16_000_000)))
    return count


def change(store, seed):
    """Rewrites one message in a hundred, and eight pages of the first database."""
    rng = random.Random(seed)
    messages = sorted((store / "hl7").rglob("*.hl7"))
    for path in rng.sample(messages, max(1, len(messages) // 100)):
        path.write_bytes(message(rng, rng.randrange(10**9)))
    with open(store / "db" / "0000", "r+b") as file:
        for _ in range(8):
            file.seek(rng.randrange(DATABASE_BYTES // PAGE - 1) * PAGE)
            file.write(rng.randbytes(PAGE))


def run(command, env, cwd=None):
    """Wall seconds, CPU seconds and peak MB of one command, which must succeed."""
    os.sync()
    started = time.monotonic()
    process = subprocess.Popen(list(map(str, command)), env=env, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # wait4 gives the figures of this child alone.
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {errors.decode(errors='replace')}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def programs(engine, work, store):
    """What each program is called with: init, backup, restore, check. The folders of a round are made beforehand."""
    def ours(place):
        base = [engine]
        return {"init": base + ["init", place / "vault"],
                "backup": base + ["backup", place / "vault", store, place / "cache"],
                "restore": base + ["restore", place / "vault", place / "back"],
                "check": base + ["check", place / "vault"], "cwd": None}

    def restic(place):
        base = ["restic", "--quiet", "--cache-dir", place / "cache", "-r", place / "vault"]
        return {"init": base + ["init"], "backup": base + ["backup", store],
                "restore": base + ["restore", "latest", "--target", place / "back"],
                "check": base + ["check", "--read-data"], "cwd": None}

    def rustic(place):
        base = ["rustic", "--log-level", "error", "--no-progress", "--cache-dir", place / "cache", "-r", place / "vault",
                "--password", "bench"]
        return {"init": base + ["init"], "backup": base + ["backup", store],
                "restore": base + ["restore", "latest", place / "back"],
                "check": base + ["check", "--read-data"], "cwd": None}

    def borg(place):
        (place / "back").mkdir()
        names = iter(range(1000))
        class Backup(list):
            """An archive's name must be new each time."""
            def __iter__(self):
                self.last = f"{place / 'vault'}::a{next(names)}"
                return iter(["borg", "create", "--compression", "zstd,3", self.last, str(store)])
        return {"init": ["borg", "init", "--encryption", "repokey", place / "vault"], "backup": Backup(),
                "restore": ["borg", "extract", f"{place / 'vault'}::a2"],
                "check": ["borg", "check", "--verify-data", place / "vault"], "cwd": place / "back"}

    found = {"chartward": ours, "restic": restic, "borg": borg, "rustic": rustic}
    missing = [name for name in ["restic", "borg", "rustic"] if not shutil.which(name)]
    return {name: make for name, make in found.items() if name not in missing}, missing


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def floor_of_packs(place, size):
    """Seconds to write so many bytes in files of 16 MB, each flushed."""
    place.mkdir()
    block = os.urandom(16 << 20)
    os.sync()
    started = time.monotonic()
    for number in range(max(1, size // len(block))):
        with open(place / str(number), "wb") as file:
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
    taken = time.monotonic() - started
    shutil.rmtree(place)
    return taken


def floor_of_files(place, store):
    """Seconds to create the same files with the same bytes, flushed once at the end."""
    os.sync()
    started = time.monotonic()
    subprocess.run(["cp", "-a", store, place], check=True)
    subprocess.run(["sync", "-f", place], check=True)
    taken = time.monotonic() - started
    shutil.rmtree(place)
    return taken


def versions(engine, names):
    asked = {"restic": ["restic", "version"], "borg": ["borg", "--version"], "rustic": ["rustic", "--version"]}
    told = {name: subprocess.run(asked[name], capture_output=True, text=True).stdout.strip() for name in names if name in asked}
    return {"chartward": str(engine), **told}


def one_round(number, names, made, work, store, env, figures, sizes):
    order = names[number % len(names):] + names[:number % len(names)]
    commands = {}
    for name in order:
        place = work / f"{name}-{number}"
        place.mkdir()
        commands[name] = made[name](place)
        own = dict(env, BORG_BASE_DIR=str(place / "borg"))
        run(commands[name]["init"], own)
    for step in STEPS:
        if step == "1 % changed":
            change(store, number)
        for name in order:
            place, command = work / f"{name}-{number}", commands[name]
            own = dict(env, BORG_BASE_DIR=str(place / "borg"))
            what = {"restore": "restore", "check --read-data": "check"}.get(step, "backup")
            figures[name, step].append(run(command[what], own, command["cwd"] if what == "restore" else None))
            if step == "first backup":
                sizes[name].append(size_of(place / "vault") / 1e6)
            if step == "restore":
                shutil.rmtree(place / "back")
    for name in order:
        shutil.rmtree(work / f"{name}-{number}")


def table(result):
    names = [name for name in ["chartward", "restic", "borg", "rustic"] if name in result["repository_mb"]]
    print(f"{result['files']} files, {result['source_mb']:.0f} MB; load {result['load_before']:.1f} before, "
          f"{result['load_after']:.1f} after; medians of {result['rounds']} rounds; wall s / CPU s / peak MB")
    print(f"{'':18}" + "".join(f"{name:>22}" for name in names) + "   ours/restic wall  CPU (limit)")
    for step in STEPS:
        row = {name: result["steps"][step][name] for name in names}
        line = f"{step:18}" + "".join(f"{row[n]['wall_s']:8.2f} /{row[n]['cpu_s']:6.2f} /{row[n]['peak_mb']:5.0f}" for n in names)
        if "restic" in row:
            wall, cpu = (row["chartward"][key] / row["restic"][key] for key in ["wall_s", "cpu_s"])
            line += f"   {wall:5.2f} ({LIMITS[step][1]})  {cpu:5.2f} ({LIMITS[step][0]})"
        print(line)
    print(f"{'repository MB':18}" + "".join(f"{result['repository_mb'][n]:22.0f}" for n in names))
    print(f"floor of the disk: {result['floor_packs_s']:.1f} s for the repository's bytes in flushed files of 16 MB, "
          f"{result['floor_files_s']:.1f} s to create the same files (cp, one sync)")
    for name in result["missing"]:
        print(f"{name} is not installed and was left out")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, default=1.0, help="part of the files (1.0: 200,163 files, 3 GB)")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", nargs="*", help="programs to run (default: all that are there)")
    options.add_argument("--dir", help="where to work (default: the temporary folder); 15 GB at full scale")
    options.add_argument("--json", help="where the figures go as JSON (default: below the table)")
    options.add_argument("--store", help="files that are there already, made by an earlier run with --keep")
    options.add_argument("--keep", help="keep the files at this path")
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parent.parent / "target"))
    options.add_argument("--engine", type=Path, default=target / "release/examples/vault_engine")
    args = options.parse_args()
    if not args.engine.is_file():
        sys.exit(f"needs {args.engine} (cargo build --release -p recover --example vault_engine)")
    env = dict(os.environ, CHARTWARD_PASSWORD="bench", RESTIC_PASSWORD="bench", BORG_PASSPHRASE="bench",
               BORG_RELOCATED_REPO_ACCESS_IS_OK="yes", BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="chartward-bench-") as folder:
        work = Path(folder)
        store = Path(args.store or args.keep or work / "store")
        if not args.store:
            store.mkdir(parents=True)
            make_files(store, args.scale)
        made, missing = programs(args.engine, work, store)
        names = [name for name in made if not args.only or name in args.only]
        figures = {(name, step): [] for name in names for step in STEPS}
        sizes = {name: [] for name in names}
        floors = {"packs": [], "files": []}
        load = os.getloadavg()[0]
        for number in range(args.rounds):
            one_round(number, names, made, work, store, env, figures, sizes)
            floors["packs"].append(floor_of_packs(work / "floor", int(sizes["chartward"][-1] * 1e6) if "chartward" in sizes else size_of(store)))
            floors["files"].append(floor_of_files(work / "floor", store))
        middle = lambda values: round(statistics.median(values), 3)
        result = {
            "files": sum(1 for path in store.rglob("*") if path.is_file()), "source_mb": size_of(store) / 1e6,
            "rounds": args.rounds, "cpus": os.cpu_count(), "load_before": load, "load_after": os.getloadavg()[0],
            "versions": versions(args.engine, names), "missing": missing,
            "steps": {step: {name: {key: middle(run[at] for run in figures[name, step])
                                    for at, key in enumerate(["wall_s", "cpu_s", "peak_mb"])} for name in names} for step in STEPS},
            "repository_mb": {name: middle(sizes[name]) for name in names},
            "floor_packs_s": middle(floors["packs"]), "floor_files_s": middle(floors["files"]),
        }
    if "chartward" in names:
        table(result)
    text = json.dumps(result, indent=1)
    Path(args.json).write_text(text) if args.json else print(text)


if __name__ == "__main__":
    main()
