"""Compares a trainer's `grad` with the gradients of the published PyTorch code.

check_trainer.py CASE DIR [--recompute MODE] [--tokens N]

CASE holds config.json, model.safetensors and gradients.safetensors (as check_gradients.py
says, or golden.safetensors with whole gradients grad.<name>). tnllmc is found on PATH.
Exit code 1 where a difference is above 5e-4 of a gradient's largest magnitude, or where
threads or a second run change a bit.
"""
import argparse
import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io  # noqa: E402

TOLERANCE = 5e-4


def load_golden(case):
    for name in ("gradients.safetensors", "golden.safetensors"):
        path = os.path.join(case, name)
        if os.path.exists(path):
            return safetensors_io.load(path)
    raise SystemExit(f"{case}: no gradients")


def expected_names(golden):
    return {key.split(".", 1)[1] for key in golden if key.startswith(("sample.", "grad."))}


def difference(golden, name, values):
    """Of one gradient, relative to the golden one's largest magnitude."""
    if "grad." + name in golden:
        expected = golden["grad." + name]
        return np.abs(values.reshape(expected.shape) - expected).max() / np.abs(expected).max()
    largest = golden["max." + name][0]
    sample = values.ravel()[::golden["stride." + name][0]]
    return max(np.abs(sample - golden["sample." + name]).max(),
               abs(np.abs(values).max() - largest)) / largest


def compare(golden, computed):
    error = abs(computed["train_loss"][0] / golden["train_loss"][0] - 1)
    wrong = [f"the loss differs by {error:.1e}"] if not error < 1e-5 else []
    names = {key[len("grad."):] for key in computed if key.startswith("grad.")}
    if names != expected_names(golden):
        odd = sorted(names ^ expected_names(golden))
        wrong.append(f"gradients of {odd} are missing or too many")
    worst = 0
    for name in sorted(names & expected_names(golden)):
        relative = difference(golden, name, computed["grad." + name])
        worst = max(worst, relative)
        if not relative < TOLERANCE:
            wrong.append(f"{name}: differs by {relative:.1e} of its maximum")
    print(f"largest difference: {worst:.1e}", file=sys.stderr)
    return wrong, len(names)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("dir")
    parser.add_argument("--recompute", default="none")
    parser.add_argument("--tokens", default="4096")
    options = parser.parse_args()

    golden = load_golden(options.case)
    trainer, inputs, output = (os.path.join(options.dir, name)
                               for name in ("trainer", "in.safetensors", "out.safetensors"))
    subprocess.run(["tnllmc", options.case, "--train", f"--recompute={options.recompute}",
                    f"--train-tokens={options.tokens}", "-o", trainer], check=True)
    safetensors_io.save(inputs, {"train_ids": golden["train_ids"].astype("<i4")})
    contents = []
    for threads in ("2", "1", "2"):
        subprocess.run([trainer, "grad", "--deterministic", "--threads", threads,
                        "--input", inputs, "--output", output], check=True)
        with open(output, "rb") as file:
            contents.append(file.read())
    wrong, count = compare(golden, safetensors_io.load(output))
    if len(set(contents)) != 1:
        wrong.append("threads or a second run change the bits")
    print("\n".join(wrong) if wrong else f"{count} gradients agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
