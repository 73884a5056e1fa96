"""Counts what tn modules declare: count_parameters.py LEAST MOST MODULE..."""
import math
import re
import sys

least, most = map(float, sys.argv[1:3])
counts = []
for path in sys.argv[3:]:
    with open(path, encoding="utf-8") as file:
        shapes = re.findall(r"tn\.param .*? : tensor<([0-9x]+)x\w+>", file.read())
    counts.append(sum(math.prod(map(int, shape.split("x"))) for shape in shapes))
print(f"{len(counts)} models of {min(counts):,} to {max(counts):,} parameters")
sys.exit(0 if least <= min(counts) and max(counts) <= most else 1)
