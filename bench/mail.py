#!/usr/bin/env python3
"""Phishing caught, honest mail flagged, mails per CPU second: chartward, Rspamd and SpamAssassin on the same mails in the same run.

    apt install rspamd spamassassin
    bench/mail.py --binary target/release/chartward --data DIR [--limit N]

All three are offline: no DNS, no network lists, no learnt data. DIR holds `phish` and `ham` (folders of .eml). Rspamd runs as a
daemon of its own on a loopback port with a state folder of its own; SpamAssassin is `spamd -L`; both are ended at the end. CPU time is
what the processes themselves used (chartward: of its children; daemons: of their process group), start-up left out for the daemons.

Each is shown at its own threshold, and at the one where it flags at most one honest mail in a thousand: chosen afterwards on these very
mails, which flatters everybody alike. chartward's weights were fitted on this collection: its honest figures, by cross-validation, stand
in docs/mail-eval.md. Rspamd's rules that look at when and where the collections were made (Received, dates, MUA) are left out.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ARTEFACTS = ("DATE_", "RCVD_", "RECEIVED_", "ONCE_RECEIVED", "HFILTER_", "MID_", "FORGED_MUA", "FORGED_RECIPIENTS", "TO_", "X_", "RDNS_", "HOST", "R_SPF", "R_DKIM", "ARC_", "AUTH_NA")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def group_cpu(group):
    """User and system seconds of all live processes of a group, their ended children included."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += sum(int(fields[at]) for at in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK")


class Daemon:
    """A daemon in a process group of its own, ended with the block."""

    def __init__(self, command, port):
        self.command, self.port = command, port

    def __enter__(self):
        self.process = subprocess.Popen(self.command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 60
        while time.time() < end:
            with socket.socket() as line:
                if line.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        self.__exit__()
        sys.exit(f"{self.command[0]} did not start")

    def cpu(self):
        return group_cpu(self.process.pid)

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, signal.SIGKILL)


def chartward(binary, mails, trust):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        # One folder of links would not be followed, so the paths are given.
        scores = {}
        for start in range(0, len(mails), 2000):
            part = [str(mail) for mail in mails[start:start + 2000]]
            run = subprocess.run([binary, "scan", "mail", "--json", *trust, *part], stdout=subprocess.PIPE, cwd=folder, check=False)
            for line in run.stdout.splitlines():
                found = json.loads(line)
                if "verdict" in found:
                    scores[found["path"]] = (found["score"], found["verdict"] in ("phishing", "malicious"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return [scores[str(mail)] for mail in mails], cpu


def rspamd(mails):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        port, dead = free_port(), free_port()
        local = Path(folder, "local.d")
        local.mkdir()
        Path(local, "options.inc").write_text(f'dns {{ nameserver = ["127.0.0.1:{dead}:1"]; timeout = 0.01s; retransmits = 1; }}\n')
        Path(local, "worker-normal.inc").write_text(f'bind_socket = "127.0.0.1:{port}";\ncount = 1;\n')
        for worker in ("controller", "proxy", "fuzzy"):
            Path(local, f"worker-{worker}.inc").write_text("enabled = false;\n")
        places = [f"--var={name}={folder}" for name in ("DBDIR", "RUNDIR", "LOGDIR", "LOCAL_CONFDIR")]
        command = ["rspamd", "--insecure", "-f", "-c", "/etc/rspamd/rspamd.conf", *places]
        results = []
        with Daemon(command, port) as daemon:
            before = daemon.cpu()
            for mail in mails:
                with socket.create_connection(("127.0.0.1", port), 60) as line:
                    body = mail.read_bytes()
                    line.sendall(b"POST /checkv2 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                    answer = b"".join(iter(lambda: line.recv(65536), b""))
                symbols = json.loads(answer.split(b"\r\n\r\n", 1)[1]).get("symbols", {})
                score = sum(found["score"] for name, found in symbols.items() if not name.startswith(ARTEFACTS))
                results.append((score, score >= 6))
            return results, daemon.cpu() - before


def spamassassin(mails):
    port = free_port()
    command = ["spamd", "-L", "-m", "1", "--min-children=1", "-i", "127.0.0.1", "-p", str(port), "-x", "-s", "stderr"]
    results = []
    with Daemon(command, port) as daemon:
        before = daemon.cpu()
        for mail in mails:
            answer = subprocess.run(["spamc", "-d", "127.0.0.1", "-p", str(port), "-c", "-s", "20000000"], stdin=mail.open("rb"), stdout=subprocess.PIPE, check=False)
            score = float(answer.stdout.decode().split("/")[0] or 0)
            results.append((score, score >= 5))
        return results, daemon.cpu() - before


def at_one_in_a_thousand(phish, ham):
    ranked = sorted((score for score, _ in ham), reverse=True)
    limit = ranked[int(len(ranked) * 0.001)]
    return sum(score > limit for score, _ in phish) / len(phish)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--limit", type=int, help="so many of each, evenly spread")
    args = parser.parse_args()

    def mails(folder):
        found = sorted(Path(args.data, folder).rglob("*.eml"))
        return found[::max(1, len(found) // args.limit)] if args.limit else found

    phish, ham = mails("phish"), mails("ham")
    both = phish + ham
    print(f"{len(phish)} phish, {len(ham)} ham; load {os.getloadavg()[0]:.1f} before", file=sys.stderr)
    peers = [
        ("chartward, results trusted", lambda: chartward(args.binary, both, ["--trust-authserv-id", "*"])),
        ("chartward, content alone", lambda: chartward(args.binary, both, [])),
    ]
    for name, tool, run in (("Rspamd", "rspamd", rspamd), ("SpamAssassin -L", "spamd", spamassassin)):
        if shutil.which(tool) or shutil.which(tool, path="/usr/sbin"):
            peers.append((name, lambda run=run: run(both)))
        else:
            print(f"{tool} is not installed: left out", file=sys.stderr)
    print("| | phish caught | ham flagged | phish caught at ham ≤ 0.1 % | mails/s/core |\n|---|---|---|---|---|")
    for name, run in peers:
        results, cpu = run()
        caught, flagged = results[:len(phish)], results[len(phish):]
        row = (
            f"{100 * sum(hit for _, hit in caught) / len(phish):.1f} %",
            f"{100 * sum(hit for _, hit in flagged) / len(ham):.2f} %",
            f"{100 * at_one_in_a_thousand(caught, flagged):.1f} %",
            f"{len(both) / max(cpu, 1e-9):,.0f}",
        )
        print(f"| {name} | {' | '.join(row)} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f} after", file=sys.stderr)


if __name__ == "__main__":
    main()
