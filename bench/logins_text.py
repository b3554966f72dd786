#!/usr/bin/env python3
"""Text logs: lines a second on one core, beside fail2ban-regex on the same lines.

    bench/logins_text.py WORK [--lines 1000000] [--fail2ban-lines 100000] [--log FILE]…

Builds the release binary and the example `auth_rate` (CARGO_TARGET_DIR is respected) and makes logs of --lines sshd lines below WORK:
a flood (four fifths failures, from 762 addresses and six accounts in turn; reserved addresses), and for each --log the lines of that
log of sshd, again and again, each time moved on in time by as long as it lasts. Each is read with the example (reader alone) and with
`chartward scan logs` (with all detectors and its start), and the first --fail2ban-lines of it with Debian's fail2ban-regex. CPU seconds
are those of the process (user and system), so that other work on the machine counts little. Prints one JSON line for each figure.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"

FORMS = [
    (50, "Failed password for {user} from {ip} port {port} ssh2"),
    (15, "Failed password for invalid user {user} from {ip} port {port} ssh2"),
    (15, "Invalid user {user} from {ip} port {port}"),
    (5, "Accepted publickey for {user} from {ip} port {port} ssh2: ED25519 SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    (5, "pam_unix(sshd:session): session closed for user {user}"),
    (5, "Connection closed by authenticating user {user} {ip} port {port} [preauth]"),
    (5, "Received disconnect from {ip} port {port}:11: Bye Bye [preauth]"),
]


def write(path, lines):
    dice = random.Random(9)
    weights = [weight for weight, _ in FORMS]
    at = datetime.now() - timedelta(days=2)
    with path.open("w") as out:
        for _ in range(lines):
            at += timedelta(milliseconds=150)
            form = dice.choices(FORMS, weights)[0][1]
            net = dice.choice(["192.0.2", "198.51.100", "203.0.113"])
            said = form.format(user=dice.choice(["root", "admin", "yamada", "test", "oracle", "emr"]), ip=f"{net}.{dice.randrange(1, 255)}", port=dice.randrange(1024, 65536))
            out.write(f"{at:%b} {at.day:2d} {at:%H:%M:%S} emr1 sshd[{dice.randrange(1000, 60000)}]: {said}\n")


def repeat(path, log, lines):
    """The lines of a log with times like `Dec 10 06:55:46` until there are enough, the last ones of yesterday."""
    some = path.read_text(errors="replace").splitlines()
    # 2024 had a 29 February.
    times = [datetime.strptime(f"2024 {line[:15]}", "%Y %b %d %H:%M:%S") for line in some]
    first, lasts = min(times), max(times) - min(times) + timedelta(minutes=1)
    copies = -(-lines // len(some))
    begin = datetime.now() - timedelta(days=1) - copies * lasts
    with log.open("w") as out:
        for number in range(copies * len(some)):
            copy, line = divmod(number, len(some))
            at = begin + copy * lasts + (times[line] - first)
            if number < lines:
                out.write(f"{at:%b} {at.day:2d} {at:%H:%M:%S}{some[line][15:]}\n")


def cpu(*words):
    """CPU seconds and the standard output of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True, check=False)
    if out.returncode not in (0, 1):
        sys.exit(f"{words} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out.stdout


def say(what, lines, seconds, **more):
    rate = round(lines / seconds)
    print(json.dumps({"what": what, "lines": lines, "cpu_seconds": round(seconds, 3), "lines_per_cpu_second": rate, **more}), flush=True)
    return rate


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", type=Path)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--fail2ban-lines", type=int, default=100_000)
    parser.add_argument("--log", type=Path, action="append", default=[])
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    for what in (["-p", "chartward"], ["-p", "decode", "--example", "auth_rate"]):
        subprocess.run(["cargo", "build", "--release", "--locked", *what], cwd=ROOT, check=True)
    log = args.work / "flood.log"
    write(log, args.lines)
    measure("flood", log, args)
    for path in args.log:
        log = args.work / path.name
        repeat(path, log, args.lines)
        measure(path.name, log, args)


def measure(name, log, args):
    seconds, out = cpu(TARGET / "examples/auth_rate", log)
    say("reader", args.lines, seconds, log=name, alone=json.loads(out))
    rates = []
    for _ in range(3):
        seconds, out = cpu(TARGET / "chartward", "scan", "logs", "--json", log)
        rates.append(say("chartward scan logs", args.lines, seconds, log=name, summary=json.loads(out.splitlines()[-1])))
    if not shutil.which("fail2ban-regex"):
        return print(json.dumps({"what": "fail2ban-regex", "skipped": "it is not installed (apt-get install fail2ban)"}))
    part = log.with_suffix(".part")
    with log.open() as whole, part.open("w") as some:
        some.writelines(line for _, line in zip(range(args.fail2ban_lines), whole))
    seconds, _ = cpu("fail2ban-regex", part, "sshd")
    theirs = say("fail2ban-regex", args.fail2ban_lines, seconds, log=name)
    print(json.dumps({"what": "chartward scan logs (middle of three), times fail2ban-regex", "log": name, "times": round(sorted(rates)[1] / theirs, 1)}), flush=True)


if __name__ == "__main__":
    main()
