"""Tries what a mail gateway may and may not, and writes down what worked."""

import json
import os
import socket
import sys
import time

secret, elsewhere, port = sys.argv[1:4]


def works(act):
    try:
        act()
        return True
    except OSError:
        return False


def listen():
    with socket.socket() as line:
        line.bind(("127.0.0.1", int(port)))
        line.listen()


def run():
    with open("program", "w") as program:
        program.write("#!/bin/sh\nexit 0\n")
    os.chmod("program", 0o755)
    os.posix_spawn("./program", ["program"], {})


found = {
    "own": works(lambda: open("own.txt", "w").close()),
    "secret": works(lambda: open(secret).close()),
    "elsewhere": works(lambda: open(os.path.join(elsewhere, "x"), "w").close()),
    "shadow": works(lambda: open("/etc/shadow").close()),
    "listen": works(listen),
    "root": os.geteuid() == 0,
    "run": works(run),
}
with open("part.json", "w") as out:
    out.write(json.dumps(found) + "\n")
os.rename("part.json", "found.json")
print(json.dumps({"type": "ready"}), flush=True)
while True:
    time.sleep(1)
