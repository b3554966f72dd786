"""Somebody innocent at work in the same tree, as the same user: reads here and there, keeps notes of its own. Arguments: tree, shadow folder, seed.

Each note is first written to the shadow, so that the evaluation knows what has to be there."""

import os
import random
import sys
import time

tree, shadow, dice = sys.argv[1], sys.argv[2], random.Random(sys.argv[3])
own = os.path.join(tree, "bystander")
os.makedirs(own)
os.makedirs(shadow)
known = [os.path.join(folder, name) for folder, _, names in os.walk(tree) for name in names]


def note(folder, number, text):
    with open(os.path.join(folder, f"note-{number % 12:02}.txt"), "w") as file:
        file.write(text)


number = 0
while True:
    try:
        with open(dice.choice(known), "rb") as file:
            file.read(1 << 20)
    except (FileNotFoundError, IsADirectoryError):
        pass
    text = "".join(f"{number}: ward round, nothing to report\n" for _ in range(dice.randint(3, 60)))
    for folder in (shadow, own):
        note(folder, number, text)
    number += 1
    # The heartbeat is outside the tree: it grows as long as this process may go on.
    with open(os.path.join(shadow, "heartbeat"), "a") as file:
        file.write(".")
    time.sleep(0.03)
