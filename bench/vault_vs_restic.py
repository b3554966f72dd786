#!/usr/bin/env python3
"""Compares Chartward's vault with a stock restic on the same store, in turn, and prints ratios.

    cargo build --release && bench/vault_vs_restic.py [--patients 3835] [--rounds 3] [--dir DIR]

Each round runs both programs for each step (first backup, unchanged backup, restore, check --read-data) on
fresh vaults; which of the two goes first alternates. Figures are medians over the rounds: wall seconds, CPU
seconds, peak resident MB. The store is the synthetic hospital. Chartward decodes every record and captures the
database by its own backup on the way, and restic does neither: that work is in Chartward's time.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = ["first backup", "unchanged backup", "restore", "check --read-data"]


def run(command, env):
    """Wall seconds, CPU seconds and peak MB of one command, which must succeed."""
    started = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    # wait4 gives the figures of this child alone.
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(map(str, command))} failed: {errors.decode(errors='replace')}")
    return time.monotonic() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def steps(program, place, store, env):
    """The four commands of one program on a vault in `place`."""
    vault, target = place / "vault", place / "back"
    if program == "restic":
        base = ["restic", "--no-cache", "--quiet", "-r", vault]
        backup = base + ["backup", store]
        return [base + ["init"], backup, backup, base + ["restore", "latest", "--target", target],
                base + ["check", "--read-data"]]
    base, state = [str(BINARY)], ["--state", place / "state"]
    to_vault = ["--vault", vault]
    backup = base + ["backup", store, *to_vault, *state]
    return [base + ["vault", "init", vault, *state], backup, backup,
            base + ["restore", "latest", "--target", target, *to_vault],
            base + ["vault", "check", "--read-data", *to_vault]]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--patients", default="3835")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--dir", help="where to work (default: the temporary folder)")
    options.add_argument("--binary", default=str(Path(__file__).parent.parent / "target/release/chartward"))
    args = options.parse_args()
    global BINARY
    BINARY = Path(args.binary)
    if not BINARY.is_file() or not shutil.which("restic"):
        sys.exit("needs target/release/chartward (cargo build --release) and restic (apt install restic)")
    env = dict(os.environ, CHARTWARD_PASSWORD="bench", RESTIC_PASSWORD="bench")
    figures = {(program, step): [] for program in ["chartward", "restic"] for step in STEPS}
    with tempfile.TemporaryDirectory(dir=args.dir, prefix="chartward-bench-") as work:
        store = Path(work) / "hospital"
        run([BINARY, "sample", "hospital", store, "--patients", args.patients], env)
        for number in range(args.rounds):
            order = ["chartward", "restic"] if number % 2 == 0 else ["restic", "chartward"]
            commands = {program: steps(program, Path(work) / f"{program}-{number}", store, env) for program in order}
            for program in order:
                (Path(work) / f"{program}-{number}").mkdir()
                run(commands[program][0], env)
            for index, step in enumerate(STEPS, start=1):
                for program in order:
                    figures[program, step].append(run(commands[program][index], env))
    print(f"{'':18} {'chartward':>24} {'restic':>24}   restic / chartward")
    print(f"{'':18} {'wall s   CPU s   MB':>24} {'wall s   CPU s   MB':>24}   {'wall':>5} {'CPU':>5} {'MB':>5}")
    for step in STEPS:
        ours, theirs = ([statistics.median(run[i] for run in figures[program, step]) for i in range(3)]
                        for program in ["chartward", "restic"])
        cells = [f"{wall:9.2f} {cpu:7.2f} {mb:6.0f}" for wall, cpu, mb in (ours, theirs)]
        ratios = " ".join(f"{b / a:5.2f}" for a, b in zip(ours, theirs))
        print(f"{step:18} {cells[0]:>24} {cells[1]:>24}   {ratios}")


if __name__ == "__main__":
    main()
