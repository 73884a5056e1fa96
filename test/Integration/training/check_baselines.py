"""Compares ablations and baselines with a model written in numpy (baseline_model.py).

check_baselines.py DIR [NAME...]
check_baselines.py --wrong-gradients DIR NAME
check_baselines.py --same-end WHOLE REST N

Each is a small spec with random weights in DIR. Its program is compared in logits, whole,
in pieces and token by token; its trainer in the loss and, for each parameter, in the
gradient along a random direction and along itself, which in numpy are differences of the
loss. tnllmc is found on PATH. Prints a line for each model; exit code 1 where one is wrong.
--wrong-gradients spoils the gradients in several ways and says what passed all the same.
--same-end compares the last N tokens of two outputs of `generate --json`.
"""
import json
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import baseline_model  # noqa: E402
import program  # noqa: E402
import safetensors_io  # noqa: E402

TOLERANCE = 5e-5  # of logits, relative to the largest; f32 against f64
GRADIENT_TOLERANCE = 2e-4  # along a direction, relative to the gradient's norm
STEP = 1e-5

DEFAULTS = dict(words=37, width=32, heads=4, layers=3, glu=40, norm="simplermsnorm",
                activation="silu", glu_activation="none", gate=True, decay="transnormer",
                lrpe=[0, 0, 0], attention=["linear"] * 3, block=8, rope=None, absolute=False,
                positions=48, scale=32 ** .5)

# What a model is in numpy, and how its spec says it.
CASES = {
    "lrpe-d": (dict(lrpe=[1, 1, 1]), {"position_encoding": "lrpe-d"}),
    "mix": (dict(lrpe=[1, 0, 0]), {"position_encoding": "mix"}),
    "decay": ({}, {"position_encoding": "decay"}),
    "lrpe": (dict(lrpe=[1, 1, 1], decay="none"), {"position_encoding": "lrpe"}),
    "absolute": (dict(absolute=True, decay="none"),
                 {"position_encoding": "absolute", "max_position_embeddings": 48}),
    "no-gate": (dict(gate=False), {"gate": False}),
    "rmsnorm": (dict(norm="rmsnorm"), {"norm_type": "rmsnorm"}),
    "layernorm": (dict(norm="layernorm", gate=False), {"norm_type": "layernorm", "gate": False}),
    "glu": (dict(glu_activation="gelu"), {"glu_act_fun": "gelu"}),
    "rope-linear": (dict(rope=500.0), {"rope_theta": 500}),
    "transformer": (
        dict(attention=["softmax"] * 3, rope=10000.0, gate=False, glu_activation="silu",
             norm="rmsnorm", scale=1.0, decay="none"),
        {"attention": "softmax", "position_encoding": "rope", "gate": False,
         "glu_act_fun": "silu", "norm_type": "rmsnorm", "no_scale_embedding": True,
         "max_position_embeddings": 48}),
    "transnormer": (
        dict(attention=["diag", "diag", "linear"], decay="none", activation="1+elu",
             gate=False, glu_activation="silu"),
        {"attention": ["diag", "diag", "linear"], "attention_block": 8,
         "position_encoding": "none", "linear_act_fun": "1+elu", "gate": False,
         "glu_act_fun": "silu"}),
    "hybrid": (
        dict(attention=["linear", "softmax", "diag"], lrpe=[1, 1, 0], block=5,
             absolute=True, glu_activation="relu"),
        {"attention": ["linear", "softmax", "diag"], "attention_block": 5,
         "linear_use_lrpe_list": [1, 1, 0], "absolute_positions": True,
         "glu_act_fun": "relu", "max_position_embeddings": 48}),
}


def config_of(spec, keys):
    return {"vocab_size": spec["words"], "decoder_embed_dim": spec["width"],
            "decoder_layers": spec["layers"], "decoder_attention_heads": spec["heads"],
            "hidden_dim": spec["width"], "glu_dim": spec["glu"], "tokenizer": "bytes",
            "pad_token_id": None, "bos_token_id": None, "eos_token_id": None, **keys}


def random_tensors(random, shapes):
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("theta"):
            values = 10000.0 ** -random.rand(*shape)
        elif len(shape) == 1:
            values = (not name.endswith("bias")) + 0.2 * random.standard_normal(shape)
        else:
            values = random.standard_normal(shape) / np.sqrt(shape[1])
        tensors[name] = values.astype(np.float32)
    return tensors


