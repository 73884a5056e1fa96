"""Compares the memory that a trainer plans with what it takes.

check_memory.py MODEL DIR

A `grad` of as many tokens as one call takes needs parameters, gradients and the arena;
the moments stay untouched. Exit code 1 where the peak, which holds the program itself too,
is more than 5% off.
"""
import json
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io  # noqa: E402

TOKENS = 16384  # so that the program itself is little beside it
SEQUENCES = 8
TOLERANCE = 0.05


def peak_bytes(command):
    """The largest resident set of the command."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return usage.ru_maxrss * 1024


def grad(trainer, directory, sequences, length):
    inputs = os.path.join(directory, "ids.safetensors")
    ids = np.arange(sequences * (length + 1)) % 200
    safetensors_io.save(inputs, {"train_ids": ids.reshape(sequences, -1).astype("<i4")})
    return peak_bytes([trainer, "grad", "--threads", "2", "-q", "--input", inputs,
                       "--output", os.path.join(directory, "out.safetensors")])


def main():
    model, directory = sys.argv[1:3]
    trainer = os.path.join(directory, "trainer")
    wrong = False
    for mode in ("none", "full"):
        subprocess.run(["tnllmc", model, "--train", "--recompute=" + mode,
                        f"--train-tokens={TOKENS}", "-o", trainer], check=True)
        info = json.loads(subprocess.run([trainer, "info", "--json"], check=True,
                                         capture_output=True, text=True).stdout)
        parameters = info["parameter_bytes"]
        planned = 2 * parameters + info["arena_bytes"]
        if info["planned_bytes"] != planned + 2 * parameters:
            print("planned_bytes is not the sum of its parts")
            wrong = True
        measured = grad(trainer, directory, SEQUENCES, TOKENS // SEQUENCES)
        error = measured / planned - 1
        print(f"{mode}: planned {planned}, measured {measured} ({error:+.1%})")
        wrong |= not abs(error) < TOLERANCE
    print("as planned" if not wrong else "not as planned")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
