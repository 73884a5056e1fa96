#!/usr/bin/env python3
"""Checks that an executable gives a sequence the same bits in any batch and with any
number of threads.

Usage: check_deterministic.py TNLLMC DIR MODEL DTYPE...

The model is compiled for each dtype. Eight sequences go through it as batches of 1, 3
and 8 with 1 and 2 threads: a prefill, and then, from its states, single tokens. Logits,
hidden values, states and positions must be equal byte for byte to those of the first
way, and those must not be all the same for all sequences.
"""
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io

SEQUENCES = 8
PIECES = [70, 1, 1]  # a chunk of 64 and a part of one, then decode steps
# Batches as lists of sequences: each batch size meets others in other places.
BATCHES = [[list(range(8))], [[0, 1, 2], [6, 4, 2]], [[0], [2], [7]]]
THREADS = [1, 2]


def run(executable, folder, tensors, threads):
    source = os.path.join(folder, "in.safetensors")
    target = os.path.join(folder, "out.safetensors")
    safetensors_io.save(source, tensors)
    subprocess.run([executable, "run", "--quiet", "--deterministic", "--threads",
                    str(threads), "--input", source, "--output", target], check=True)
    return safetensors_io.load(target)


def outputs_of(executable, folder, ids, threads):
    """{name: array over the batch} for all pieces."""
    result, carried, begin = {}, {}, 0
    for index, size in enumerate(PIECES):
        out = run(executable, folder, {"input_ids": ids[:, begin:begin + size], **carried},
                  threads)
        carried = {name: value for name, value in out.items()
                   if name == "position" or name.startswith("state.")}
        for name, value in out.items():
            if name == "position":
                value = np.broadcast_to(value, ids.shape[:1])
            result[f"piece {index}, {name}"] = value
        begin += size
    return result


def check(executable, folder, ids):
    """The number of comparisons."""
    first = outputs_of(executable, folder, ids, THREADS[0])
    for name, value in first.items():
        if "logits" in name and (value[0] == value[1]).all():
            raise SystemExit(f"{name}: two sequences have equal values, so equality "
                             "would show nothing")
    count = 0
    for threads in THREADS:
        for batches in BATCHES:
            for rows in batches:
                for name, value in outputs_of(executable, folder, ids[rows],
                                              threads).items():
                    for place, row in enumerate(rows):
                        count += 1
                        if value[place].tobytes() != first[name][row].tobytes():
                            raise SystemExit(
                                f"{name} of sequence {row} in the batch {rows} with "
                                f"{threads} threads differs from the first run's")
    return count


def main():
    tnllmc, folder, model, *dtypes = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    ids = np.random.RandomState(4).randint(3, 250, (SEQUENCES, sum(PIECES))).astype(np.int64)
    for dtype in dtypes:
        executable = os.path.join(folder, dtype)
        subprocess.run([tnllmc, model, "--quiet", f"--dtype={dtype}", "-o", executable],
                       check=True)
        print(f"{dtype}: {check(executable, folder, ids)} tensors equal")


if __name__ == "__main__":
    main()
