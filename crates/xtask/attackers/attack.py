"""Starts one class of attack on a tree that this very evaluation made. Everything is seeded XOR or a permutation: no malware, no network but loopback.

It refuses any tree that does not lie in a room whose marker holds the token of the run. The evaluation keeps a copy of every file."""

import argparse
import importlib
import os
import random

import deeds

MODULES = ["acts", "disguise", "sneak", "crews", "programs", "share", "stranger", "byways", "tools"]


def in_order(files, order, seed):
    files = sorted(files)
    if order == "random":
        random.Random(seed).shuffle(files)
    elif order == "newest":
        files.sort(key=lambda path: -os.stat(path).st_mtime_ns)
    return files


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    for name in ["room", "token", "tree", "journal", "order", "seed", "share"]:
        parser.add_argument("--" + name, default="")
    args = parser.parse_args()
    deeds.refuse_unless_made_by(args.room, args.token, args.tree)
    deeds.begin(args.tree, args.journal, args.seed)
    files = [os.path.join(folder, name) for folder, _, names in os.walk(args.tree) for name in names]
    # The bystander's folder is left to it, so that its notes say what became of somebody whom nobody attacked.
    files = [path for path in files if os.path.isfile(path) and not os.path.relpath(path, args.tree).startswith("bystander/")]
    files = in_order(files, args.order, args.seed)
    kind = args.kind.replace("-", "_")
    for module in map(importlib.import_module, MODULES):
        if hasattr(module, "each_" + kind):
            for path in files:
                getattr(module, "each_" + kind)(path)
            break
        if hasattr(module, "all_" + kind):
            getattr(module, "all_" + kind)(files, args)
            break
    else:
        raise SystemExit(f"no such class: {args.kind}")
    deeds.done()


main()
