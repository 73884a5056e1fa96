"""plant.py WHAT IN OUT: copies dumped IR with one thing in it changed.

gate       tn: the gate of layer 2 of @prefill adds instead of multiplying
attention  tnk: the chunked attention takes the decay over 63 positions as none
norm       tn: the first norm of @block is one of heads, which has no kernel
assert     tnrt: @head asserts something, which has no lowering
"""
import re
import sys


def gate(text):
    name = re.escape('tn.probe "layers.2.token_mixer.gate"')
    return re.sub(r"tn\.mul( [^\n]*\n *" + name + ")", r"tn.add\1", text, count=1)


def attention(text):
    return text.replace("dense<[6.300000e+01,", "dense<[0.000000e+00,")


def norm(text):
    begin = text.index("@block(")
    changed = re.sub(
        r"(%\w+) = (tn\.norm <srms>) (%\w+) (\{[^}]*\}) : "
        r"(tensor<\S*>) -> \S* (loc\(\S*\))",
        r"%split = tn.split_heads \3 : \5 -> tensor<?x?x4x32xf32>" "\n"
        r"%norm = \2 %split \4 : tensor<?x?x4x32xf32> -> tensor<?x?x4x32xf32> \6" "\n"
        r"\1 = tn.merge_heads %norm : tensor<?x?x4x32xf32> -> \5",
        text[begin:], count=1)
    return text[:begin] + changed


def assertion(text):
    return re.sub(
        r"(func\.func @head\([^\n]*\{)\n",
        r"\1" "\n%bit = arith.index_cast %arg1 : index to i1\n"
        'cf.assert %bit, "planted"\n', text, count=1)


changes = {"gate": gate, "attention": attention, "norm": norm, "assert": assertion}
what, source, target = sys.argv[1:]
with open(source, encoding="utf-8") as file:
    before = file.read()
after = changes[what](before)
if after == before:
    sys.exit(f"plant.py: nothing to change in {source} for {what}")
with open(target, "w", encoding="utf-8") as file:
    file.write(after)
