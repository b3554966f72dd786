#!/usr/bin/env python3
"""The static bundle: how long an export takes, how large it is, and how soon a browser shows the first chart.

    bench/bundle.py WORK [--patients 3835] [--many 100000]

Builds release binaries (CARGO_TARGET_DIR is respected), makes a sample hospital of --patients below WORK, exports it twice with
`chartward charts export` (the second time nothing has changed), then makes a bundle of --many patients with the example
`bundle_many`, and opens both in Debian's Chromium from file:// through bench/bundle.mjs (puppeteer-core as the browser tests have it,
in target/browser-tests-bundle). Prints one JSON line for each figure. Memory is the largest resident set of the process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
WORDS = "seven unrelated words of a benchmark"


def run(*words):
    """Seconds, the largest memory in MiB and the last JSON line of a command."""
    begun = time.monotonic()
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"{words} failed")
    lines = [line for line in out.splitlines() if line.startswith("{")]
    said = json.loads(lines[-1]) if lines else {}
    return time.monotonic() - begun, usage.ru_maxrss // 1024, said


def say(what, **figures):
    print(json.dumps({"what": what, **figures}), flush=True)


def browser(what, bundle, work):
    node = ROOT / "target/browser-tests-bundle"
    if not (node / "node_modules").is_dir():
        return say(what, skipped="run the test a_browser_reads_charts_from_a_stick_and_loses_no_note once: it installs puppeteer-core")
    script = node / "bench.mjs"
    script.write_text((ROOT / "bench/bundle.mjs").read_text())
    plan = json.dumps({"dir": str(bundle), "passphrase": WORDS, "profile": str(work / "profile")})
    said = subprocess.run(["node", str(script), plan], cwd=node, capture_output=True, text=True, check=True)
    say(what, **json.loads(said.stdout.splitlines()[-1]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--patients", type=int, default=3835)
    parser.add_argument("--many", type=int, default=100_000)
    args = parser.parse_args()
    work = args.work
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    subprocess.run(["cargo", "build", "--offline", "--release", "-p", "chartward", "-p", "recover", "--bins", "--example", "bundle_many"], check=True)
    (work / "words").write_text(WORDS)
    hospital = work / f"hospital-{args.patients}"
    if not hospital.is_dir():
        run(TARGET / "chartward", "sample", "hospital", hospital, "--patients", args.patients, "--json")
    one = work / "bundle"
    for what in ("export", "export again, nothing changed"):
        seconds, memory, said = run(TARGET / "chartward", "charts", "export", "--from", hospital, "--to", one, "--passphrase-file", work / "words", "--json")
        say(what, seconds=round(seconds, 1), memory_mib=memory, **{key: said[key] for key in ("patients", "parts", "parts_written", "bytes")})
    browser("browser", one, work)
    many = work / "bundle-many"
    seconds, memory, said = run(TARGET / "examples/bundle_many", hospital / "ssmix2", args.many, many)
    say("export many", memory_mib=memory, **said)
    browser("browser, many", many, work)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
