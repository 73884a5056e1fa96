"""Random specs on a GPU against the f64 interpreter: made on one machine, run on another.

random_specs.py build FOLDER [--cases N] [--seed S] [--target sm_90a] [--plain]
                             [--dtypes f32,bf16] [--again]
random_specs.py run FOLDER [--jobs N]

`build` needs tnllmc and tnllm-opt on PATH. Case i has the seed S + i, which decides its
spec, weights and tokens as in ../cpu/compare_with_reference.py, but that odd ones are as
wide as bf16 activations and tensor cores need; FOLDER gets its programs (f32 and bf16)
and what the interpreter computes. Ptxas is what the build finds. With --again, cases that are
in FOLDER keep what is expected and get programs of the compiler that is there now. `run` needs
numpy and a GPU and nothing else: it draws the weights anew, which must be the same bytes, and
each program runs the sequence whole, in splits of at most eight pieces (a piece is a start of the program) and packed in
pieces of different lengths. Logits, hidden and attention
states must be within 2e-3 (f32) or 3e-2 (bf16) of the largest magnitude; of a long sequence
64 positions drawn and the last are compared.

How far a model carries roundings is a matter of the model, so `build` asks the interpreter:
what changes when each value is off by a random 2^-22, as sums in f32 of another order are,
and, where activations are stored as bf16, rounded so (three times; the largest counts). In
bf16 a program may be off by one and a half times that where it is more than 2e-2. Both
numbers stand in each line, and beside them what the CPU's program is off by.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "../cpu")]
import compare_with_reference as reference
import safetensors_io

TOLERANCE = {"f32": 2e-3, "bf16": 3e-2}
NOISE = 2.0 ** -22
# GPUTarget::minBF16Depth: shallower models keep activations in f32.
MIN_DEPTH = 128
KEPT = 64  # of the positions of a long sequence, so that what is expected can be carried


def make_wide(random, spec, seed):
    """Random specs are mostly too narrow for bf16 activations and tensor cores: in every
    other one each linear map sums over 128 values or more."""
    heads = spec["decoder_attention_heads"]
    widths = [width for width in (8, 16, 20, 24, 32, 48, 64, 80, 96, 128, 192, 256)
              if 128 <= heads * width <= 512]
    hidden = heads * int(random.choice(widths))
    same = any(spec["linear_use_lrpe_list"]) or random.rand() < .5
    spec.update(hidden_dim=hidden,
                decoder_embed_dim=hidden if same else int(random.randint(128, 400)),
                glu_dim=int(random.choice([-1, 128, 160, 331])),
                decoder_layers=min(spec["decoder_layers"], 1 + seed // 2 % 3))
    spec["linear_use_lrpe_list"] = spec["linear_use_lrpe_list"][:spec["decoder_layers"]]
    if isinstance(spec["decay"], dict):
        spec["decay"] = "headwise"


class GPUCase(reference.Case):
    """A GPU has no kernels for ablations and baselines. Odd seeds are wide unless all are
    plain. Where the parameters are given, no compiler is asked for them."""

    def __init__(self, seed, folder, is_plain, parameters=None):
        self.seed, self.is_plain, self.given = seed, is_plain, parameters
        super().__init__(seed, folder, False)

    def draw_spec(self, seed):
        spec = reference.random_spec(self.random, seed, variants=False)
        if seed % 2 and not self.is_plain:
            make_wide(self.random, spec, seed)
        return spec

    def declare(self):
        return self.given or super().declare()

    def digest(self):
        with open(self.path("weights.safetensors"), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()


def is_deep(spec):
    """Whether each linear map sums over enough terms for activations in bf16."""
    glu = spec["glu_dim"] if spec["glu_dim"] > 0 else spec["decoder_embed_dim"]
    return min(spec["decoder_embed_dim"], spec["hidden_dim"], glu) >= MIN_DEPTH


def cost_of_rounding(case, dtype, expected):
    """The largest error of the interpreter where it rounds as a GPU program does."""
    rounding = " round-activations" if dtype == "bf16" and is_deep(case.spec) else ""
    return max(max(errors_of(case.reference(dtype, errors=f"noise={NOISE} noise-seed={seed}"
                                            + rounding), expected).values())
               for seed in range(3))


def errors_of(actual, expected):
    return {name: reference.relative_error(actual[name], values)
            for name, values in expected.items()}


def draw_positions(seed, length):
    """Those whose values are kept: the last, and 64 others where there are as many."""
    others = np.random.RandomState(seed).permutation(length - 1)[:KEPT]
    return sorted(map(int, others)) + [length - 1]


def at(positions, tensors):
    return {name: values if name.startswith("state.") else values[:, positions]
            for name, values in tensors.items()}


def describe(case, dtypes, folder):
    """What is known of a case; what is expected goes into the folder."""
    notes = {"seed": case.seed, "plain": case.is_plain, "spec": case.spec, "length": case.length,
             "parameters": case.parameters, "weights": case.digest(), "cpu": {}, "rounding": {},
             "splits": [list(map(int, way)) for way in
                        reference.splits_of(case.random, case.length) if len(way) <= 8],
             "cuts": case.draw_cuts(), "positions": draw_positions(case.seed, case.length)}
    for dtype in dtypes:
        expected = case.reference(dtype)
        reference.run_command("tnllmc", case.spec_path, f"--dtype={dtype}", "-o",
                              case.path("cpu"), "--quiet", "--march=x86-64-v3")
        actual = case.run_pieces(case.path("cpu"), [case.length])
        notes["cpu"][dtype] = max(errors_of(actual, expected).values())
        notes["rounding"][dtype] = cost_of_rounding(case, dtype, expected)
        safetensors_io.save(os.path.join(folder, f"expected.{dtype}.safetensors"),
                            {name: values.astype("<f4")
                             for name, values in at(notes["positions"], expected).items()})
    return notes


def build(arguments):
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        folder = os.path.join(arguments.folder, str(seed))
        os.makedirs(folder, exist_ok=True)
        notes_path = os.path.join(folder, "case.json")
        dtypes = arguments.dtypes.split(",")
        with tempfile.TemporaryDirectory() as work:
            case = GPUCase(seed, work, arguments.plain)
            for dtype in dtypes:
                reference.run_command("tnllmc", case.spec_path, f"--dtype={dtype}",
                                      f"--target={arguments.target}", "-o",
                                      os.path.join(folder, dtype), "--quiet")
            if not arguments.again or not os.path.exists(notes_path):
                notes = describe(case, dtypes, folder)
                with open(notes_path, "w", encoding="utf-8") as file:
                    json.dump(notes, file)
        print(f"seed {seed}: built", flush=True)
    return 0


def run_one(folder, notes, dtype, work):
    """The largest error over all splits."""
    case = GPUCase(notes["seed"], work, notes["plain"], notes["parameters"])
    if case.digest() != notes["weights"]:
        raise reference.Failure("other weights are drawn here than where it was built")
    expected = safetensors_io.load(os.path.join(folder, f"expected.{dtype}.safetensors"))
    program = os.path.join(folder, dtype)
    weights = ("--weights", case.path("weights.safetensors"))
    runs = [reference.run_pieces(program, case.ids, pieces, work, weights)
            for pieces in notes["splits"]]
    runs.append(reference.run_packed(program, case.ids, notes["cuts"], work, weights))
    return max(max(errors_of(at(notes["positions"], {name: actual[name] for name in expected}),
                             expected).values()) for actual in runs)


def check(folder, notes, dtype):
    """(passed, one line) of one program."""
    on_cpu, rounding = notes["cpu"][dtype], notes["rounding"][dtype]
    limit = TOLERANCE[dtype]
    if dtype == "bf16":
        limit = max(limit, 1.5 * rounding)
    with tempfile.TemporaryDirectory() as work:
        try:
            error = run_one(folder, notes, dtype, work)
            shown = f"{error:.1e}"
        except reference.Failure as failure:
            error, shown = np.inf, str(failure)
    line = (f"seed {notes['seed']} {dtype}: {shown} (rounding alone {rounding:.1e}, CPU "
            f"{on_cpu:.1e}, limit {limit:.1e}), length {notes['length']}")
    if error <= limit:
        return True, "ok   " + line
    return False, f"FAIL {line}\n     {notes['spec']}"


def run(arguments):
    work = []
    for name in sorted(os.listdir(arguments.folder), key=int):
        folder = os.path.join(arguments.folder, name)
        with open(os.path.join(folder, "case.json"), encoding="utf-8") as file:
            notes = json.load(file)
        work += [(folder, notes, dtype) for dtype in notes["cpu"]]
    passed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for good, line in pool.map(lambda item: check(*item), work):
            passed += good
            print(line, flush=True)
    print(f"{passed} of {len(work)} programs agree")
    return 0 if work and passed == len(work) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["build", "run"])
    parser.add_argument("folder")
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--seed", type=int, default=5000)
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("--dtypes", default="f32,bf16")
    parser.add_argument("--plain", action="store_true", help="make no spec wide")
    parser.add_argument("--again", action="store_true",
                        help="new programs, what is expected stays where it is there")
    parser.add_argument("--jobs", type=int, default=4)
    arguments = parser.parse_args()
    return build(arguments) if arguments.action == "build" else run(arguments)


if __name__ == "__main__":
    sys.exit(main())