class Case:
    def __init__(self, name, folder):
        difference, keys = CASES[name]
        self.spec = {**DEFAULTS, **difference}
        self.random = np.random.RandomState(sum(map(ord, name)))
        self.tensors = random_tensors(self.random, baseline_model.shapes_of(self.spec))
        self.model = baseline_model.Model(self.spec, self.tensors)
        self.folder, self.problems = os.path.join(folder, name), []
        os.makedirs(self.folder)
        with open(self.path("config.json"), "w", encoding="utf-8") as file:
            json.dump(config_of(self.spec, keys), file)
        safetensors_io.save(self.path("model.safetensors"), self.tensors)

    def path(self, name):
        return os.path.join(self.folder, name)

    def compile(self, name, *options):
        # The warnings of a fit that is not exact would say that names or shapes differ.
        done = subprocess.run(["tnllmc", self.folder, "-o", self.path(name), "--quiet",
                               *options], capture_output=True, text=True)
        if done.returncode != 0 or done.stderr:
            raise RuntimeError(done.stderr.strip())
        return self.path(name)

    def expect(self, what, error, limit):
        if not error <= limit:
            self.problems.append(f"{what}: {error:.1e}")
        return error

    def check_logits(self):
        ids = self.random.randint(0, self.spec["words"], (2, 45)).astype(np.int64)
        expected = np.stack([self.model.logits(row) for row in ids])
        runner = program.Program(self.compile("model"), self.path("files"))
        worst = 0
        for cuts in [[], [1], [7, 8, 30], [44], range(1, 45)]:
            actual = runner.run_pieces(ids, cuts)["logits"]
            error = np.abs(actual - expected).max() / np.abs(expected).max()
            worst = max(worst, self.expect(f"logits cut at {list(cuts)[:4]}", error, TOLERANCE))
        count = int(json.loads(runner.call("info", "--json"))["parameter_count"])
        if count != sum(tensor.size for tensor in self.tensors.values()):
            self.problems.append(f"{count} parameters")
        return worst

    def compute_gradients(self):
        """The ids of a step, and what the trainer says of it."""
        trainer = self.compile("trainer", "--train")
        ids = self.random.randint(0, self.spec["words"], (2, 39)).astype(np.int64)
        source, target = self.path("in.safetensors"), self.path("out.safetensors")
        safetensors_io.save(source, {"train_ids": ids})
        subprocess.run([trainer, "grad", "--input", source, "--output", target, "--quiet"],
                       check=True)
        return ids, safetensors_io.load(target)

    def check_gradients(self):
        ids, computed = self.compute_gradients()
        self.expect("loss", abs(computed["train_loss"][0] / self.model.loss(ids) - 1), 1e-5)
        names = {key[len("grad."):] for key in computed if key.startswith("grad.")}
        if names != set(self.tensors):
            self.problems.append(f"gradients of {sorted(names ^ set(self.tensors))} are "
                                 "missing or too many")
        errors = {name: self.gradient_error(name, ids, computed["grad." + name])
                  for name in sorted(names & set(self.tensors))}
        return max(self.expect(f"gradient of {name}", error, GRADIENT_TOLERANCE)
                   for name, error in errors.items())

    def gradient_error(self, name, ids, gradient):
        """The gradient's product with directions against differences of the loss."""
        gradient = gradient.astype(np.float64).reshape(self.model.tensors[name].shape)
        norm = np.linalg.norm(gradient)
        # A direction that does not depend on the gradient sees one that is zero; along
        # the gradient itself, a wrong length is seen however many elements there are.
        errors = []
        for direction in (self.random.standard_normal(gradient.shape),
                          gradient / max(norm, 1e-30)):
            product, expected = (gradient * direction).sum(), self.slope(name, ids, direction)
            errors.append(abs(product - expected) / max(norm, abs(expected), 1e-30))
        return max(errors) if np.isfinite(errors).all() else np.inf

    def slope(self, name, ids, direction):
        """Of the loss along a direction of one parameter, as a central difference."""
        values = self.model.tensors[name]
        step = STEP / max(np.abs(direction).max(), 1e-30)
        losses = []
        for sign in (1, -1):
            self.model.tensors[name] = values + sign * step * direction
            losses.append(self.model.loss(ids))
        self.model.tensors[name] = values
        return (losses[0] - losses[1]) / (2 * step)

    def unnoticed(self):
        """Parameters with wrong gradients that pass the check, and in what way."""
        ids, computed = self.compute_gradients()
        passed = []
        for name in sorted(self.tensors):
            right = computed["grad." + name].astype(np.float64)
            noise = self.random.standard_normal(right.shape)
            noise *= np.linalg.norm(right) / np.linalg.norm(noise)
            for way, wrong in (("right", right), ("zero", 0 * right), ("its negative", -right),
                               ("1% longer", 1.01 * right), ("5% noise", right + 0.05 * noise),
                               ("no number", np.nan * right)):
                if (self.gradient_error(name, ids, wrong) <= GRADIENT_TOLERANCE) != (
                        way == "right"):
                    passed.append(f"{name}: {way}")
        return passed


def same_end(whole, rest, count):
    tokens = []
    for path in (whole, rest):
        with open(path, encoding="utf-8") as file:
            tokens.append(json.load(file)["sequences"][0]["tokens"][-int(count):])
    return 0 if tokens[0] == tokens[1] and len(tokens[0]) == int(count) else 1


def main():
    if sys.argv[1] == "--same-end":
        return same_end(*sys.argv[2:5])
    if sys.argv[1] == "--wrong-gradients":
        passed = Case(sys.argv[3], sys.argv[2]).unnoticed()
        print("; ".join(passed) or "every wrong gradient is noticed, and no right one")
        return 1 if passed else 0
    folder, names = sys.argv[1], sys.argv[2:] or list(CASES)
    failed = 0
    for name in names:
        case = Case(name, folder)
        try:
            shown = f"logits {case.check_logits():.1e}, gradients {case.check_gradients():.1e}"
        except (RuntimeError, subprocess.CalledProcessError) as error:
            case.problems.append(str(error))
        failed += bool(case.problems)
        print(f"{name}: " + ("; ".join(case.problems) if case.problems else f"agrees ({shown})"),
              flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
