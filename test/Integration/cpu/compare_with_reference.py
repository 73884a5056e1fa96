#!/usr/bin/env python3
"""Compares compiled executables with the reference interpreter on random specs.

Usage: compare_with_reference.py [--cases N] [--seed S] [--dtype f32,bf16,int8]
                                 [--march native,x86-64-v3] [--rotate] [--keep DIR] [-v]
       compare_with_reference.py --draws N [--seed S]
       compare_with_reference.py --orders N [--cases N] [--seed S]

Case i has the seed S + i, which decides its spec, weights and tokens; a case alone is
`--cases 1 --seed <its seed>`. Each is compiled for every dtype and march (with --rotate,
which suits long runs, for one of each in turn), run whole, in
random splits, packed in pieces of different lengths and, where it is short, token by
token. Logits, hidden states and
attention states must be within 2e-4 (f32, int8) or 3e-2 (bf16, int8 where inputs are rounded
to 8 bits) of the largest magnitude that tnllm-opt --tn-interpret computes in f64. --draws compiles nothing: it checks that N
specs have drawn every value of every option, and every key that docs/ModelSpec.md lists
and that changes what is computed. --orders tells a program that computes something else from
one that rounds: it runs each f32 case N times with the columns of the embedding, and all that
meets them, in another order, the same model whose sums round in other places. Roundings
scatter around the reference, and the mean of the runs comes near it; a wrong program is
wrong in each and in the mean. Needs tnllmc and tnllm-opt on PATH, and numpy.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io

# The reference quantises weights to the same integers, so int8 is as exact as f32. Where
# inputs are rounded to 8 bits, what lies half-way in f64 goes the other way in f32, by a
# step of 1/127; as with bf16, one such step moves others.
TOLERANCE = {"f32": 2e-4, "int8": 2e-4, "bf16": 3e-2, "rounded": 3e-2}
LENGTHS = [1, 2, 63, 64, 65, 130, 257, 300]
ACTIVATIONS = ["none", "silu", "swish", "gelu", "relu", "elu", "sigmoid", "exp",
               "1+elu", "2+elu", "leak"]
NORMS = ["simplermsnorm", "rmsnorm", "layernorm"]
DECAYS = ["transnormer", "headwise", "none", "explicit"]
ATTENTIONS = ["linear", "softmax", "diag"]
ENCODINGS = ["lrpe-d", "mix", "decay", "lrpe", "absolute", "rope", "none"]


class Failure(Exception):
    """A command that failed, or values that differ."""


def run_command(*words):
    result = subprocess.run(words, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"{' '.join(words)}: exit code {result.returncode}\n"
                      f"{result.stderr.strip()[-2000:]}")
    return result.stdout


def random_decay(random, rule, layers, heads):
    if rule != "explicit":
        return rule
    # Nothing, hardly anything, and nearly all of it forgotten in one step.
    slopes = np.where(random.rand(layers, heads) < .1, 0,
                      10 ** random.uniform(-5, .7, (layers, heads)))
    slopes = slopes.round(7).tolist()
    return {"rule": "explicit", "slopes": slopes if random.rand() < .7 else slopes[0]}


def random_variant(random, seed, spec):
    """Changes a spec to one of an ablation or a baseline."""
    layers, width = spec["decoder_layers"], spec["hidden_dim"] // spec["decoder_attention_heads"]
    kinds = random.choice(ATTENTIONS, layers).tolist()
    spec["attention"] = kinds if random.rand() < .6 else kinds[0]
    spec["attention_block"] = int(random.choice([1, 3, 16, 64, 100]))
    if random.rand() < .4:
        spec["softmax_scale"] = "rsqrt_key_width" if random.rand() < .5 else 0.2
    spec["gate"] = bool(random.rand() < .5)
    spec["glu_act_fun"] = [name for name in ACTIVATIONS if name != "exp"][seed % 10]
    spec["max_position_embeddings"] = max(LENGTHS)
    encoding = ENCODINGS[seed % len(ENCODINGS)]
    has_lrpe = encoding in ("lrpe-d", "mix", "lrpe")
    if has_lrpe and spec["hidden_dim"] != spec["decoder_embed_dim"] or (
            encoding == "rope" and width % 2):
        encoding = "none"
    if random.rand() < .5:
        del spec["linear_use_lrpe_list"], spec["decay"]
        spec["position_encoding"] = encoding
    elif encoding == "rope":
        spec.update(linear_use_lrpe_list=[], rope_theta=float(random.choice([2.5, 500.0])))
    else:
        spec["absolute_positions"] = bool(random.rand() < .5)


def random_spec(random, seed, variants=True):
    """What has few values goes round with the seed, so that 12 seeds take them all; with
    `variants`, every other one is an ablation or a baseline."""
    heads = int(random.choice([1, 2, 3, 4, 5, 6, 7, 8, 12]))
    width = int(random.choice([1, 3, 5, 8, 10, 16, 20, 24, 33, 64, 80, 192],
                              p=[.04, .06, .1, .1, .1, .1, .1, .1, .1, .08, .08, .04]))
    layers = 1 + seed % 4
    hidden = heads * width
    lrpe = (random.rand(layers) < .5).astype(int).tolist() if random.rand() < .6 else []
    same_width = any(lrpe) or random.rand() < .3
    norm = NORMS[seed % len(NORMS)]
    spec = {
        "vocab_size": int(random.choice([5, 64, 100, 256, 331])),
        "decoder_embed_dim": hidden if same_width else int(random.randint(1, 200)),
        "decoder_layers": layers,
        "decoder_attention_heads": heads,
        "hidden_dim": hidden,
        "glu_dim": int(random.choice([-1, 1, 37, 64, 160, 200])),
        "linear_act_fun": ACTIVATIONS[seed % len(ACTIVATIONS)],
        "norm_type": norm,
        "linear_use_lrpe_list": lrpe,
        "decay": random_decay(random, DECAYS[seed // 3 % len(DECAYS)], layers, heads),
        "bias": bool(random.rand() < .4),
        "tie_word_embeddings": bool(random.rand() < .3),
        "no_scale_embedding": bool(random.rand() < .4),
        "pad_token_id": None, "bos_token_id": None, "eos_token_id": None,
        "tokenizer": "bytes",
    }
    if norm != "simplermsnorm":
        spec["norm_bias"] = bool(random.rand() < .5)
    if random.rand() < .3:
        spec["norm_eps"] = float(random.choice([1e-8, 1e-5, 1e-2]))
    if random.rand() < .4:
        spec["attention_scale"] = "rsqrt_key_width" if random.rand() < .5 else 0.37
    if not spec["no_scale_embedding"] and random.rand() < .3:
        spec["embedding_scale"] = 2.5
    if variants and random.rand() < .5:
        random_variant(random, seed, spec)
    return spec


def write_spec(path, spec):
    """JSON text is YAML too, but for tokens like 1e-08, which need a point."""
    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {text(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(text(v) for v in value) + "]"
        if value is None or isinstance(value, bool):
            return {None: "null", True: "true", False: "false"}[value]
        if isinstance(value, float):
            return f"{value:.9f}"
        return str(value)
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(f"{key}: {text(value)}\n" for key, value in spec.items()))


PARAMETER = re.compile(r'tn\.param @"?([^" ]+)"? : tensor<([0-9x]+)x\w+> init <(\w+)')


def random_checkpoint(random, parameters):
    """A value for each parameter (name, shape as 2x3, init), in any type that loads."""
    tensors = {}
    for name, shape, init in parameters:
        shape = [int(size) for size in shape.split("x")]
        if init == "lrpe_theta":
            count = int(np.prod(shape))
            values = 10000.0 ** (-2.0 * np.arange(count).reshape(shape) / count)
        elif name.endswith(".bias"):
            values = 0.1 * random.standard_normal(shape)
        elif len(shape) == 1:
            values = 1 + 0.2 * random.standard_normal(shape)
        else:
            values = random.standard_normal(shape) / np.sqrt(shape[1])
        kind = random.choice(["f32", "f16", "bf16"], p=[.6, .15, .25])
        if kind == "f16" and init != "lrpe_theta":
            tensors[name] = values.astype(np.float16)
        elif kind == "bf16":
            tensors[name] = safetensors_io.to_bf16(values)
        else:
            tensors[name] = values.astype(np.float32)
    return tensors


def relative_error(actual, expected):
    if actual.shape != expected.shape:
        raise Failure(f"shape {actual.shape} where {expected.shape} was expected")
    if not np.isfinite(actual).all():
        return float("inf")
    largest = np.abs(expected).max()
    return float(np.abs(actual - expected).max() / (largest if largest > 0 else 1))


def splits_of(random, length):
    """Lengths of the pieces, for some ways of cutting the sequence."""
    ways = [[length]]
    if length > 1:
        ways.append([1, length - 1])
        cuts = np.sort(random.choice(np.arange(1, length), min(3, length - 1), False))
        ways.append(np.diff([0, *cuts, length]).tolist())
    if length > 7:
        ways.append([7, length - 7])
    if 1 < length <= 65:
        ways.append([1] * length)
    return ways


def run_pieces(executable, ids, pieces, folder, options=()):
    """The outputs of a run of ids in pieces of these lengths, joined along the positions."""
    outputs, carried, begin = [], {}, 0
    source, target = (os.path.join(folder, name + ".safetensors") for name in ("in", "out"))
    for size in pieces:
        safetensors_io.save(source, {"input_ids": ids[:, begin:begin + size], **carried})
        run_command(executable, "run", "--quiet", "--input", source, "--output", target,
                    *options)
        outputs.append(safetensors_io.load(target))
        begin += size
        carried = {name: value for name, value in outputs[-1].items()
                   if name == "position" or name.startswith("state.")}
    if int(carried["position"]) != begin:
        raise Failure(f"position {carried['position']} after {begin} tokens")
    joined = dict(outputs[-1])
    for name in joined:
        if name == "logits" or name.startswith("hidden."):
            joined[name] = np.concatenate([part[name] for part in outputs], axis=1)
    return joined


def run_packed(executable, ids, cuts, folder, options=()):
    """The same for rows packed one after the other: each up to its own cut, then what is
    left of each."""
    batch, length = ids.shape
    source, target = (os.path.join(folder, name + ".safetensors") for name in ("in", "out"))
    pieces, carried, parts = [], {}, []
    for begins, ends in (([0] * batch, cuts), (cuts, [length] * batch)):
        if begins[0] < ends[0]:
            pieces.append([ids[row, begins[row]:ends[row]] for row in range(batch)])
    for rows in pieces:
        offsets = np.cumsum([0] + [len(row) for row in rows])
        safetensors_io.save(source, {"input_ids": np.concatenate(rows), "offsets": offsets,
                                     **carried})
        run_command(executable, "run", "--quiet", "--input", source, "--output", target,
                    *options)
        result = safetensors_io.load(target)
        carried = {name: value for name, value in result.items()
                   if name == "position" or name.startswith("state.")}
        parts.append((result, offsets))
    if not (carried["position"] == length).all():
        raise Failure(f"positions {carried['position']} after {length} tokens")
    joined = dict(parts[-1][0])
    for name in joined:
        if name == "logits" or name.startswith("hidden."):
            joined[name] = np.stack([
                np.concatenate([result[name][offsets[row]:offsets[row + 1]]
                                for result, offsets in parts]) for row in range(batch)])
    return joined


class Case:
    def __init__(self, seed, folder, verbose):
        self.random = np.random.RandomState(seed)
        self.folder, self.verbose = folder, verbose
        self.spec = self.draw_spec(seed)
        self.batch = int(self.random.randint(1, 6))
        self.length = LENGTHS[seed % len(LENGTHS)]
        self.ids = self.random.randint(0, self.spec["vocab_size"],
                                       (self.batch, self.length)).astype(np.int64)
        self.references, self.rounded = {}, set()
        self.spec_path = self.path("spec.yaml")
        write_spec(self.spec_path, self.spec)
        self.parameters = self.declare()
        safetensors_io.save(self.path("weights.safetensors"),
                            random_checkpoint(self.random, self.parameters))
        write_spec(self.spec_path, {**self.spec, "weights": "weights.safetensors"})
        safetensors_io.save(self.path("ids.safetensors"), {"input_ids": self.ids})

    def draw_spec(self, seed):
        return random_spec(self.random, seed)

    def declare(self):
        """The parameters of the model: name, shape and how they begin."""
        return PARAMETER.findall(run_command("tnllmc", self.spec_path, "--emit=tn", "--quiet"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def interpret(self, module, function, inputs, outputs, errors=""):
        run_command("tnllm-opt", module, "-o", os.devnull,
                    f"--tn-interpret=function={function} inputs={inputs} "
                    f"outputs={outputs} parameters={self.path('weights.safetensors')} "
                    + errors)
        return safetensors_io.load(outputs)

    def reference(self, dtype, march="native", errors=""):
        """Logits, hidden and state tensors by the names that an executable writes; with
        `errors`, options of --tn-interpret, what these make of them."""
        if not errors and (dtype, march) in self.references:
            return self.references[dtype, march]
        module = self.path(f"{dtype}.mlir")
        run_command("tnllmc", self.spec_path, "--emit=tn", f"--dtype={dtype}",
                    f"--march={march}", "-o", module, "--quiet")
        with open(module, encoding="utf-8") as file:
            if "tn.round_groups" in file.read():
                self.rounded.add((dtype, march))
        values = self.interpret(module, "prefill", self.path("ids.safetensors"),
                                self.path("prefill.safetensors"), errors)
        layers = self.spec["decoder_layers"]
        result = {f"hidden.{i}": values[f"hidden.{i}"] for i in range(layers + 1)}
        for layer in range(layers):
            result[f"state.{layer}"] = values[f"result{1 + layer}"]
        rows = result[f"hidden.{layers}"]
        safetensors_io.save(self.path("rows.safetensors"),
                            {"arg0": rows.reshape(-1, rows.shape[-1])})
        head = self.interpret(module, "head", self.path("rows.safetensors"),
                              self.path("head.safetensors"), errors)
        result["logits"] = head["result0"].reshape(*rows.shape[:2], -1)
        if not errors:
            self.references[dtype, march] = result
        return result

    def run_pieces(self, executable, pieces):
        return run_pieces(executable, self.ids, pieces, self.folder)

    def draw_cuts(self):
        """Of each row, for run_packed: none where a row has one token."""
        if self.length == 1:
            return [1] * self.batch
        return self.random.randint(1, self.length, self.batch).tolist()

    def compare(self, actual, dtype, march):
        """The largest relative error; raises where one is above the tolerance."""
        errors = {name: relative_error(actual[name], expected)
                  for name, expected in self.reference(dtype, march).items()}
        tolerance = TOLERANCE["rounded" if (dtype, march) in self.rounded else dtype]
        wrong = {name: error for name, error in errors.items() if not error <= tolerance}
        if wrong:
            order = sorted(wrong, key=lambda name: (name.split(".")[-1], name))
            raise Failure("differs in " + ", ".join(f"{n} ({wrong[n]:.2g})" for n in order))
        return max(errors.values())

    def check(self, dtype, march):
        executable = self.path("model")
        run_command("tnllmc", self.spec_path, f"--dtype={dtype}", f"--march={march}",
                    "-o", executable, "--quiet")
        worst = 0.0
        for pieces in splits_of(self.random, self.length):
            try:
                worst = max(worst, self.compare(self.run_pieces(executable, pieces), dtype, march))
            except Failure as failure:
                shown = "+".join(map(str, pieces)) if len(pieces) < 9 else "token by token"
                raise Failure(f"{dtype} {march}, length {shown}: {failure}") from None
        cuts = self.draw_cuts()
        try:
            packed = run_packed(executable, self.ids, cuts, self.folder)
            worst = max(worst, self.compare(packed, dtype, march))
        except Failure as failure:
            raise Failure(f"{dtype} {march}, packed, cut at {cuts}: {failure}") from None
        return worst


def run_case(seed, folder, arguments):
    """One line of output; true when all agrees."""
    failures, notes = [], []
    try:
        case = Case(seed, folder, arguments.verbose)
    except Failure as failure:
        print(f"seed {seed}: {failure}\n  {random_spec(np.random.RandomState(seed), seed)}")
        return False
    dtypes, marches = arguments.dtype.split(","), arguments.march.split(",")
    if arguments.rotate:
        dtypes = [dtypes[seed % len(dtypes)]]
        marches = [marches[seed // 7 % len(marches)]]
    for dtype in dtypes:
        for march in marches:
            try:
                notes.append(f"{dtype} {march} {case.check(dtype, march):.1e}")
            except Failure as failure:
                failures.append(str(failure))
    shape = f"{case.batch}x{case.length}"
    print(f"seed {seed}, tokens {shape}: " + ("FAILED" if failures else ", ".join(notes)))
    if failures or arguments.verbose:
        print(f"  spec {case.spec}")
    for failure in failures:
        print(f"  {failure}")
    sys.stdout.flush()
    return not failures


# The axis of a parameter that runs over the columns of the embedding.
EMBEDDING_AXIS = {"embed_tokens.weight": 1, "embed_positions.weight": 1,
                  "qkvu_proj.weight": 1, "qkv_proj.weight": 1, "l1.weight": 1,
                  "l2.weight": 1, "lm_head.weight": 1, "token_norm.weight": 0,
                  "token_norm.bias": 0, "channel_norm.weight": 0, "channel_norm.bias": 0,
                  "final_norm.weight": 0, "final_norm.bias": 0, "out_proj.weight": 0,
                  "out_proj.bias": 0, "l3.weight": 0, "l3.bias": 0}


def reorder(tensors, order):
    """The parameters with the embedding's columns in another order."""
    result = {}
    for name, values in tensors.items():
        axis = EMBEDDING_AXIS.get(".".join(name.split(".")[-2:]))
        result[name] = values if axis is None else np.ascontiguousarray(
            np.take(values, order, axis=axis))
    return result


