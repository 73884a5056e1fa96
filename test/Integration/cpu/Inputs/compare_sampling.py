"""Compares the tokens that two programs of one model choose, for all kinds of settings.

compare_sampling.py A B [--draws N]

A lets the runtime choose, B chooses itself; or A is a CPU program and B one for a GPU.
Prints what differs; exit status 1 when that is more than one token of a thousand, since
the two round sums differently and a draw may lie on the border of two tokens.
"""

import itertools
import json
import subprocess
import sys

TEMPERATURES = ("0", "0.05", "0.8", "1", "3")
CUTS = list(itertools.product(("0", "1", "2", "40", "300", "1000000"),  # k
                              ("0", "0.3", "0.95", "1"),                # p
                              ("0", "0.05", "0.7", "1")))               # minP
PROMPTS = ("Once upon a time", "a", "The quick brown fox jumps over the lazy dog")


def tokens_of(program, options):
    words = [word for prompt in PROMPTS for word in ("-p", prompt)]
    done = subprocess.run([program, "generate", *words, *options, "-n", "6", "--eos", "-1",
                           "--json", "--quiet"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program}: {done.stderr.strip()}")
    return [token for sequence in json.loads(done.stdout)["sequences"]
            for token in sequence["tokens"][:3]]


def main():
    a, b = sys.argv[1:3]
    draws = int(sys.argv[3].split("=")[1]) if len(sys.argv) > 3 else len(CUTS)
    compared = different = 0
    distinct = set()
    for seed, (top_k, top_p, min_p) in enumerate(CUTS[:: max(1, len(CUTS) // draws)]):
        options = ["--top-k", top_k, "--top-p", top_p, "--min-p", min_p, "--seed",
                   str(seed), "--temp", TEMPERATURES[seed % len(TEMPERATURES)]]
        first, second = tokens_of(a, options), tokens_of(b, options)
        wrong = sum(x != y for x, y in zip(first, second))
        if wrong or len(first) != len(second):
            print(" ".join(options), first, second)
        compared += len(first)
        different += wrong + abs(len(first) - len(second))
        distinct.update(first)
    print(f"{compared} tokens of {len(distinct)} kinds compared")
    if len(distinct) < 2 and compared:
        sys.exit("all tokens are alike: nothing was compared")
    return different * 1000 > compared


if __name__ == "__main__":
    sys.exit(main())
