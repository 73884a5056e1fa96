"""lines_of_kernels.py OBJECT: what lines of the tn module each function's code has.

Prints "FUNCTION: OPERATION NAME" for every line that llvm-objdump names, OPERATION and
NAME read from that line of the text. At the end, how much of the code has a line and not
line 0: "PERCENT% of N bytes".
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
# A row of the table holds up to the address of the next one of its sequence.
table = subprocess.run(["llvm-dwarfdump", "--debug-line", sys.argv[1]], check=True,
                       capture_output=True, text=True).stdout
size, last = {False: 0, True: 0}, None
for address, line, flags in re.findall(r"^(0x[0-9a-f]+) +(\d+) .*?((?: [a-z_]+)*)$", table,
                                       re.MULTILINE):
    if last:
        size[last[1]] += int(address, 16) - last[0]
    last = None if "end_sequence" in flags else (int(address, 16), line != "0")
total = sum(size.values())
print(f"{100 * size[True] / total:.1f}% of {total} bytes")
