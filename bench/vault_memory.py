#!/usr/bin/env python3
"""Measures the vault engine's peak memory at three sizes of a tree and says what ten million files would take.

    cargo build --release -p recover --example vault_engine
    bench/vault_memory.py --engine target/release/examples/vault_engine [--sizes 200000,800000,1600000] [--dir DIR]

Every file is an own small message, 200 in a folder: each one is a blob of its own, which is the most that an index can
hold for a number of files. For each size: first backup, unchanged backup, 1 % changed, restore (of the smallest size only;
`--restore all` for each), check that reads everything. The figure for ten million is EXTRAPOLATED: a straight line by least squares through the
measured sizes; the largest deviation of a measured size from that line is printed beside it.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = 200
TARGET = 10_000_000


def message(number, version):
    rng = random.Random(number * 7 + version)
    return (f"MSH|^~\\&|HIS|SAPPORO|ARCH|VAULT|2026{rng.randrange(10**10):010d}||ORU^R01|{number:09d}|P|2.5\r"
            f"PID|||{rng.randrange(10**10):010d}^^^^PI\rOBX|1|NM|3B0{rng.randrange(10**6):06d}||{rng.random() * 300:.1f}|mg/dL").encode()


def path_of(store, number):
    return store / f"{number // FOLDER // 100:04d}" / f"{number // FOLDER:06d}" / f"{number:09d}_ORU.hl7"


def grow(store, have, want):
    for number in range(have, want):
        path = path_of(store, number)
        if number % FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(message(number, 0))


def peak_mb(command, env):
    process = subprocess.Popen(list(map(str, command)), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {errors.decode(errors='replace')}")
    return usage.ru_maxrss / 1024


def line_through(points):
    """Intercept and slope by least squares."""
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / count for axis in (0, 1))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return mean_y - slope * mean_x, slope


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True, type=Path)
    parser.add_argument("--sizes", default="200000,800000,1600000")
    parser.add_argument("--restore", choices=["smallest", "all"], default="smallest")
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = sorted(int(size) for size in options.sizes.split(","))
    if len(sizes) < 3:
        parser.error("a line through fewer than three sizes says nothing")
    work = Path(tempfile.mkdtemp(prefix="chartward-memory-", dir=options.dir))
    env = dict(os.environ, CHARTWARD_PASSWORD="bench")
    peaks = {}
    try:
        store, have = work / "store", 0
        for size in sizes:
            grow(store, have, size)
            have = size
            vault, cache = work / f"vault-{size}", work / f"cache-{size}"
            engine = options.engine.resolve()
            backup = [engine, "backup", vault, store, cache]
            peak_mb([engine, "init", vault], env)
            peaks.setdefault("first backup", []).append((size, peak_mb(backup, env)))
            peaks.setdefault("unchanged backup", []).append((size, peak_mb(backup, env)))
            for number in range(0, size, 100):
                path_of(store, number).write_bytes(message(number, size))
            peaks.setdefault("1 % changed", []).append((size, peak_mb(backup, env)))
            if options.restore == "all" or size == sizes[0]:
                peaks.setdefault("restore", []).append((size, peak_mb([engine, "restore", vault, work / "back"], env)))
                shutil.rmtree(work / "back")
            peaks.setdefault("check --read-data", []).append((size, peak_mb([engine, "check", vault], env)))
            shutil.rmtree(vault)
            shutil.rmtree(cache, ignore_errors=True)
            print(f"{size} files: " + ", ".join(f"{step} {found[-1][1]:.0f} MB" for step, found in peaks.items()
                                                if found[-1][0] == size), flush=True)
        for step, points in peaks.items():
            if len(points) < 3:
                print(f"{step:18} measured at {len(points)} size only, not extrapolated")
                continue
            base, slope = line_through(points)
            off = max(abs(base + slope * x - y) for x, y in points)
            print(f"{step:18} {slope * 1e6:6.1f} MB for each million files; EXTRAPOLATED to {TARGET:,}: {base + slope * TARGET:.0f} MB "
                  f"(line off by at most {off:.0f} MB at the measured sizes)")
        if options.json:
            options.json.write_text(json.dumps(peaks, indent=1))
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
