#!/usr/bin/env python3
"""Live capture: tcpreplay at a given rate over a veth pair; how many packets the sensor read and the kernel dropped.

Needs root, ip, tcpreplay. Makes a capture of mixed small and large packets (TCP flows inside a hospital, DNS, web), two network
namespaces and a temporary folder, and removes them again. The sensor runs with all detectors on.
"""

import argparse
import json
import os
import random
import signal
import struct
import subprocess
import tempfile
import threading
import time


def checksum_free_ipv4(src, dst, proto, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 128, proto, 0, src, dst)
    return head + payload


def tcp(sport, dport, seq, ack, flags, data=b""):
    return struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 64240, 0, 0) + data


def udp(sport, dport, data):
    return struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data


def capture(path, packets, seed):
    """A capture file of about so many packets: TCP flows with handshake, data both ways and end, and DNS questions."""
    rng = random.Random(seed)
    ether = bytes.fromhex("020000000002" "020000000001" "0800")
    sizes = [0, 0, 60, 200, 512, 1200, 1400]
    written = 0
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))

        def put(frame):
            nonlocal written
            out.write(struct.pack("<IIII", 1_700_000_000 + written // 500_000, written % 500_000 * 2, len(frame), len(frame)))
            out.write(frame)
            written += 1

        while written < packets:
            client = bytes([10, 0, rng.randrange(4), rng.randrange(1, 250)])
            if rng.random() < 0.3:
                name = b"\x03www\x07example\x03org\x00"
                ask = struct.pack("!HHHHHH", rng.randrange(65536), 0x0100, 1, 0, 0, 0) + name + b"\x00\x01\x00\x01"
                put(ether + checksum_free_ipv4(client, bytes([10, 0, 9, 53]), 17, udp(rng.randrange(20000, 60000), 53, ask)))
                continue
            server = bytes([10, 0, 9, rng.randrange(1, 30)]) if rng.random() < 0.7 else bytes([203, 0, 113, rng.randrange(1, 250)])
            sport, dport = rng.randrange(20000, 60000), rng.choice([443, 443, 445, 80, 104, 2575])
            up = lambda payload: put(ether + checksum_free_ipv4(client, server, 6, payload))
            down = lambda payload: put(ether + checksum_free_ipv4(server, client, 6, payload))
            a, b = rng.getrandbits(32), rng.getrandbits(32)
            up(tcp(sport, dport, a, 0, 0x02))
            down(tcp(dport, sport, b, a + 1 & 0xFFFFFFFF, 0x12))
            up(tcp(sport, dport, a + 1 & 0xFFFFFFFF, b + 1 & 0xFFFFFFFF, 0x10))
            for _ in range(rng.randrange(1, 20)):
                size = rng.choice(sizes)
                data = bytes(size)
                if rng.random() < 0.3:
                    up(tcp(sport, dport, a + 1 & 0xFFFFFFFF, b + 1 & 0xFFFFFFFF, 0x18, data))
                    a += size
                else:
                    down(tcp(dport, sport, b + 1 & 0xFFFFFFFF, a + 1 & 0xFFFFFFFF, 0x18, data))
                    b += size
                a, b = a & 0xFFFFFFFF, b & 0xFFFFFFFF
            up(tcp(sport, dport, a + 1 & 0xFFFFFFFF, b + 1 & 0xFFFFFFFF, 0x11))
            down(tcp(dport, sport, b + 1 & 0xFFFFFFFF, a + 2 & 0xFFFFFFFF, 0x11))
    return written


def run(*words):
    subprocess.run(words, check=True, capture_output=True)


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/release/chartward")
    parser.add_argument("--pps", type=int, default=500_000)
    parser.add_argument("--packets", type=int, default=300_000, help="of the capture, which is replayed as often as needed")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--ring", default="64 MiB")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    post, ward = f"bench-post-{os.getpid()}", f"bench-ward-{os.getpid()}"
    print(json.dumps({"type": "load", "before": os.getloadavg(), "cores": os.cpu_count()}))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = f"{folder}/mix.pcap"
        packets = capture(file, args.packets, args.seed)
        sensor = None
        try:
            run("ip", "netns", "add", post)
            run("ip", "netns", "add", ward)
            run("ip", "-n", post, "link", "add", "m0", "type", "veth", "peer", "name", "e0", "netns", ward)
            run("ip", "-n", post, "link", "set", "m0", "up")
            run("ip", "-n", ward, "link", "set", "e0", "up")
            open(f"{folder}/chartward.toml", "w").close()
            sensor = subprocess.Popen(
                ["ip", "netns", "exec", post, os.path.abspath(args.binary), "sensor", "--json", "--interface", "m0", "--ring", args.ring,
                 "--config", f"{folder}/chartward.toml", "--state", f"{folder}/state"],
                stdout=subprocess.PIPE, text=True)
            assert json.loads(sensor.stdout.readline())["type"] == "ready"
            last = {}

            def hear():
                for line in sensor.stdout:
                    value = json.loads(line)
                    if value.get("type") == "health":
                        last.update(value)

            hearing = threading.Thread(target=hear)
            hearing.start()
            loops = max(1, args.pps * args.seconds // packets)
            before, began = cpu_seconds(sensor.pid), time.monotonic()
            replay = subprocess.run(
                ["ip", "netns", "exec", ward, "tcpreplay", "--preload-pcap", "--intf1=e0", f"--pps={args.pps}", f"--loop={loops}", file],
                check=True, capture_output=True, text=True)
            took = time.monotonic() - began
            time.sleep(1)
            cpu, memory = cpu_seconds(sensor.pid) - before, peak_mib(sensor.pid)
            sensor.send_signal(signal.SIGTERM)
            hearing.join()
            sensor.wait()
            rated = next((line.strip() for line in replay.stdout.splitlines() if "Rated" in line), "")
            failed = next((line.strip() for line in replay.stdout.splitlines() if "Failed packets" in line), "")
            sent = packets * loops
            print(json.dumps({
                "type": "live", "sent": sent, "seconds": round(took, 1), "rate": rated, "failed": failed,
                "read": last["packets"], "dropped": last["dropped"], "flows": last["flows"], "findings": last["findings"],
                "cpu_seconds": round(cpu, 2), "packets_per_cpu_second": round(last["packets"] / max(cpu, 0.01)),
                "memory_mib_max": memory,
            }))
        finally:
            if sensor and sensor.poll() is None:
                sensor.kill()
            for namespace in (post, ward):
                subprocess.run(["ip", "netns", "del", namespace], check=False)
    print(json.dumps({"type": "load", "after": os.getloadavg()}))


if __name__ == "__main__":
    main()
