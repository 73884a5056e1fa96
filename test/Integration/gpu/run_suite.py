"""Checks GPU programs against the golden cases and against their CPU programs.

run_suite.py FOLDER [--device N] [--jobs N]

FOLDER is what build_programs.py made. Needs python3 with numpy, and a GPU: without one
it prints the reason and ends with status 0. Errors are relative to the largest golden
value: 2e-3 for f32, 3e-2 for bf16. A line for each check; exit status 1 when one
fails.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "../../Inputs/tools"))
import safetensors_file

TOLERANCE = {"f32": 2e-3, "bf16": 3e-2}
PROMPTS = ("Once upon a time", "The", "A longer prompt, so that rows of a batch "
           "stand at positions that differ by more than a chunk of the attention")


class Program:
    """An executable, and files of its own."""

    def __init__(self, executable, folder, options=()):
        self.executable = os.path.abspath(executable)
        self.options = list(options)
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.output = os.path.join(folder, "output.safetensors")

    def call(self, *arguments):
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
        safetensors_file.save(source, tensors)
        self.call("run", "--input", source, "--output", self.output)
        return safetensors_file.load(self.output)

    def run_pieces(self, ids, cuts):
        """Runs ids cut before each position of `cuts`; logits of all of them."""
        return run_relay([self] * (len(list(cuts)) + 1), ids, cuts)

    def greedy(self, result, count):
        tokens = []
        for _ in range(count):
            token = result["logits"][:, -1:].argmax(-1).astype(np.int64)
            tokens.append(token)
            result = self.run(token, result)
        return np.concatenate(tokens, axis=1)

    def generate(self, *arguments):
        """Tokens of each sequence, chosen greedily."""
        text = self.call("generate", "--temp", "0", "--eos", "-1", "--json", *arguments)
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
    """Counts and prints what is right and what is not."""

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
        if got.shape != want.shape:
            return float("inf")
        # A NaN is worse than any number.
        worst = np.abs(got.astype(np.float64) - want).max()
        return worst / np.abs(want).max() if np.isfinite(worst) else float("inf")

    def close(self, what, names, result, other=None):
        worst = max(self.error(name, result, other[name] if other else None)
                    for name in names)
        self.say(what, worst <= self.tolerance, f"{worst:.2e}")


def check_program(check, gpu, cpu, is_f32):
    ids = check.golden["input_ids"]
    length = ids.shape[1]
    everything = ["logits", *check.states] if is_f32 else ["logits"]

    whole = gpu.run(ids)
    check.close("logits", ["logits"], whole)
    if is_f32:
        check.close("hidden", check.names("hidden."), whole)
        check.close("state", check.states, whole)
        greedy = check.golden["greedy"]
        differing = int((gpu.greedy(whole, greedy.shape[1]) != greedy).sum())
        check.say("greedy tokens that differ", differing == 0, differing)
    types = safetensors_file.dtypes(gpu.output)
    wide = all(types[name] == "F32" for name in check.states)
    check.say("states are f32", wide, wide)

    for cut in (1, 7, length // 2, length - 1):
        check.close(f"split at {cut}", everything, gpu.run_pieces(ids, [cut]))
    check.close("three pieces", everything, gpu.run_pieces(ids, [64, 129]))
    check.close("token by token over a chunk's border", everything,
                gpu.run_pieces(ids, range(50, 80)))
    for row in range(ids.shape[0]):
        check.close(f"row {row} alone", everything, gpu.run(ids[row:row + 1]),
                    {name: whole[name][row:row + 1] for name in everything})

    cut = length // 3
    check.close("the CPU program's states continued on the GPU", everything,
                run_relay([cpu, gpu], ids, [cut]))
    check.close("the GPU program's states continued on the CPU", everything,
                run_relay([gpu, cpu], ids, [cut]))
    check_generate(check, gpu, cpu, is_f32)


def check_generate(check, gpu, cpu, is_f32):
    """`generate`, which decodes by another way than `run`: as a CUDA graph."""
    prompts = [word for prompt in PROMPTS for word in ("-p", prompt)]
    state = os.path.join(gpu.folder, "state.safetensors")
    first = gpu.generate(*prompts, "-n", "12", "--save-state", state)
    rest = gpu.generate("--load-state", state, "-n", "12")
    whole = gpu.generate(*prompts, "-n", "24")
    joined = [a + b for a, b in zip(first, rest)]
    check.say("generate, saved and resumed", joined == whole, joined == whole)
    alone = [gpu.generate("-p", prompt, "-n", "24")[0] for prompt in PROMPTS]
    if is_f32:
        expected = cpu.generate(*prompts, "-n", "24")
        check.say("generate, the CPU program's tokens", whole == expected,
                  whole == expected)
        check.say("generate, each prompt alone", alone == whole, alone == whole)
        resumed = cpu.generate("--load-state", state, "-n", "12")
        check.say("generate, resumed on the CPU", resumed == rest, resumed == rest)
    else:
        counts = [len(tokens) for tokens in whole + alone]
        check.say("generate, tokens", set(counts) == {24}, counts)


def check_case(case, dtype, folder, temporary, options):
    golden = safetensors_file.load(os.path.join(folder, f"{case}.safetensors"))
    check = Check(f"{case} {dtype}", golden, TOLERANCE[dtype])
    gpu = Program(os.path.join(folder, f"{case}-{dtype}"),
                  os.path.join(temporary, f"{case}-{dtype}"), options)
    cpu = Program(os.path.join(folder, f"{case}-cpu"),
                  os.path.join(temporary, f"{case}-{dtype}-cpu"))
    try:
        check_program(check, gpu, cpu, dtype == "f32")
    except RuntimeError as error:
        check.say("runs", False, error)
    return check


def find_programs(folder):
    """(case, dtype) of every GPU program."""
    found = []
    for name in sorted(os.listdir(folder)):
        case, _, dtype = name.rpartition("-")
        if case and dtype in TOLERANCE:
            found.append((case, dtype))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--device", default="0")
    parser.add_argument("--jobs", type=int, default=4, help="programs checked at once")
    args = parser.parse_args()
    programs = find_programs(args.folder)
    if not programs:
        sys.exit(f"{args.folder}: no programs: make them with build_programs.py")
    options = ["--device", args.device]
    with tempfile.TemporaryDirectory() as temporary:
        probe = Program(os.path.join(args.folder, "-".join(programs[0])), temporary,
                        options)
        info = json.loads(probe.call("info", "--json"))
        if info["device"] is None:
            print(f"skipped: {info['device_error']}")
            return 0
        print(f"device {args.device}: {info['device']}", flush=True)
        failed = total = 0
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for check in pool.map(lambda p: check_case(*p, args.folder, temporary,
                                                       options), programs):
                print("\n".join(check.lines), flush=True)
                failed += check.failed
                total += len(check.lines)
    print(f"{total - failed} of {total} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
