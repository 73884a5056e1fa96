"""Compares what a trainer and a model say of the same tokens.

check_round_trip.py loss RUN SCORE     the last validation loss is score's mean
check_round_trip.py near RUN SECOND    the second run starts where the first ended, in bf16
check_round_trip.py curve RUN OTHER    the losses of two runs agree, and fall
"""
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def validation(entries):
    return [entry["val_loss"] for entry in entries if "val_loss" in entry][-1]


def expect_near(found, expected, tolerance, what):
    if not abs(found - expected) <= tolerance:
        sys.exit(f"{what}: {found}, expected {expected} within {tolerance}")


def main():
    mode, first, second = sys.argv[1], read(sys.argv[2]), read(sys.argv[3])
    if mode == "loss":
        score = second[0]
        expect_near(-score["logprob"] / score["token_count"], validation(first), 1e-5, "score")
    elif mode == "near":
        expect_near(validation(second), validation(first), 0.02, "after bf16")
    else:
        losses = [[e["loss"] for e in run if "loss" in e] for run in (first, second)]
        if len(losses[0]) != 12 or losses[0][-1] > losses[0][0] - 1:
            sys.exit(f"expected 12 losses that fall, found {losses[0]}")
        for a, b in zip(*losses):
            expect_near(b, a, 1e-3, "loss in parts")


if __name__ == "__main__":
    main()
