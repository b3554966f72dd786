#!/usr/bin/env python3
"""How long it takes from a line in a log to the kernel's drop: `bench/shutout.py [--binary F] [--rounds N] [--standing N]`, as root.

A hub with its watcher of logs, which follows a file; each round writes the tenth failure of a new address and looks until the kernel's set holds
it. The packet filter stands in a network namespace of its own. Prints one JSON line.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
LINE = "%s gate sshd[7]: Failed password for root from %s port 50000 ssh2\n"
FAILURES = 10


def main():
    wanted = argparse.ArgumentParser()
    wanted.add_argument("--binary", default=os.path.join(HERE, "../target/release/chartward"))
    wanted.add_argument("--rounds", type=int, default=50)
    wanted.add_argument("--standing", type=int, default=0, help="addresses that are banned already")
    given = wanted.parse_args()
    space = "shutout-bench-%d" % os.getpid()
    folder = tempfile.mkdtemp(prefix="shutout-bench-")
    os.chmod(folder, 0o755)
    subprocess.run(["ip", "netns", "add", space], check=True)
    hub = None
    try:
        hub = start(given.binary, folder, space)
        times = [one(folder, space, "198.51.100.%d" % n) for n in range(1, 3)]  # The table is made, programs are read.
        if given.standing:
            stand(space, given.standing)
        # Slow enough for the bound of acts in a minute.
        times = []
        for n in range(given.rounds):
            times.append(one(folder, space, "203.0.113.%d" % (n + 1)))
            time.sleep(0.3)
        times.sort()
        at = lambda share: round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1)
        print(json.dumps({
            "rounds": len(times), "standing": given.standing, "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0),
            "mean_ms": round(1000 * statistics.mean(times), 1),
        }))
    finally:
        if hub:
            os.killpg(hub.pid, signal.SIGTERM)
            hub.wait()
        subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def start(binary, folder, space):
    open(os.path.join(folder, "made.log"), "w").close()
    config = os.path.join(folder, "chartward.toml")
    with open(config, "w") as out:
        out.write("""hospital = "Bench"
state = "%(folder)s/state"
[console]
listen = "127.0.0.1:0"
tls = false
[wall]
command = ["ip", "netns", "exec", "%(space)s", "nft"]
[never_touch]
addresses = ["192.0.2.250"]
[logs]
files = ["%(folder)s/made.log"]
[[watch]]
name = "logins"
logs = true
[[playbook]]
name = "guessing"
watchers = ["logs"]
detectors = ["bruteforce.*"]
severity_min = "medium"
acts = ["block_address"]
approval = "none"
lasts = "1h"
""" % {"folder": folder, "space": space})
    log = open(os.path.join(folder, "hub.log"), "w")
    hub = subprocess.Popen([binary, "up", "--json", "--config", config], stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    ready = json.loads(hub.stdout.readline())
    assert ready["type"] == "ready", ready
    armed = [binary, "act", "arm", "block_address", "logs", "--json", "--state", folder + "/state"]
    subprocess.run(armed, check=True, stdout=subprocess.DEVNULL)
    time.sleep(1)
    return hub


def stand(space, count):
    first = 0xC6120000  # 198.18.0.0, for measurements.
    text = ", ".join("%d.%d.%d.%d timeout 1h" % ((first + n) >> 24, (first + n) >> 16 & 255, (first + n) >> 8 & 255, (first + n) & 255)
                     for n in range(count))
    command = ["ip", "netns", "exec", space, "nft", "-f", "-"]
    subprocess.run(command, input="add element inet chartward ban4 { %s }\n" % text, text=True, check=True)


def one(folder, space, address):
    with open(os.path.join(folder, "made.log"), "a") as log:
        now = lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        log.write((FAILURES - 1) * (LINE % (now(), address)))
        log.flush()
        time.sleep(0.1)
        begun = time.monotonic()
        log.write(LINE % (now(), address))
    look = ["ip", "netns", "exec", space, "nft", "get", "element", "inet", "chartward", "ban4", "{ %s }" % address]
    while subprocess.run(look, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        assert time.monotonic() - begun < 30, "it never came: " + address
    return time.monotonic() - begun


main()
