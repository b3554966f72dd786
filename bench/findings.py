#!/usr/bin/env python3
"""A watcher that prints OCSF findings at a given rate: the noise of a week-day and, among it, attackers of their own.

`hub.py` has the hub run it as `[[watch]] exec = ["/usr/bin/python3", ".../findings.py", ORDERS]`. It waits for
the files 1.json, 2.json, … in the folder ORDERS and does what each says: {"rate": lines a second (0: as fast as
they are taken), "count": lines, "attackers": a second, "attack_seconds": how long}. What came of it stands in
done-N.json of its working folder. Nothing but the standard library, since the hub lets it read nothing else.

The noise is that of crates/judge/examples/correlate_rate.rs: scans, guesses at a VPN, alerts of little weight,
weak spots, four slow attacks. An attacker has an address that nobody used before (198.18.0.0/15, set aside for
benchmarks) and a victim of its own, so that each is an incident and a countermeasure of its own. Its title holds
the nanosecond before write(2).
"""

import json
import os
import sys
import time
from pathlib import Path

TICK = 0.002
SCANNERS = 3000


def line(detector, severity, technique, src=None, account=None, host=None, ip=None, store=None, class_uid=2004):
    """A finding as text with %d for the time in milliseconds and for the number."""
    value = {"class_uid": class_uid, "time": "@T@", "severity_id": severity, "detector": detector,
             "finding_info": {"title": detector, "uid": "@U@"}, "reasons": [f"{detector}: seen by the benchmark"]}
    if technique:
        uid, tactic = technique
        value["attacks"] = [{"technique": {"uid": uid, "name": uid}, "tactic": {"uid": tactic}}]
    if src:
        value["src_endpoint"] = {"ip": src}
    if account:
        value["actor"] = {"user": {"name": account}}
    victim = {key: found for key, found in (("ip", ip), ("hostname", host)) if found}
    if victim:
        value["dst_endpoint"] = victim
    if store:
        value["resources"] = [{"type": "Share", "name": store}]
    text = json.dumps(value, separators=(",", ":"))
    return text.replace('"@T@"', "%d").replace('"@U@"', '"%d"') + "\n"


def noise():
    """A thousand findings in the proportions of the campaign, to be repeated."""
    recon, credentials, lateral, impact = "TA0043", "TA0006", "TA0008", "TA0040"
    lines = []
    for n in range(1000):
        kind = n * 7919 % 100
        if kind < 60:
            scanner = n * 2654435761 % SCANNERS
            lines.append(line("scan.sweep", 2, ("T1595", recon), f"203.0.{scanner // 250}.{scanner % 250 + 1}",
                              ip="198.51.100.2"))
        elif kind < 75:
            lines.append(line("bruteforce.vpn", 3, ("T1110", credentials), f"192.0.2.{n % 60 + 1}", host="vpn01"))
        elif kind < 85:
            lines.append(line("ids.alert", 2, None, f"10.0.9.{n % 200 + 1}", ip="198.51.100.80"))
        elif kind < 90:
            lines.append(line("eol.system", 4, None, host=f"pc{n % 80}", class_uid=2002))
        else:
            who = n % 4
            host = f"ward{who}-srv{n % 5}"
            lines.append([
                line("bruteforce.login", 4, ("T1110", credentials), f"203.0.113.{200 + who}", host=host),
                line("lateral.smb", 4, ("T1021", lateral), f"203.0.113.{200 + who}", f"vendor{who}", host),
                line("encryption.share", 4, ("T1486", impact), account=f"vendor{who}", store=f"//ward{who}/charts",
                     host=f"ward{who}-srv0"),
            ][n // 4 % 3])
    return lines


def attack(number, now_ns):
    """A break-in by the attacker of that number."""
    address = f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}"
    text = line("bench.breakin", 4, ("T1190", "TA0001"), address, host=f"www{number}")
    text = text.replace('"title":"bench.breakin"', f'"title":"at {now_ns} ns"')
    return text % (now_ns // 1_000_000, 10_000_000_000 + number)


def write(text):
    data = text.encode()
    while data:
        data = data[os.write(1, data):]


def carry_out(order, lines, state):
    """Prints what one order asks for; lines that are late are made up for, as a program with a backlog would."""
    rate, count = order.get("rate", 0), order["count"]
    attackers, until = order.get("attackers", 0), order.get("attack_seconds", 0)
    sent = attacked = 0
    late_max = 0.0
    started = time.monotonic()
    while sent < count:
        elapsed = time.monotonic() - started
        due = min(count, int(rate * elapsed) + 1) if rate else min(count, sent + 200)
        now_ms, batch = time.time_ns() // 1_000_000, []
        for _ in range(due - sent):
            state["number"] += 1
            batch.append(lines[state["number"] % len(lines)] % (now_ms, state["number"]))
        sent = max(sent, due)
        attacks_due = int(min(elapsed, until) * attackers)
        text = "".join(batch)
        while attacked < attacks_due:
            attacked, state["attacker"] = attacked + 1, state["attacker"] + 1
            text += attack(state["attacker"], time.time_ns())
        write(text)
        if rate:
            ahead = sent / rate - (time.monotonic() - started)
            late_max = max(late_max, -ahead)
            if ahead > 0:
                time.sleep(min(TICK, ahead))
    return {"sent": sent + attacked, "attackers": attacked, "seconds": time.monotonic() - started,
            "late_seconds_max": late_max}


def main():
    orders, number, lines = Path(sys.argv[1]), 0, noise()
    # The hub starts its numbers anew with each run; the uids must not repeat within one.
    state = {"number": time.time_ns() // 1_000_000 % 1_000_000_000 * 1000, "attacker": 0}
    # Ready with its first line.
    write(json.dumps({"type": "ready"}) + "\n")
    while True:
        number += 1
        while not (orders / f"{number}.json").exists():
            time.sleep(0.01)
        done = carry_out(json.loads((orders / f"{number}.json").read_text()), lines, state)
        Path("unfinished").write_text(json.dumps(done))
        os.rename("unfinished", f"done-{number}.json")


if __name__ == "__main__":
    main()
