#!/usr/bin/env python3
"""Measures the hub: finding to applied block, correlation, memory, console, ledger, intake, start.

    cargo build --release -p chartward
    cargo build --release -p judge --example correlate_rate -p prove --example ledger_rate
    sudo bench/hub.py [--binary F] [--examples DIR] [--findings 1000000] [--rounds 3] [--only block,console,…]

Prints one JSON object for each figure ({"name", "value", "unit", "target", "met", "how"}) and a table at the end,
with the load of the machine before and after, since a shared machine tells less. Needs root (for nftables in
network namespaces of its own, which it removes again), nft, ip, and for the peer fail2ban. README.md says what each
figure is and what it is not.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import math
import os
import platform
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
RATE = 10_000
ATTACKERS, ATTACK_SECONDS = 12, 20  # 240, since a class of watchers may cause 256 acts in a minute
ROUND_SECONDS = 65
DAY_MS = 86_400_000
FIGURES = []


def figure(name, value, unit, how, most=None, least=None):
    """One line of the result."""
    target = f"<= {most}" if most is not None else f">= {least}" if least is not None else None
    met = None if target is None else (value <= most if most is not None else value >= least)
    FIGURES.append({"name": name, "value": round(value, 3), "unit": unit, "target": target, "met": met, "how": how})
    print(json.dumps(FIGURES[-1]), flush=True)


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def quantile(values, share):
    """The smallest value that at least this share of them does not pass."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def spread(name, values, how, most=None, unit="ms"):
    """Median, p99 and worst."""
    for label, value, bound in [("p50", statistics.median(values), None), ("p99", quantile(values, 0.99), most),
                                ("max", max(values), None)]:
        figure(f"{name} {label}", value, unit, how, most=bound)


def run(*command, **more):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, **more).stdout


def until(what, seconds, look):
    """What `look` finds, as soon as it finds something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    sys.exit(f"gave up after {seconds} s: {what}")


class Namespace:
    """A network namespace of its own, with a listener that knows when the kernel took which address."""

    def __init__(self, name):
        self.name = f"{name}{os.getpid()}"
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.seen, self.monitor = {}, None

    def watch(self):
        """Only from here on, since nft monitor is silent about sets that were not there when it began."""
        command = ["ip", "netns", "exec", self.name, "nft", "monitor", "new", "elements"]
        self.monitor = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
        threading.Thread(target=self.listen, daemon=True).start()
        time.sleep(0.5)

    def listen(self):
        for line in self.monitor.stdout:
            now = time.time_ns()
            for address in re.findall(r"198\.1[89]\.\d+\.\d+", line):
                self.seen.setdefault(address, now)

    def addresses(self, *where):
        """Those that stand in a set at this moment."""
        listed = run("ip", "netns", "exec", self.name, "nft", "list", "set", *where)
        return set(re.findall(r"198\.1[89]\.\d+\.\d+", listed))

    def close(self):
        if self.monitor:
            self.monitor.terminate()
            self.monitor.wait()
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Hub:
    """A hub in a folder, which outlives its processes."""

    def __init__(self, binary, place, namespace):
        self.binary, self.place, self.namespace = binary, place, namespace
        self.orders, self.state = place / "orders", place / "state"
        self.config, self.process, self.number = place / "hub.toml", None, 0
        place.chmod(0o755)
        shutil.copy(HERE / "findings.py", place / "findings.py")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        words = ["/usr/bin/python3", "-S", str(place / "findings.py"), str(self.orders)]
        self.config.write_text(f"""
