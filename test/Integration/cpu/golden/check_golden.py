"""Compiles golden cases and compares what their executables compute.

check_golden.py TNLLMC TEMPORARY CASE... [--dtype=f32|bf16] [--march=CPU]

Errors are relative to the largest golden value: 2e-4 for f32, 3e-2 for bf16. A line
for each comparison; exit status 1 when one fails.
"""

import argparse
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../.."))
import safetensors_io
from program import Check, Program


def check_f32(check, program):
    ids, states = check.golden["input_ids"], check.states
    length = ids.shape[1]
    whole = program.run(ids)
    check.close("logits", ["logits"], whole)
    check.close("hidden", check.names("hidden."), whole)
    check.close("state", states, whole)
    check.check_greedy(program, whole)
    for cut in (1, 7, length // 2, length - 1):
        check.close(f"split at {cut}", ["logits", *states], program.run_pieces(ids, [cut]))
    check.close("three pieces", ["logits", *states], program.run_pieces(ids, [64, 129]))
    # Token by token over two chunk borders, then the rest at once.
    check.close("token by token", ["logits", *states],
                program.run_pieces(ids, range(1, 131)))
    check.check_packed(program, ids, whole)
    for row in range(ids.shape[0]):
        alone = program.run(ids[row:row + 1])
        same = all(np.array_equal(alone[name], whole[name][row:row + 1])
                   for name in ("logits", *check.names("hidden."), *states))
        check.say(f"row {row} alone, bit for bit", same, same)


def check_bf16(check, program):
    ids = check.golden["input_ids"]
    check.close("logits", ["logits"], program.run(ids))
    check.check_wide_states(program)
    check.close("split at 7", ["logits"], program.run_pieces(ids, [7]))
    check.close("token by token", ["logits"], program.run_pieces(ids, range(1, 67)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tnllmc")
    parser.add_argument("temporary")
    parser.add_argument("case", nargs="+")
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--march", default="native")
    args = parser.parse_args()
    os.makedirs(args.temporary, exist_ok=True)
    failed = 0
    for folder in args.case:
        case = os.path.basename(os.path.normpath(folder))
        executable = os.path.join(args.temporary, case)
        subprocess.run([args.tnllmc, folder, "-o", executable, "--quiet",
                        f"--dtype={args.dtype}", f"--march={args.march}"], check=True)
        golden = safetensors_io.load(os.path.join(folder, "golden.safetensors"))
        check = Check(case, golden, 2e-4 if args.dtype == "f32" else 3e-2)
        judge = check_f32 if args.dtype == "f32" else check_bf16
        try:
            judge(check, Program(executable, args.temporary))
        finally:
            print("\n".join(check.lines), flush=True)
        failed += check.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
