"""What a parser of PowerShell makes of a script: `tree.py FILE...`, one JSON line for each.

`shape` is the tree without the words of its texts and numbers: two scripts that differ only in texts have the same.
"""

import hashlib
import json
import sys

import tree_sitter
import tree_sitter_powershell

parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def walk(node, shape, commands):
    if node.type == "command_name":
        commands.add(node.text.decode())
    if node.type in ("string_literal", "comment") or not node.children:
        shape.append(node.type)
        return
    shape.append(node.type)
    for child in node.children:
        walk(child, shape, commands)


for path in sys.argv[1:]:
    tree = parser.parse(open(path, "rb").read())
    shape, commands = [], set()
    walk(tree.root_node, shape, commands)
    digest = hashlib.sha256(" ".join(shape).encode()).hexdigest()
    print(json.dumps({"error": tree.root_node.has_error, "shape": digest, "commands": sorted(commands)}))
