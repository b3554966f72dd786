#!/usr/bin/env python3
"""Verifies a Chartward ledger with nothing of Chartward's: python3 verify-ledger.py LEDGER [PUBLIC_KEY [HEAD]]"""
import hashlib, json, subprocess, sys, tempfile

def signed(key, body, sig):
    der = bytes.fromhex("302a300506032b6570032100" + key)  # RFC 8410: a raw ed25519 key as openssl wants it
    with tempfile.NamedTemporaryFile() as k, tempfile.NamedTemporaryFile() as b, tempfile.NamedTemporaryFile() as s:
        for file, content in ((k, der), (b, body), (s, bytes.fromhex(sig))):
            file.write(content)
            file.flush()
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", k.name,
            "-rawin", "-in", b.name, "-sigfile", s.name], capture_output=True).returncode == 0

path, key, head = (sys.argv + [None, None])[1:4]
prev, seen = "0" * 64, set()
for seq, line in enumerate(open(path, "rb")):
    entry, body = json.loads(line), line[:-213] + b"}"
    if seq == 0:
        assert key in (None, entry["fact"]["public_key"]), "line 1: another key"
        key = entry["fact"]["public_key"]
    assert line.endswith(b"\n") and entry["seq"] == seq and entry["prev"] == prev, f"line {seq + 1}: chain"
    assert hashlib.sha256(body).hexdigest() == entry["hash"], f"line {seq + 1}: hash"
    assert signed(key, body, entry["sig"]), f"line {seq + 1}: signature"
    prev = entry["hash"]
    seen.add(prev)
assert seen and head in (None, *seen), "the expected head is not there"
print(f"{len(seen)} entries intact, key {key}, head {prev}")