def run_in_order(case, executable, tensors, order):
    """What the reordered model computes, its columns put back."""
    weights = case.path("reordered.safetensors")
    safetensors_io.save(weights, reorder(tensors, order))
    outputs = run_pieces(executable, case.ids, [case.length], case.folder,
                         ["--weights", weights])
    return {name: np.take(values, np.argsort(order), axis=-1) if name.startswith("hidden.")
            else values for name, values in outputs.items()}


def show_orders(seed, folder, count):
    """Prints how far the outputs are from the reference, each and in the mean."""
    case = Case(seed, folder, False)
    expected = case.reference("f32")
    executable = case.path("model")
    run_command("tnllmc", case.spec_path, "--march=native", "-o", executable, "--quiet")
    tensors = safetensors_io.load(case.path("weights.safetensors"))
    size = case.spec["decoder_embed_dim"]
    orders = [np.random.RandomState(i).permutation(size) if i else np.arange(size)
              for i in range(count)]
    outputs = [run_in_order(case, executable, tensors, order) for order in orders]
    for name, values in expected.items():
        errors = sorted(relative_error(out[name], values) for out in outputs)
        mean = relative_error(np.mean([out[name].astype(np.float64) for out in outputs], axis=0),
                              values)
        print(f"seed {seed}, {name}: {count} orders differ from f64 by {errors[0]:.1e} to "
              f"{errors[-1]:.1e}, half of them by less than {errors[count // 2]:.1e}, "
              f"their mean by {mean:.1e}")


