#!/usr/bin/env python3
"""Packets per CPU second and memory of the sensor, beside p0f, nfpcapd, tshark and Suricata, on the same captures in the same run.

    apt install p0f nfdump tshark
    cargo build --release -p chartward && cargo build --release -p observe --examples
    bench/sensor.py --binary target/release/chartward --examples target/release/examples --folder /dev/shm/sensor [--suricata ROOT] [--small]

The captures are made up by `sensor_traffic` (removed at the end unless --keep): a mix of 1.1 GB, 10 million SYNs of forged sources, and 2 million
connections that are open at once. Every tool reads a file from memory (put --folder on tmpfs), with one thread where that can be
said; CPU time is user and system time of the process and its children, memory the largest resident set. tshark reads the beginning of a file
only (--tshark-packets): it is told apart by that. Suricata is unpacked, not installed: `--fetch-suricata ROOT` downloads it from
bookworm-backports with all that it needs and unpacks it there, without touching the system.
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


def run(command, env=None, cwd=None, good=(0,)):
    """CPU seconds, MiB and the end of what it wrote to stdout."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=env, cwd=cwd)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        text, trouble = last(out), last(err)
    if process.returncode not in good:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}: {trouble[-800:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def fetch_suricata(root):
    """Debian's backport and the libraries that this machine lacks, below `root`."""
    root = Path(root).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for part in ("lists/partial", "debs/partial"):
            Path(folder, part).mkdir(parents=True)
        suites = ("bookworm", "bookworm-backports")
        Path(folder, "sources.list").write_text("".join(f"deb http://deb.debian.org/debian {suite} main\n" for suite in suites))
        places = {
            "Dir::Etc::sourcelist": f"{folder}/sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": f"{folder}/lists",
            "Dir::Cache::archives": f"{folder}/debs", "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
        }
        apt = ["apt-get", "-q"] + [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "install", "-y", "--download-only", "--no-install-recommends", "-t", "bookworm-backports", "suricata"], check=True)
        root.mkdir(parents=True, exist_ok=True)
        for package in Path(folder, "debs").glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, root], check=True)


def suricata(root, eve):
    """A command for a file, in a folder of its own."""
    library = "usr/lib/x86_64-linux-gnu"
    paths = [f"{root}/{library}", f"{root}/{library}/dpdk/pmds-23.0", f"{root}/usr/lib"]
    env = {**os.environ, "LD_LIBRARY_PATH": ":".join(paths)}

    def go(capture, folder):
        settings = Path(folder, "suricata.yaml")
        text = Path(root, "etc/suricata/suricata.yaml").read_text().replace("/etc/suricata", f"{root}/etc/suricata")
        settings.write_text(text)
        switches = ["--set", f"outputs.1.eve-log.enabled={'yes' if eve else 'no'}", "--set", "outputs.0.fast.enabled=no"]
        command = [f"{root}/usr/bin/suricata", "-c", settings, "-r", capture, "-l", folder, "-S", "/dev/null", "-k", "none", "--runmode", "single", *switches]
        return run(command, env=env, cwd=folder)

    return go


def ours(binary, capture):
    cpu, memory, text = run([binary, "scan", "pcap", "--json", capture], good=(0, 1))
    return cpu, memory, json.loads(text.splitlines()[-1])["packets"]


def measure(name, go, packets, rows):
    with tempfile.TemporaryDirectory(dir=rows["folder"]) as folder:
        cpu, memory, _ = go(folder)
    rate = packets / max(cpu, 1e-9)
    rows["found"].append((name, rate, memory, cpu))
    print(f"  {name}: {rate / 1e6:.3f} Mpps, {memory:,.0f} MiB, {cpu:.2f} s", file=sys.stderr, flush=True)


