"""A watcher of log files, as small as one can be: `watch.py FILE...`.

After five failures of one address it prints a finding with that address, once for each further five.
"""

import json
import os
import re
import sys
import time

FAILED = re.compile(
    rb"Failed \S+ for (?:invalid user )?\S+ from (\S+) port \d+"
    rb"|AUTHFAIL: user=\S+ ip=(\S+) "
)

files = {}
counts = {}
print('{"type":"ready"}', flush=True)
while True:
    for path in sys.argv[1:]:
        if path not in files and os.path.exists(path):
            files[path] = open(path, "rb")
    for log in files.values():
        at = log.tell()
        for line in log:
            if not line.endswith(b"\n"):
                log.seek(at)
                break
            at += len(line)
            found = FAILED.search(line)
            if not found:
                continue
            address = (found.group(1) or found.group(2)).decode().removeprefix("::ffff:")
            counts[address] = counts.get(address, 0) + 1
            if counts[address] % 5:
                continue
            uid = "%s-%d" % (address, counts[address])
            print(json.dumps({
                "class_uid": 2004, "category_uid": 2, "activity_id": 1, "type_uid": 200401, "severity_id": 4,
                "time": int(time.time() * 1000), "detector": "bruteforce.login",
                "finding_info": {"uid": uid, "title": "Passwords are guessed from " + address},
                "attacks": [], "src_endpoint": {"ip": address}, "dst_endpoint": {"ip": "192.0.2.10"},
            }), flush=True)
    time.sleep(0.02)