# Keys of docs/ModelSpec.md that no value of `run` depends on when there is a checkpoint.
WITHOUT_EFFECT = {"name", "pad_token_id", "bos_token_id", "eos_token_id", "add_bos_token",
                  "init_std", "weights", "tokenizer"}


def documented_keys():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/ModelSpec.md")
    with open(path, encoding="utf-8") as file:
        table = file.read().split("## Keys")[1].split("\n###")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", table, re.M)
    return {key for cell in cells for key in re.findall(r"`(\w+)`", cell)}


def check_draws(first, count):
    """Whether `count` specs have drawn everything."""
    specs = [random_spec(np.random.RandomState(seed), seed)
             for seed in range(first, first + count)]
    seen = {}
    for spec in specs:
        for key, value in spec.items():
            shown = value["rule"] if isinstance(value, dict) else json.dumps(value)
            if key == "linear_use_lrpe_list":
                shown = "none" if not any(value) else "all" if all(value) else "some"
            if key in ("attention_scale", "softmax_scale"):
                shown = value if isinstance(value, str) else "number"
            if key == "attention":
                for kind in value if isinstance(value, list) else [value]:
                    seen.setdefault(key, set()).add(kind)
                shown = "list" if isinstance(value, list) else "one"
            seen.setdefault(key, set()).add(shown)
    both = {"true", "false"}
    expected = {"linear_act_fun": set(map(json.dumps, ACTIVATIONS)),
                "norm_type": set(map(json.dumps, NORMS)),
                "decay": {json.dumps(d) for d in DECAYS if d != "explicit"} | {"explicit"},
                "linear_use_lrpe_list": {"none", "some", "all"},
                "attention_scale": {"number", "rsqrt_key_width"}, "norm_bias": both,
                "softmax_scale": {"number", "rsqrt_key_width"}, "gate": both,
                "attention": {*ATTENTIONS, "list", "one"}, "absolute_positions": both,
                "position_encoding": set(map(json.dumps, ENCODINGS)),
                "glu_act_fun": set(map(json.dumps, ACTIVATIONS)) - {'"exp"'},
                "bias": both, "tie_word_embeddings": both, "no_scale_embedding": both}
    missing = [f"{key}: never drawn" for key in sorted(documented_keys() - WITHOUT_EFFECT)
               if len(seen.get(key, ())) < 1]
    for key, values in expected.items():
        missing += [f"{key}: {value} never drawn" for value in sorted(values - seen.get(key, set()))]
    if not any(s["hidden_dim"] != s["decoder_embed_dim"] for s in specs):
        missing.append("hidden_dim: never another than decoder_embed_dim")
    if {LENGTHS[seed % len(LENGTHS)] for seed in range(first, first + count)} != set(LENGTHS):
        missing.append("not every length")
    for line in missing:
        print(line)
    print(f"{count} specs draw {sum(map(len, seen.values()))} values of {len(seen)} keys; "
          f"{len(missing)} missing")
    return not missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dtype", default="f32,bf16,int8")
    parser.add_argument("--march", default="native,x86-64-v3")
    parser.add_argument("--rotate", action="store_true")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--orders", type=int)
    parser.add_argument("--keep", help="folder for the files of the cases")
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    if arguments.draws:
        return 0 if check_draws(arguments.seed, arguments.draws) else 1
    failed = []
    for seed in range(arguments.seed, arguments.seed + arguments.cases):
        with tempfile.TemporaryDirectory() as temporary:
            folder = temporary
            if arguments.keep:
                folder = os.path.join(arguments.keep, str(seed))
                os.makedirs(folder, exist_ok=True)
            if arguments.orders:
                show_orders(seed, folder, arguments.orders)
            elif not run_case(seed, folder, arguments):
                failed.append(seed)
    if arguments.orders:
        return 0
    print(f"{arguments.cases - len(failed)} of {arguments.cases} cases agree"
          + (f"; failed seeds: {failed}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