def peers(args, capture, packets, rows):
    tools = [
        # By default it follows 1,000 connections and forgets all others, with most of what it would say of them.
        ("p0f", lambda _: run(["p0f", "-m", "100000,100000", "-f", "/etc/p0f/p0f.fp", "-r", capture]), packets),
        ("p0f, 1,000 connections", lambda _: run(["p0f", "-f", "/etc/p0f/p0f.fp", "-r", capture]), packets),
        ("nfpcapd", lambda folder: run(["nfpcapd", "-r", capture, args.nfpcapd_folder, folder]), packets),
    ]
    head = Path(args.folder, "head.pcap")
    if shutil.which("tshark") and shutil.which("editcap"):
        subprocess.run(["editcap", "-r", capture, head, f"1-{args.tshark_packets}"], check=True, capture_output=True)
        tools.append(("tshark", lambda _: run(["tshark", "-n", "-q", "-z", "conv,tcp", "-r", head]), min(packets, args.tshark_packets)))
    if args.suricata:
        for name, eve in (("suricata, no rules, no log", False), ("suricata, no rules, eve.json", True)):
            go = suricata(args.suricata, eve)
            tools.append((name, lambda folder, go=go: go(capture, folder), packets))
    for name, go, count in tools:
        tool = name.split(",")[0]
        if shutil.which(tool) or shutil.which(tool, path="/usr/sbin") or tool == "suricata":
            measure(name, go, count, rows)
        else:
            print(f"{tool} is not installed: left out", file=sys.stderr)
    head.unlink(missing_ok=True)


def table(title, rows):
    print(f"\n{title}\n\n| | Mpps per CPU second | ours is faster by | peak memory, MiB |\n|---|---|---|---|")
    first = rows[0][1]
    for name, rate, memory, _ in rows:
        print(f"| {name} | {rate / 1e6:.3f} | {first / rate:.1f} | {memory:,.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--examples", type=Path, help="folder with sensor_traffic and sensor_rate")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm/sensor"))
    parser.add_argument("--suricata", type=Path, metavar="ROOT")
    parser.add_argument("--fetch-suricata", metavar="ROOT")
    parser.add_argument("--tshark-packets", type=int, default=200_000)
    parser.add_argument("--nfpcapd-folder", default="-w", help="-l for nfdump before 1.7")
    parser.add_argument("--small", action="store_true", help="captures of a hundredth: whether everything works")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if args.fetch_suricata:
        return fetch_suricata(args.fetch_suricata)
    if not (args.binary and args.examples):
        parser.error("--binary and --examples are needed")
    args.binary, args.examples = args.binary.resolve(), args.examples.resolve()
    args.suricata = args.suricata and args.suricata.resolve()
    args.folder.mkdir(parents=True, exist_ok=True)
    captures = [args.folder / name for name in ("mix.pcap", "syn.pcap", "open.pcap")]
    part = 100 if args.small else 1
    try:
        sizes = [str(size // part) for size in (1_100_000_000, 10_000_000, 2_000_000)]
        print(run([args.examples / "sensor_traffic", args.folder, *sizes])[2], file=sys.stderr, end="")
        print(f"load {os.getloadavg()[0]:.1f} before", file=sys.stderr)
        for capture, title in zip(captures, ("Mix", "SYNs of forged sources", "Connections open at once")):
            rows = {"folder": args.folder, "found": []}
            cpu, memory, packets = ours(args.binary, capture)
            print(f"{capture.name}: {packets:,} packets", file=sys.stderr)
            measure("chartward, all detectors", lambda _: (cpu, memory, ""), packets, rows)
            measure("its flow table alone", lambda _: run([args.examples / "sensor_rate", capture]), packets, rows)
            if capture.name == "syn.pcap":
                measure("the same as a telescope", lambda _: run([args.examples / "sensor_rate", "--telescope", capture]), packets, rows)
            if capture.name != "open.pcap":
                peers(args, capture, packets, rows)
            table(f"{title}, {packets:,} packets, {capture.stat().st_size:,} bytes", rows["found"])
        print(f"load {os.getloadavg()[0]:.1f} after", file=sys.stderr)
    finally:
        if not args.keep:
            for capture in captures:
                capture.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