hospital = "Benchmark"
state = {json.dumps(str(self.state))}
[console]
listen = "127.0.0.1:{self.port}"
[wall]
command = ["nsenter", "--net=/run/netns/{namespace.name}", "nft"]
[[watch]]
name = "bench"
class = "sensor"
exec = {json.dumps(words)}
read = [{json.dumps(str(place))}]
lines_per_second_max = 1000000
[never_touch]
addresses = ["192.0.2.250"]
[[playbook]]
name = "breakin"
watchers = ["sensor"]
detectors = ["bench.*"]
acts = ["block_address"]
approval = "none"
lasts = "4h"
""")

    def up(self):
        """Starts it and gives the seconds until it said that it is ready."""
        shutil.rmtree(self.orders, ignore_errors=True)
        self.orders.mkdir()
        for done in (self.state / "watch" / "bench").glob("done-*"):
            done.unlink()
        self.number = 0
        started = time.monotonic()
        with open(self.place / "hub.log", "a") as log:
            command = [self.binary, "up", "--json", "--config", self.config]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("type") == "ready":
                # Its pipe must not fill up.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                self.code = said.get("setup_code")
                return time.monotonic() - started
        sys.exit(f"the hub did not start:\n{(self.place / 'hub.log').read_text()[-2000:]}")

    def down(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(120)
        self.process = None

    def begin(self, **what):
        """Has the watcher do something."""
        self.number += 1
        unfinished = self.orders / "unfinished"
        unfinished.write_text(json.dumps(what))
        unfinished.rename(self.orders / f"{self.number}.json")

    def order(self, **what):
        """Has the watcher do something; gives what came of it."""
        self.begin(**what)
        done = self.state / "watch" / "bench" / f"done-{self.number}.json"
        found = until("the watcher's work", 3600, lambda: done.exists() or self.process.poll() is not None)
        if not done.exists():
            sys.exit(f"the hub ended ({found}):\n{(self.place / 'hub.log').read_text()[-2000:]}")
        return json.loads(done.read_text())

    def ask(self, sql, *values):
        """What stands in the database, read beside the hub."""
        with sqlite3.connect(f"file:{self.state}/state.db?mode=ro", uri=True, timeout=30) as db:
            return db.execute(sql, values).fetchall()

    def counted(self):
        return self.ask("SELECT coalesce(sum(lines), 0) FROM daily WHERE watcher = 'bench'")[0][0]

    def children(self):
        """All processes below the hub's."""
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    left += [int(word) for word in task.read_text().split()]
                except OSError:
                    pass
            found.append(pid)
        return found[1:]


