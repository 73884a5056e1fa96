"""lines_of_kernels.py OBJECT: what lines of the tn module each function's code has.

Prints "FUNCTION: OPERATION NAME" for every line that llvm-objdump names, OPERATION and
NAME read from that line of the text.
"""
import re
import subprocess
import sys

listing = subprocess.run(["llvm-objdump", "-d", "--line-numbers", sys.argv[1]],
                         check=True, capture_output=True, text=True).stdout
texts, seen, function = {}, set(), None
for line in listing.splitlines():
    if match := re.match(r"[0-9a-f]+ <(.*)>:$", line):
        function = match[1]
    match = re.match(r"; (\S*\.tn\.mlir):(\d+)$", line)
    if not match or match[2] == "0":
        continue
    path, number = match[1], int(match[2])
    if path not in texts:
        with open(path, encoding="utf-8") as file:
            texts[path] = file.read().splitlines()
    aliases = dict(re.findall(r'^(#loc\d*) = loc\((.*)\)$', "\n".join(texts[path]),
                              re.MULTILINE))
    code = texts[path][number - 1]
    operation = re.search(r"(?:= |^ *)([a-z_]+(?:\.[a-z_]+)?)", code)
    place = re.search(r"loc\((#loc\d*)\)\s*(?:\{)?$", code)
    name = aliases.get(place[1], "?") if place else "?"
    seen.add(f"{function}: {operation[1] if operation else code} {name}")
print("\n".join(sorted(seen)))
