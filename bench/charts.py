#!/usr/bin/env python3
"""The charts' speed: index, search, charts, parsing; beside our parser hl7-parser and python-hl7.

Needs the release examples `charts_rate` (recover) and `hl7_rate` (decode), `pip install hl7`, and a folder made by
`chartward sample hospital DIR --patients 76000` (a million files, 11 GB of small files and folders on ext4).
"""
import argparse
import json
import os
import subprocess
import sys
import time


def run(*command, **env):
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **env})
    for line in filter(None, done.stdout.splitlines()):
        print(line, flush=True)


def files(folder, most):
    found = []
    for here, folders, names in os.walk(folder):
        folders.sort()
        found += [os.path.join(here, name) for name in sorted(names)]
        if len(found) >= most:
            break
    return found[:most]


def python_hl7(folder, most):
    """What examples/hl7_rate.rs does: decode, split, read PID-5 and every OBX-5."""
    import hl7

    messages = [open(path, "rb").read() for path in files(folder, most)]
    begun, parsed = time.process_time(), 0
    for message in messages:
        text = message.decode("iso2022_jp_3", "replace")
        try:
            tree = hl7.parse(text)
            str(tree.segment("PID")[5])
            for obx in (segment for segment in tree if str(segment[0]) == "OBX"):
                str(obx[5])
            parsed += 1
        except (hl7.HL7Exception, KeyError, IndexError):
            continue
    seconds = time.process_time() - begun
    print(json.dumps({"what": "parse", "who": "python-hl7", "version": hl7.__version__, "messages": len(messages),
                      "parsed": parsed, "per_cpu_second": round(len(messages) / seconds)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", required=True, help="target/release/examples")
    parser.add_argument("--hospital", required=True, help="folder of the sample hospital")
    parser.add_argument("--vault", help="vault with a snapshot of it")
    parser.add_argument("--password-file")
    parser.add_argument("--patient", help="an id in the vault")
    args = parser.parse_args()
    example = lambda name: os.path.join(args.examples, name)
    print(json.dumps({"load": os.getloadavg(), "cores": os.cpu_count()}), flush=True)
    run(example("charts_rate"), "search", "1000000")
    run(example("hl7_rate"), os.path.join(args.hospital, "ssmix2"))
    python_hl7(os.path.join(args.hospital, "ssmix2"), 5000)
    run(example("charts_rate"), "tree", os.path.join(args.hospital, "ssmix2"))
    if args.vault:
        run(example("charts_rate"), "vault", args.vault, args.password_file, PATIENT=args.patient)
    print(json.dumps({"load": os.getloadavg()}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