class Gauge:
    """Memory and processor time of a hub while the block runs."""

    def __init__(self, hub):
        self.hub, self.rss, self.tree, self.end = hub, [], [], threading.Event()

    def __enter__(self):
        self.begun, self.cpu_before, self.disk_before = time.monotonic(), self.cpu_now(), self.disk_now()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self.seconds = time.monotonic() - self.begun
        self.cpu, self.disk = self.cpu_now() - self.cpu_before, self.disk_now() - self.disk_before

    def cpu_now(self):
        """Of the hub's own process; children that ended, such as nft, are not in it."""
        fields = Path(f"/proc/{self.hub.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def disk_now(self):
        return int(re.search(r"^write_bytes: (\d+)", Path(f"/proc/{self.hub.process.pid}/io").read_text(), re.M)[1])

    def watch(self):
        while not self.end.wait(0.25):
            try:
                self.rss.append(kilobytes(self.hub.process.pid, "status", "VmRSS") / 1024)
                pids = [self.hub.process.pid, *self.hub.children()]
                self.tree.append(sum(kilobytes(pid, "smaps_rollup", "Pss") for pid in pids) / 1024)
            except OSError:
                pass


def kilobytes(pid, file, key):
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(rf"^{key}:\s+(\d+)", text, re.M)
    return int(found[1]) if found else 0


def nanoseconds(text):
    """An RFC 3339 time as the state writes it."""
    whole, _, rest = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp()
    return int(seconds) * 1_000_000_000 + int((rest or "0").ljust(9, "0")[:9])


def block(hub, rounds):
    """Finding to applied block at 10,000 findings a second."""
    run(hub.binary, "act", "arm", "block_address", "sensor", "--state", hub.state)
    # The first ban of all makes the table, which takes as long as a ban once more.
    run(hub.binary, "act", "apply", "block_address", "203.0.113.99", "--state", hub.state)
    hub.namespace.watch()
    sent, attackers = 0, 0
    with Gauge(hub) as gauge:
        for number in range(rounds):
            # The minute that the bound of acts looks back on has to pass between two rounds.
            seconds = ROUND_SECONDS if number + 1 < rounds else ATTACK_SECONDS + 5
            done = hub.order(rate=RATE, count=RATE * seconds, attackers=ATTACKERS, attack_seconds=ATTACK_SECONDS)
            sent, attackers = sent + done["sent"], attackers + done["attackers"]
            say(f"round {number + 1}: {json.dumps(done)}")
    rows = until_settled(hub, attackers)
    wait_for_count(hub, sent)
    held = hub.namespace.addresses("inet", "chartward", "ban4")
    applied, kernel, open_after = [], [], 0
    for (text,) in rows:
        measure = json.loads(text)
        written = int(re.search(r"at (\d+) ns", measure["because"])[1])
        address = measure["act"]["address"]
        if measure["state"] != "applied" or address not in held:
            open_after += 1
            continue
        applied.append((nanoseconds(measure["applied_at"]) - written) / 1e6)
        if address in hub.namespace.seen:
            kernel.append((hub.namespace.seen[address] - written) / 1e6)
    how = (f"{attackers} attackers in {rounds} rounds of {ATTACK_SECONDS} s among {RATE} findings/s; from before the "
           f"watcher's write(2) to")
    spread("finding to applied block", applied, f"{how} applied_at in the state, the address found in the kernel's set",
           most=200)
    spread("finding to kernel's word", kernel, f"{how} nft monitor's line, {len(kernel)} seen")
    figure("attackers not blocked", attackers - len(applied), "", "no countermeasure in force for them", most=0)
    figure("findings lost at 10,000/s", sent - hub.counted(), "", f"of {sent} sent, counted in the state", most=0)
    figure("hub's processor at 10,000/s", 100 * gauge.cpu / gauge.seconds, "% of a core", "utime + stime of the hub alone")
    figure("written at 10,000/s", gauge.disk / gauge.seconds / 1e6, "MB/s", "write_bytes of the hub: journal, lake, state, log")
    memory("at 10,000/s", gauge)
    return sent, applied


def wait_for_count(hub, wanted):
    """The counts are written every ten seconds; what is not there after a minute is lost."""
    end = time.monotonic() + 60
    while hub.counted() < wanted and time.monotonic() < end:
        time.sleep(0.5)


def until_settled(hub, attackers):
    sql = "SELECT json FROM countermeasures WHERE kind = 'block_address' AND json LIKE '%said (bench.breakin)%'"
    end = time.monotonic() + 30
    while time.monotonic() < end:
        rows = hub.ask(sql)
        if len(rows) >= attackers and all('"applied"' in text for (text,) in rows):
            break
        time.sleep(0.5)
    return rows


def memory(when, gauge):
    peak = kilobytes(gauge.hub.process.pid, "status", "VmHWM") / 1024
    figure(f"memory {when}", peak, "MB", "VmHWM of the hub's process", most=256)
    figure(f"memory with children {when}", max(gauge.tree), "MB", "largest sum of Pss of the hub and all below it")


def fail2ban(place, with_noise):
    """The peer: one log line to one ban, as many attackers a second, alone or among as many other lines."""
    name = "f2bn" if with_noise else "f2b"
    namespace, folder = Namespace(name), place / name
    shutil.copytree("/etc/fail2ban", folder, symlinks=True)
    for other in (folder / "jail.d").iterdir():
        other.unlink()
    (folder / "filter.d/bench.conf").write_text("[Definition]\nfailregex = ^\\s*breakin from <HOST>\n")
    (folder / "jail.local").write_text(f"""
[bench]
enabled = true
filter = bench
logpath = {folder}/bench.log
backend = auto
maxretry = 1
bantime = 4h
action = nftables[type=allports, name=bench]
""")
    (folder / "fail2ban.local").write_text("[Definition]\ndbfile = None\nlogtarget = /dev/null\n")
    (folder / "bench.log").touch()
    command = ["ip", "netns", "exec", namespace.name, "fail2ban-server", "-f", "-c", folder, "-s", folder / "sock",
               "-p", folder / "pid"]
    server = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    written = {}
    try:
        client = ["fail2ban-client", "-s", str(folder / "sock"), "status", "bench"]
        until("fail2ban is ready", 60, lambda: subprocess.run(client, capture_output=True).returncode == 0)
        namespace.watch()
        time.sleep(2)
        with open(folder / "bench.log", "a", buffering=1 << 20) as log:
            started, lines = time.monotonic(), 0
            while (elapsed := time.monotonic() - started) < ATTACK_SECONDS:
                stamp = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
                due = int(elapsed * RATE) if with_noise else 0
                log.write("".join(f"{stamp} scan number {n} seen\n" for n in range(lines, due)))
                lines = max(lines, due)
                while len(written) < int(elapsed * ATTACKERS):
                    number = len(written) + 1
                    address = f"198.18.{number // 250}.{number % 250 + 1}"
                    written[address] = time.time_ns()
                    log.write(f"{stamp} breakin from {address}\n")
                log.flush()
                time.sleep(0.005)
        last, end = -1, time.monotonic() + 120
        while len(namespace.seen) < len(written) and time.monotonic() < end:
            # As long as it gets on at all, it is waited for.
            if len(namespace.seen) > last:
                last, end = len(namespace.seen), max(end, time.monotonic() + 15)
            time.sleep(1)
        return [(namespace.seen[address] - at) / 1e6 for address, at in written.items() if address in namespace.seen]
    finally:
        server.terminate()
        server.wait()
        namespace.close()


def peer(place, ours):
    if not shutil.which("fail2ban-server"):
        return say("no fail2ban here (apt install fail2ban): the peer is left out")
    wanted = ATTACKERS * ATTACK_SECONDS - 1
    for with_noise, among in [(False, "alone in its log"), (True, f"among {RATE} other lines/s")]:
        theirs = fail2ban(place, with_noise)
        how = f"{wanted} attackers at {ATTACKERS}/s {among}; log line written to nft monitor's line, maxretry 1"
        spread(f"fail2ban, {among}:", theirs, how)
        figure(f"fail2ban, {among}: not blocked", wanted - len(theirs), "", "within two minutes and while it got on")
        if ours:
            ratio = quantile(theirs, 0.99) / quantile(ours, 0.99)
            figure(f"fail2ban, {among}: p99 over the hub's", ratio, "x", "the hub at 10,000 findings/s all the while")


def intake(hub, findings, sent):
    """As fast as the hub takes them, up to so many in the lake."""
    count = max(findings - sent, 200_000)
    before = hub.counted()
    with Gauge(hub) as gauge:
        done = hub.order(rate=0, count=count)
    took = done["seconds"]
    wait_for_count(hub, before + done["sent"])
    lost = done["sent"] - (hub.counted() - before)
    figure("intake of one watcher", done["sent"] / took, "findings/s",
           f"{done['sent']} findings as fast as the pipe takes them", least=RATE)
    figure("findings lost at full speed", lost, "", "sent less counted in the state", most=0)
    figure("processor for 10,000 findings", gauge.cpu / done["sent"] * RATE, "s", "utime + stime of the hub alone")
    memory(f"with {hub.counted()} findings", gauge)


def fill(hub, incidents):
    """A hospital's year in the state: incidents and countermeasures like those there are, promises, counts."""
    with sqlite3.connect(hub.state / "state.db") as db:
        known = db.execute("SELECT status, severity_id, first_at, last_at, findings, json FROM incidents").fetchall()
        number, = db.execute("SELECT max(id) FROM incidents").fetchone()
        now = int(time.time() * 1000)
        rows = []
        for n in range(max(0, incidents - len(known))):
            status, severity, first, last, findings, text = known[n % len(known)]
            value, number = json.loads(text), number + 1
            status = "open" if n % 50 == 0 else "closed"
            value.update(id=number, status=status)
            back = n * 365 * DAY_MS // incidents
            rows.append((number, status, severity, first - back, last - back, findings, json.dumps(value)))
        db.executemany("INSERT INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        measures = db.execute("SELECT kind, json FROM countermeasures").fetchall()
        identity, = db.execute("SELECT coalesce(max(id), 0) FROM countermeasures").fetchone()
        for n, row in enumerate(rows if measures else []):
            kind, text = measures[n % len(measures)]
            value, identity = json.loads(text), identity + 1
            state = "proposed" if n % 500 == 0 else "undone"
            deadline = now + 7 * DAY_MS
            value.update(id=identity, incident=row[0], state=state, applied_at=None,
                         deadline=datetime.fromtimestamp(deadline / 1000, timezone.utc).isoformat().replace("+00:00", "Z"))
            db.execute("INSERT INTO countermeasures VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
                       (identity, row[0], kind, state, row[3], deadline, json.dumps(value)))
        promises = [(now - n * 15 * 60_000, 600.0 + n % 900, 4.0 + n % 7, 900.0, n % 3) for n in range(365 * 96)]
        db.executemany("INSERT OR REPLACE INTO promises VALUES (?, ?, ?, ?, ?)", promises)
        day = datetime.now(timezone.utc)
        days = [(datetime.fromtimestamp(day.timestamp() - 86400 * (n // 12 + 1), timezone.utc).strftime("%Y-%m-%d"), 2004,
                 f"watcher{n % 4}", f"detector{n % 3}.x", n % 5 + 1, 100 + n) for n in range(365 * 12)]
        db.executemany("INSERT OR IGNORE INTO daily VALUES (?, ?, ?, ?, ?, ?)", days)


class Browser:
    """One connection that is kept, with a cookie."""

    def __init__(self, port):
        context = ssl.create_default_context()
        # The certificate is the hub's own, made a minute ago.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        self.cookie = ""

    def ask(self, path, form=None):
        headers = {"Cookie": self.cookie, "Accept-Language": "ja"}
        body = None
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(form)
        started = time.monotonic()
        self.connection.request("POST" if form is not None else "GET", path, body, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        took = (time.monotonic() - started) * 1000
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie" and "chartward" in value:
                self.cookie = value.split(";")[0]
        return answer.status, text, took

    def log_in(self, code):
        """Makes the first administrator and sets up the one-time codes."""
        status, text, _ = self.ask("/first-run", {"code": code, "name": "bench", "password": "violin under seven bridges"})
        _, text, _ = self.ask("/account/totp") if status == 303 else sys.exit(f"first run: {status} {text[:500]}")
        secret = re.search(r'id="totp-secret">([^<]+)<', text)[1].replace(" ", "")
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
        hidden["ticket"] = re.search(r'name="ticket" value="([^"]+)"', text)[1]
        status, text, _ = self.ask("/account/totp", {**hidden, "code": one_time(secret)})
        if status != 200:
            sys.exit(f"one-time codes: {status} {text[:500]}")


def one_time(secret):
    """RFC 6238: SHA-1, 30 seconds, six digits."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = mac[19] & 15
    return f"{(struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 1_000_000:06}"


def console(hub, requests):
    browser = Browser(hub.port)
    browser.log_in(hub.code)
    biggest, = hub.ask("SELECT id FROM incidents ORDER BY length(json) DESC LIMIT 1")[0]
    deep, = hub.ask("SELECT id FROM incidents ORDER BY last_at LIMIT 1 OFFSET 100")[0]
    pages = ["/", "/incidents", "/incidents?status=closed&severity=4", f"/incidents?before={deep}",
             f"/incidents/{biggest}", "/approvals", "/protected", "/watchers", "/ledger", "/audit", "/settings", "/people",
             "/account", "/api", "/metrics", "/api/v1/incidents?limit=200", "/healthz"]
    everything = []
    for page in pages:
        times = []
        for _ in range(requests):
            status, text, took = browser.ask(page)
            if status != 200:
                sys.exit(f"{page} answered {status}: {text[:300]}")
            times.append(took)
        everything += times
        how = f"{requests} requests over one TLS connection, {len(text) // 1024} KiB each"
        figure(f"page {re.sub(r'[0-9]{2,}', 'N', page)} p50", statistics.median(times), "ms", how)
        figure(f"page {re.sub(r'[0-9]{2,}', 'N', page)} p99", quantile(times, 0.99), "ms", how, most=50)
    findings, incidents = hub.counted(), hub.ask("SELECT count(*) FROM incidents")[0][0]
    figure("all pages p99", quantile(everything, 0.99), "ms", f"{findings} findings counted, {incidents} incidents", most=50)


def examples(folder, place):
    for name, words, read in [
        ("correlate_rate", ["100000"], lambda said: ("100,000 findings correlated", said["seconds"], "s", 2, None)),
        ("ledger_rate", [place], lambda said: (f"ledger append, batches of {said['batch']}", said["entries_per_second"],
                                               "entries/s", None, 5000 if said["batch"] >= 100 else None)),
    ]:
        program = folder / name
        if not program.is_file():
            say(f"{program} is not there (cargo build --release --example {name}): left out")
            continue
        runs = [run(program, *words) for _ in range(3)]
        lines = [[json.loads(line) for line in out.splitlines() if line.startswith("{")] for out in runs]
        for group in zip(*lines):
            name_of, _, unit, most, least = read(group[0])
            figure(name_of, statistics.median(read(said)[1] for said in group), unit, f"median of 3 runs of {name}",
                   most, least)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = HERE.parent / "target/release"
    options.add_argument("--binary", type=Path, default=root / "chartward")
    options.add_argument("--examples", type=Path, default=root / "examples")
    options.add_argument("--dir", help="where to work: a disk like the hub's (default: the temporary folder)")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--findings", type=int, default=1_000_000)
    options.add_argument("--incidents", type=int, default=10_000)
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--only", default="examples,block,peer,intake,start,console")
    args = options.parse_args()
    wanted = set(args.only.split(","))
    if not args.binary.is_file() or os.geteuid() != 0 or not shutil.which("nft"):
        sys.exit("needs root, nft (apt install nftables) and the binary (cargo build --release -p chartward)")
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "load_before": os.getloadavg()}
    place = Path(tempfile.mkdtemp(dir=args.dir, prefix="chartward-bench-"))
    namespace = hub = None
    try:
        if "examples" in wanted:
            examples(args.examples, place)
        namespace = Namespace("cwb")
        hub = Hub(args.binary.resolve(), place, namespace)
        first = hub.up()
        code, sent, ours = hub.code, 0, []
        if "start" in wanted:
            figure("start with an empty state", first, "s", "spawn to the ready line")
        if "block" in wanted:
            sent, ours = block(hub, args.rounds)
        if "intake" in wanted:
            intake(hub, args.findings, sent)
        if "start" in wanted:
            hub.begin(rate=RATE, count=RATE * 60)
            time.sleep(9)
            hub.down(signal.SIGKILL)
            figure("start after kill -9", hub.up(), "s", f"spawn to the ready line, killed after 9 s at {RATE} findings/s")
        hub.down()
        if wanted & {"start", "console"}:
            fill(hub, args.incidents)
            ready = hub.up()
            hub.code = hub.code or code
            if "start" in wanted:
                figure("start with a full state", ready, "s", f"{args.incidents} incidents, a year of promises and counts")
            if "console" in wanted:
                console(hub, args.requests)
                figure("memory after the pages", kilobytes(hub.process.pid, "status", "VmHWM") / 1024, "MB", "VmHWM", most=256)
            hub.down()
        if "peer" in wanted:
            peer(place, ours)
    finally:
        if hub:
            hub.down(signal.SIGKILL)
        if namespace:
            namespace.close()
        shutil.rmtree(place, ignore_errors=True)
    print(json.dumps({"machine": {**machine, "load_after": os.getloadavg()}}))
    width = max(len(it["name"]) for it in FIGURES)
    for it in FIGURES:
        met = {True: "met", False: "MISSED", None: ""}[it["met"]]
        print(f"{it['name']:{width}} {it['value']:14,.2f} {it['unit']:12} {it['target'] or '':9} {met}")
    sys.exit(any(it["met"] is False for it in FIGURES))


if __name__ == "__main__":
    main()
