#!/usr/bin/env python3
"""Windows records per CPU second and memory of `chartward scan evtx`, beside Hayabusa and Chainsaw, on the same logs in the same run.

    cargo build --release -p chartward && cargo build --release -p decode --example evtx_rate
    bench/logins_evtx.py --binary target/release/chartward --logs DIR --rules DIR [--examples target/release/examples] \\
        [--hayabusa BIN] [--chainsaw BIN] [--folder /dev/shm/evtx] [--records 100000] [--small]

`--logs` is a folder of EVTX files, `--rules` one of Sigma rules (SigmaHQ). The logs are copied into --folder until they hold about
--records records (removed at the end unless --keep). CPU time is user and system time of the process and its children, memory the
largest resident set. Neither peer comes from a package registry (the crate called `chainsaw` is something else): download a release
of Yamato Security's Hayabusa or of WithSecure's Chainsaw yourself and name its program. One that is missing is said and left out.
Hayabusa judges by the rules that lie beside it (--hayabusa-rules names others), Chainsaw by --rules with its own mapping beside it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# Of what a tool prints so much is looked at: more would be counted as the next one's memory, which begins as a copy of this script's.
TAIL = 1 << 16


def last(file):
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
    return file.read().decode(errors="replace")


def run(command, cwd=None, good=(0,)):
    """CPU seconds, MiB and the end of what it wrote to stdout."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=cwd)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        text, trouble = last(out), last(err)
    if process.returncode not in good:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}: {trouble[-800:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def ours(args, folder, rules):
    command = [args.binary, "scan", "evtx", "--json", folder]
    for path in rules:
        command += ["--rules", path]
    cpu, memory, text = run(command, good=(0, 1))
    return cpu, memory, json.loads(text.splitlines()[-1])


def multiplied(args, folder):
    """Copies the logs until they hold enough records; how many they hold then."""
    logs = sorted(path for path in args.logs.rglob("*.evtx") if path.is_file())
    if not logs:
        sys.exit(f"no EVTX file below {args.logs}")
    once = folder / "0"
    once.mkdir()
    for number, path in enumerate(logs):
        shutil.copy(path, once / f"{number:04}-{path.name}")
    held = ours(args, once, [])[2]["events"]
    copies = max(1, round(args.records / held))
    for copy in range(1, copies):
        shutil.copytree(once, folder / str(copy))
    return held * copies


def found(args, name):
    given = getattr(args, name)
    path = shutil.which(given or name)
    if not path:
        print(f"{name} is not here (see --help): left out", file=sys.stderr)
    return path and Path(path).resolve()


def peers(args, folder, rows, records):
    with tempfile.TemporaryDirectory(dir=args.folder) as out:
        if hayabusa := found(args, "hayabusa"):
            command = [hayabusa, "json-timeline", "-L", "-d", folder, "-o", f"{out}/h.jsonl", "-w", "-q", "-C", "--no-color"]
            if args.hayabusa_rules:
                command += ["-r", args.hayabusa_rules]
            cpu, memory, _ = run(command, cwd=hayabusa.parent)
            rows.append(("Hayabusa", cpu, memory, records))
        if chainsaw := found(args, "chainsaw"):
            mapping = args.chainsaw_mapping or chainsaw.parent / "mappings/sigma-event-logs-all.yml"
            command = [chainsaw, "hunt", folder, "-s", args.rules, "--mapping", mapping, "--jsonl", "-o", f"{out}/c.jsonl", "-q"]
            cpu, memory, _ = run(command, cwd=chainsaw.parent)
            rows.append(("Chainsaw", cpu, memory, records))


def load():
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--logs", type=Path, required=True)
    parser.add_argument("--rules", type=Path, required=True)
    parser.add_argument("--examples", type=Path, help="folder with evtx_rate")
    parser.add_argument("--hayabusa")
    parser.add_argument("--hayabusa-rules")
    parser.add_argument("--chainsaw")
    parser.add_argument("--chainsaw-mapping")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm/evtx"))
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--small", action="store_true", help="the logs once: whether everything works")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.binary, args.rules, args.logs = args.binary.resolve(), args.rules.resolve(), args.logs.resolve()
    args.records = 1 if args.small else args.records
    args.folder.mkdir(parents=True)
    folder = args.folder / "logs"
    folder.mkdir()
    try:
        before = load()
        records = multiplied(args, folder)
        rows = []
        # A few rules cost what it costs to start: the difference is the logs' share.
        loaded = ours(args, folder / "0", [args.rules])
        cpu, memory, summary = ours(args, folder, [args.rules])
        rows.append((f"chartward, {summary['rules']} rules, {summary['findings']} findings", cpu, memory, records))
        cpu, memory, _ = ours(args, folder, [])
        rows.append(("chartward, logons only", cpu, memory, records))
        peers(args, folder, rows, records)
        files = sum(path.stat().st_size for path in folder.rglob("*.evtx"))
        print(f"{records:,} records, {files / 1e6:.1f} MB, {os.cpu_count()} cores; load before {before}, after {load()}\n")
        print("| | CPU s | records per CPU second | ours is faster by | peak memory, MiB |\n|---|---|---|---|---|")
        for name, cpu, memory, count in rows:
            print(f"| {name} | {cpu:.2f} | {count / max(cpu, 1e-9):,.0f} | {cpu / rows[0][1]:.1f} | {memory:,.0f} |")
        print(f"\n{summary['rules_not_loaded']} rules were not loaded; with {loaded[2]['events']:,} records: {loaded[0]:.2f} CPU s")
        if args.examples:
            paths = [path for path in sorted((folder / "0").iterdir()) if path.suffix == ".evtx"]
            print("\nreading alone: " + run([args.examples / "evtx_rate", "--rounds", "10", *paths])[2].strip())
    finally:
        if not args.keep:
            shutil.rmtree(args.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
