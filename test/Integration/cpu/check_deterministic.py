#!/usr/bin/env python3
"""Checks that an executable gives a sequence the same bits in any batch and with any
number of threads.

Usage: check_deterministic.py TNLLMC DIR MODEL DTYPE...
       check_deterministic.py --short DIR VOCABULARY EXECUTABLE...

The model is compiled for each dtype, or, with --short, has been; then no sequence is longer
than 47 tokens. Eight sequences go through it as batches of 1, 3
and 8 with 1 and 2 threads: a prefill, and then, from its states, single tokens. Logits,
hidden values, states and positions must be equal byte for byte to those of the first
way, and those must not be all the same for all sequences. Then sequences of different
lengths go through it packed, and must give what each gives alone.
"""
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io

SEQUENCES = 8
# Batches as lists of sequences: each batch size meets others in other places.
BATCHES = [[list(range(8))], [[0, 1, 2], [6, 4, 2]], [[0], [2], [7]]]
THREADS = [1, 2]


class Lengths:
    """What is run: the pieces of all sequences, and lengths to pack, in two orders."""

    def __init__(self, pieces, packed):
        self.pieces, self.packed = pieces, packed


# A chunk of 64 and a part of one, then decode steps; lengths around a chunk, of which 250
# is cut, in other places. The short ones fit into 48 positions.
LONG = Lengths([70, 1, 1], [[70, 1, 250, 65], [65, 250, 70, 1]])
SHORT = Lengths([20, 1, 1], [[20, 1, 47, 33], [33, 47, 20, 1]])


def run(executable, folder, tensors, threads):
    source = os.path.join(folder, "in.safetensors")
    target = os.path.join(folder, "out.safetensors")
    safetensors_io.save(source, tensors)
    subprocess.run([executable, "run", "--quiet", "--deterministic", "--threads",
                    str(threads), "--input", source, "--output", target], check=True)
    return safetensors_io.load(target)


def outputs_of(executable, folder, pieces, ids, threads):
    """{name: array over the batch} for all pieces."""
    result, carried, begin = {}, {}, 0
    for index, size in enumerate(pieces):
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


def check(executable, folder, pieces, ids):
    """The number of comparisons."""
    first = outputs_of(executable, folder, pieces, ids, THREADS[0])
    for name, value in first.items():
        if "logits" in name and (value[0] == value[1]).all():
            raise SystemExit(f"{name}: two sequences have equal values, so equality "
                             "would show nothing")
    count = 0
    for threads in THREADS:
        for batches in BATCHES:
            for rows in batches:
                for name, value in outputs_of(executable, folder, pieces, ids[rows],
                                              threads).items():
                    for place, row in enumerate(rows):
                        count += 1
                        if value[place].tobytes() != first[name][row].tobytes():
                            raise SystemExit(
                                f"{name} of sequence {row} in the batch {rows} with "
                                f"{threads} threads differs from the first run's")
    return count


def check_packed(executable, folder, orders, ids):
    """The number of comparisons."""
    def packed(lengths, threads):
        tokens = np.concatenate([ids[0, :length] for length in lengths])
        offsets = np.cumsum([0] + lengths).astype(np.int64)
        return offsets, run(executable, folder, {"input_ids": tokens, "offsets": offsets},
                            threads)

    # One token alone, unpacked, is no prefill but a decode step, which rounds otherwise.
    alone = {length: packed([length], THREADS[0])[1] if length == 1 else
             run(executable, folder, {"input_ids": ids[:1, :length]}, THREADS[0])
             for length in orders[0]}
    count = 0
    for threads in THREADS:
        for lengths in orders:
            offsets, out = packed(lengths, threads)
            for name, value in out.items():
                for place, length in enumerate(lengths):
                    of_tokens = name == "logits" or name.startswith("hidden.")
                    got = value[offsets[place]:offsets[place + 1]] if of_tokens else value[place]
                    count += 1
                    if got.tobytes() != alone[length][name].tobytes():
                        raise SystemExit(
                            f"{name} of the {length} tokens packed as {lengths} with "
                            f"{threads} threads differs from that of a run alone")
    return count


def check_all(name, executable, folder, lengths, vocabulary):
    shape = SEQUENCES, max(lengths.packed[0])
    ids = np.random.RandomState(4).randint(0, vocabulary, shape).astype(np.int64)
    print(f"{name}: {check(executable, folder, lengths.pieces, ids)} tensors equal, "
          f"{check_packed(executable, folder, lengths.packed, ids)} of packed sequences",
          flush=True)


def main():
    if sys.argv[1] == "--short":
        folder, vocabulary, *executables = sys.argv[2:]
        os.makedirs(folder, exist_ok=True)
        for executable in executables:
            name = os.path.basename(os.path.dirname(executable))
            check_all(name, executable, folder, SHORT, int(vocabulary))
        return
    tnllmc, folder, model, *dtypes = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for dtype in dtypes:
        executable = os.path.join(folder, dtype)
        subprocess.run([tnllmc, model, "--quiet", f"--dtype={dtype}", "-o", executable],
                       check=True)
        check_all(dtype, executable, folder, LONG, 250)


if __name__ == "__main__":
    main()
