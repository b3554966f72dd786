"""A watcher that prints what is written into a file: `feed.py FILE [again]`.

It goes on where it was when it was ended, or begins anew with `again`.
"""

import os
import sys
import time

path, again = sys.argv[1], len(sys.argv) > 2
at = 0
if not again and os.path.exists("at"):
    at = int(open("at").read() or 0)
print('{"type":"ready"}', flush=True)
with open(path, "rb") as feed:
    feed.seek(at)
    while True:
        lines = feed.readlines()
        whole = b"".join(line for line in lines if line.endswith(b"\n"))
        if not whole:
            feed.seek(at)
            time.sleep(0.02)
            continue
        sys.stdout.buffer.write(whole)
        sys.stdout.flush()
        at += len(whole)
        feed.seek(at)
        if not again:
            with open("at.new", "w") as new:
                new.write(str(at))
            os.rename("at.new", "at")
