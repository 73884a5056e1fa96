"""Runs an executable that tnllmc made, and compares what it computes with golden values."""

import json
import os
import subprocess

import numpy as np

import safetensors_io


class Program:
    """An executable, and files of its own in `folder`."""

    def __init__(self, executable, folder, options=()):
        self.executable = os.path.abspath(executable)
        self.options = list(options)
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.output = os.path.join(folder, "output.safetensors")

    def call(self, *arguments):
        """What it prints; RuntimeError with what it says on stderr when it fails."""
        done = subprocess.run([self.executable, *arguments, *self.options, "--quiet"],
                              capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: status {done.returncode}: "
                               f"{done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()

    def run(self, ids, after=None):
        """One `run`; `after` is the result to go on from."""
        tensors = {"input_ids": ids}
        if after is not None:
            tensors["position"] = after["position"]
            tensors.update((name, tensor) for name, tensor in after.items()
                           if name.startswith("state."))
        source = os.path.join(self.folder, "input.safetensors")
        safetensors_io.save(source, tensors)
        self.call("run", "--input", source, "--output", self.output)
        return safetensors_io.load(self.output)

    def run_pieces(self, ids, cuts):
        """Runs ids cut before each position of `cuts`; logits of all of them."""
        return run_relay([self] * (len(list(cuts)) + 1), ids, cuts)

    def run_packed(self, rows):
        """One `run` of sequences of different lengths, one after the other."""
        source = os.path.join(self.folder, "input.safetensors")
        offsets = np.cumsum([0] + [len(row) for row in rows])
        safetensors_io.save(source, {"input_ids": np.concatenate(rows), "offsets": offsets})
        self.call("run", "--input", source, "--output", self.output)
        return safetensors_io.load(self.output), offsets

    def greedy(self, result, count):
        """The `count` likeliest tokens one after another, from a result on."""
        tokens = []
        for _ in range(count):
            token = result["logits"][:, -1:].argmax(-1).astype(np.int64)
            tokens.append(token)
            result = self.run(token, result)
        return np.concatenate(tokens, axis=1)

    def generate(self, *arguments, temperature="0"):
        """Tokens of each sequence, chosen greedily or with the settings given."""
        text = self.call("generate", "--temp", temperature, "--eos", "-1", "--json",
                         *arguments)
        return [sequence["tokens"] for sequence in json.loads(text)["sequences"]]


def run_relay(programs, ids, cuts):
    """Each program takes the piece before the next cut and hands its states on."""
    bounds = [0, *cuts, ids.shape[1]]
    logits, result = [], None
    for program, begin, end in zip(programs, bounds, bounds[1:]):
        result = program.run(ids[:, begin:end], result)
        logits.append(result["logits"])
    result["logits"] = np.concatenate(logits, axis=1)
    return result


class Check:
    """Keeps a line for each check, and counts those that fail. Errors are relative to
    the largest golden value."""

    def __init__(self, name, golden, tolerance):
        self.name, self.golden, self.tolerance = name, golden, tolerance
        self.positions = golden.get("positions")
        self.lines, self.failed = [], 0
        self.states = self.names("state.")

    def names(self, prefix):
        return [name for name in self.golden if name.startswith(prefix)]

    def say(self, what, good, value):
        self.failed += not good
        self.lines.append(f"{'ok' if good else 'FAIL':4} {self.name} {what}: {value}")

    def error(self, name, result, want=None):
        got = result[name]
        if want is None:
            want = self.golden[name]
            if self.positions is not None and not name.startswith("state."):
                got = got[:, self.positions]
        return self.difference(got, want, want)

    def close(self, what, names, result, other=None):
        """The golden values of these names, or those of the result `other`."""
        worst = max(self.error(name, result, other[name] if other else None)
                    for name in names)
        self.say(what, worst <= self.tolerance, f"{worst:.2e}")

    def check_greedy(self, program, result):
        greedy = self.golden["greedy"]
        differing = int((program.greedy(result, greedy.shape[1]) != greedy).sum())
        self.say("greedy tokens that differ", differing == 0, differing)

    def check_packed(self, program, ids, whole):
        """Pieces of the rows packed together are what they are in `whole`."""
        length = ids.shape[1]
        lengths = [min(n, length) for n in (length, 1, 63, 64, 65, 130, length, 7)]
        rows = [i % ids.shape[0] for i in range(len(lengths))]
        packed, offsets = program.run_packed([ids[row, :n] for row, n in zip(rows, lengths)])
        worst = 0.0
        for i, (row, n) in enumerate(zip(rows, lengths)):
            got = packed["logits"][offsets[i]:offsets[i + 1]]
            worst = max(worst, self.difference(got, whole["logits"][row, :n],
                                               whole["logits"]))
            for name in self.states if n == length else []:
                worst = max(worst, self.difference(packed[name][i], whole[name][row],
                                                   whole[name]))
        self.say("packed sequences", worst <= self.tolerance, f"{worst:.2e}")

    @staticmethod
    def difference(got, want, scale):
        """The largest, over the largest of `scale`; that of a NaN is infinite."""
        if got.shape != want.shape:
            return float("inf")
        worst = np.abs(got.astype(np.float64) - want).max()
        return worst / np.abs(scale).max() if np.isfinite(worst) else float("inf")

    def check_wide_states(self, program):
        """Of the last run."""
        types = safetensors_io.dtypes(program.output)
        wide = all(types[name] == "F32" for name in self.states)
        self.say("states are f32", wide, wide)
