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
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../../Inputs/tools"))
import safetensors_file


class Model:
    """An executable and its `run` command."""

    def __init__(self, executable, folder):
        self.executable = executable
        self.input = os.path.join(folder, "input.safetensors")
        self.output = os.path.join(folder, "output.safetensors")

    def run(self, ids, after=None):
        tensors = {"input_ids": ids}
        if after is not None:
            tensors["position"] = after["position"]
            tensors.update((name, tensor) for name, tensor in after.items()
                           if name.startswith("state."))
        safetensors_file.save(self.input, tensors)
        subprocess.run([self.executable, "run", "--quiet", "--input", self.input,
                        "--output", self.output], check=True)
        return safetensors_file.load(self.output)

    def run_pieces(self, ids, cuts):
        """Runs ids cut before each position of `cuts`; logits of all of them."""
        bounds = [0, *cuts, ids.shape[1]]
        logits, result = [], None
        for begin, end in zip(bounds, bounds[1:]):
            result = self.run(ids[:, begin:end], result)
            logits.append(result["logits"])
        result["logits"] = np.concatenate(logits, axis=1)
        return result

    def greedy(self, result, count):
        tokens = []
        for _ in range(count):
            token = result["logits"][:, -1:].argmax(-1).astype(np.int64)
            tokens.append(token)
            result = self.run(token, result)
        return np.concatenate(tokens, axis=1)


class Check:
    def __init__(self, case, golden, tolerance):
        self.case, self.golden, self.tolerance = case, golden, tolerance
        self.positions = golden.get("positions")
        self.failed = 0

    def say(self, what, good, value):
        self.failed += not good
        print(f"{'ok' if good else 'FAIL':4} {self.case} {what}: {value}", flush=True)

    def error(self, name, result):
        got, want = result[name], self.golden[name]
        if self.positions is not None and not name.startswith("state."):
            got = got[:, self.positions]
        if got.shape != want.shape:
            return float("inf")
        # A NaN is worse than any number.
        worst = np.abs(got.astype(np.float64) - want).max()
        return worst / np.abs(want).max() if np.isfinite(worst) else float("inf")

    def close(self, what, names, result):
        worst = max(self.error(name, result) for name in names)
        self.say(what, worst <= self.tolerance, f"{worst:.2e}")

    def names(self, prefix):
        return [name for name in self.golden if name.startswith(prefix)]


def check_f32(check, model):
    ids = check.golden["input_ids"]
    length = ids.shape[1]
    states = check.names("state.")
    whole = model.run(ids)
    check.close("logits", ["logits"], whole)
    check.close("hidden", check.names("hidden."), whole)
    check.close("state", states, whole)
    greedy = check.golden["greedy"]
    differing = int((model.greedy(whole, greedy.shape[1]) != greedy).sum())
    check.say("greedy tokens that differ", differing == 0, differing)
    for cut in (1, 7, length // 2, length - 1):
        check.close(f"split at {cut}", ["logits", *states], model.run_pieces(ids, [cut]))
    check.close("three pieces", ["logits", *states], model.run_pieces(ids, [64, 129]))
    # Token by token over two chunk borders, then the rest at once.
    check.close("token by token", ["logits", *states],
                model.run_pieces(ids, range(1, 131)))
    for row in range(ids.shape[0]):
        alone = model.run(ids[row:row + 1])
        same = all(np.array_equal(alone[name], whole[name][row:row + 1])
                   for name in ("logits", *check.names("hidden."), *states))
        check.say(f"row {row} alone, bit for bit", same, same)


def check_bf16(check, model):
    ids = check.golden["input_ids"]
    whole = model.run(ids)
    check.close("logits", ["logits"], whole)
    types = safetensors_file.dtypes(model.output)
    wide = all(types[name] == "F32" for name in check.names("state."))
    check.say("states are f32", wide, wide)
    check.close("split at 7", ["logits"], model.run_pieces(ids, [7]))
    check.close("token by token", ["logits"], model.run_pieces(ids, range(1, 67)))


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
        golden = safetensors_file.load(os.path.join(folder, "golden.safetensors"))
        check = Check(case, golden, 2e-4 if args.dtype == "f32" else 3e-2)
        judge = check_f32 if args.dtype == "f32" else check_bf16
        judge(check, Model(executable, args.temporary))
        failed += check.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
