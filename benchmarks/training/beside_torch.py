#!/usr/bin/env python3
"""Trains a model of 10 million parameters here and in PyTorch, and compares the losses.

beside_torch.py TNLLMC DIR [--steps 300] [--sequences 4] [--length 128] [--lr 3e-4] [--reference]
                [--amp bf16] [--texts FILE...] [--target cpu] [--only-make | --made]

With --target sm_90a both train on a GPU. --only-make compiles the trainer and ends; where
there is no compiler, --made takes it from DIR.

Both begin with the same weights and take the same batches, in the order that
docs/TrainingFormats.md defines and this file computes again, the learning rates that the
trainer states, the same clipping and AdamW. The peer is plain PyTorch: the model as its
formulas, attention as masked products over all pairs, autograd, torch.optim.AdamW in f32; the
norm that gradients are clipped by is summed pairwise (see clip_gradients).
Needs numpy and PyTorch. DIR keeps the run, its report and losses.csv, written anew after
each run. Exit code 1 where a loss differs by more than 1e-3.

--reference runs PyTorch a third time in f64: how far each f32 run is from it says whether
a difference between the two is an error of one of them or the rounding of both.

--amp bf16 (on a GPU) compiles the trainer with --amp=bf16 and trains in PyTorch three times:
in bf16 by torch.autocast, in bf16 with operands of products rounded and nothing else, and in
f32. Curves are compared as means of 20 steps. The trainer's is called indistinguishable
(exit code 0) where its mean distances from autocast's and from the f32 curve are at most twice
the largest of PyTorch's three from each other. Independent roundings of one kind lie about
equally far apart, so that twice leaves room for chance, and is exceeded where the trainer
rounds more coarsely or computes something else.
"""
import argparse
import csv
import glob
import json
import math
import os
import struct
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

CONFIG = {
    "model_type": "transnormer", "torch_dtype": "float32", "vocab_size": 6000,
    "decoder_embed_dim": 256, "decoder_layers": 8, "decoder_attention_heads": 4,
    "hidden_dim": 256, "glu_dim": 704, "linear_act_fun": "silu",
    "norm_type": "simplermsnorm", "linear_use_lrpe_list": [1] + [0] * 7, "bias": False,
    "no_scale_embedding": False, "tie_word_embeddings": False, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "add_bos_token": False, "init_std": 0.02,
}
MASK64 = (1 << 64) - 1
TOLERANCE = 1e-3
SMOOTH = 20  # steps of a mean, where curves in bf16 are compared


# --------------------------------------------------------------------------------------
# Weights
# --------------------------------------------------------------------------------------

def initial_weights():
    random = np.random.RandomState(1)
    c = CONFIG
    width, hidden, glu = c["decoder_embed_dim"], c["hidden_dim"], c["glu_dim"]
    heads = c["decoder_attention_heads"]
    matrix = lambda *shape: (random.standard_normal(shape) * c["init_std"]).astype("<f4")
    weights = {"model.embed_tokens.weight": matrix(c["vocab_size"], width)}
    for layer in range(c["decoder_layers"]):
        prefix = f"model.layers.{layer}."
        weights[prefix + "token_mixer.qkvu_proj.weight"] = matrix(4 * hidden, width)
        if c["linear_use_lrpe_list"][layer]:
            theta = 10000.0 ** (-2.0 / hidden * np.arange(hidden))
            weights[prefix + "token_mixer.lrpe.theta"] = (
                theta.reshape(heads, 1, -1).astype("<f4"))
        weights[prefix + "token_mixer.out_proj.weight"] = matrix(width, hidden)
        weights[prefix + "channel_mixer.l1.weight"] = matrix(glu, width)
        weights[prefix + "channel_mixer.l2.weight"] = matrix(glu, width)
        weights[prefix + "channel_mixer.l3.weight"] = matrix(width, glu)
    weights["lm_head.weight"] = matrix(c["vocab_size"], width)
    return weights


def write_model(directory, weights):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(CONFIG, file, indent=2)
    header, offset = {}, 0
    for name, values in weights.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape),
                        "data_offsets": [offset, offset + values.nbytes]}
        offset += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(os.path.join(directory, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in weights.values():
            file.write(values.tobytes())


# --------------------------------------------------------------------------------------
# The order of the data (docs/TrainingFormats.md, runtime/src/train/Permutation.h)
# --------------------------------------------------------------------------------------

def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK64
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & MASK64
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & MASK64
    return value ^ value >> 31


def permuted(size, key, index):
    half = 1
    while 1 << (2 * half) < size:
        half += 1
    keys = [mix((key + r * 0xD1342543DE82EF95) & MASK64) for r in range(6)]
    low = (1 << half) - 1
    while True:
        left, right = index >> half, index & low
        for k in keys:
            left, right = right, left ^ (mix(right ^ k) & low)
        index = left << half | right
        if index < size:
            return index


def batch_of(tokens, length, rows, seed, number):
    windows = (len(tokens) - 1) // length
    picked = []
    for sample in range(number * rows, (number + 1) * rows):
        epoch, place = divmod(sample, windows)
        key = mix(seed) ^ (epoch * 0x9FB21C651E98DF25 & MASK64)
        window = permuted(windows, key, place)
        picked.append(tokens[window * length:(window + 1) * length + 1])
    return torch.from_numpy(np.stack(picked).astype(np.int64))


# --------------------------------------------------------------------------------------
# The model in PyTorch
# --------------------------------------------------------------------------------------

def norm(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class RoundedProduct(torch.autograd.Function):
    """a @ b of operands in bf16, summed in f32, and so are both gradients."""

    @staticmethod
    def forward(context, a, b):
        a, b = rounded(a), rounded(b)
        context.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(context, gradient):
        a, b = context.saved_tensors
        gradient = rounded(gradient)
        return gradient @ b.transpose(-1, -2), a.transpose(-1, -2) @ gradient


def rounded(x):
    return x.to(torch.bfloat16).to(x.dtype)


class Peer:
    """`rounding`: None, "autocast", or "operands" of products alone."""

    def __init__(self, weights, length, dtype, device, rounding=None):
        self.rounding, self.device = rounding, device
        self.w = {name: torch.nn.Parameter(torch.from_numpy(values.copy()).to(device, dtype))
                  for name, values in weights.items()}
        heads, layers = CONFIG["decoder_attention_heads"], CONFIG["decoder_layers"]
        slopes = torch.tensor([2.0 ** (-8.0 / heads * (h + 1)) for h in range(heads)],
                              dtype=dtype)
        i = torch.arange(length, dtype=dtype)
        distance = i[:, None] - i[None, :]
        self.masks = []
        for layer in range(layers):
            slope = slopes * (1 - layer / (layers - 1) + 1e-5)
            decay = torch.exp(-slope[:, None, None] * distance.clamp(min=0))
            mask = torch.where(distance >= 0, decay, torch.zeros((), dtype=dtype))
            self.masks.append(mask.to(device))
        self.positions = i.to(device)

    def product(self, a, b):
        return RoundedProduct.apply(a, b) if self.rounding == "operands" else a @ b

    def linear(self, x, weight):
        if self.rounding != "operands":
            return F.linear(x, weight)
        return self.product(x.flatten(0, -2), weight.t()).unflatten(0, x.shape[:-1])

    def attention(self, layer, x):
        prefix = f"model.layers.{layer}.token_mixer."
        b, n, _ = x.shape
        e, heads = CONFIG["hidden_dim"], CONFIG["decoder_attention_heads"]
        y = self.linear(norm(x), self.w[prefix + "qkvu_proj.weight"])
        q, k = F.silu(y[..., :e]), F.silu(y[..., e:2 * e])
        v, u = y[..., 2 * e:3 * e], y[..., 3 * e:]
        q, k, v = (t.view(b, n, heads, -1).transpose(1, 2) for t in (q, k, v))
        theta = self.w.get(prefix + "lrpe.theta")
        if theta is not None:
            angle = self.positions[:, None] * theta  # [heads, n, d]
            q, k = (torch.cat([t * angle.cos(), t * angle.sin()], -1) for t in (q, k))
        o = self.product(self.product(q, k.transpose(-1, -2)) * self.masks[layer], v)
        o = norm(o.transpose(1, 2).reshape(b, n, e)) * u
        return self.linear(o, self.w[prefix + "out_proj.weight"])

    def loss(self, ids):
        with torch.autocast(self.device, torch.bfloat16, self.rounding == "autocast"):
            return self.loss_of(ids)

    def loss_of(self, ids):
        c = CONFIG
        x = F.embedding(ids[:, :-1], self.w["model.embed_tokens.weight"],
                        padding_idx=c["pad_token_id"]) * math.sqrt(c["decoder_embed_dim"])
        for layer in range(c["decoder_layers"]):
            prefix = f"model.layers.{layer}.channel_mixer."
            x = x + self.attention(layer, x)
            y = norm(x)
            gate = self.linear(y, self.w[prefix + "l1.weight"])
            x = x + self.linear(gate * self.linear(y, self.w[prefix + "l2.weight"]),
                                self.w[prefix + "l3.weight"])
        logits = self.linear(norm(x), self.w["lm_head.weight"])
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


# --------------------------------------------------------------------------------------
# Both runs
# --------------------------------------------------------------------------------------

def make_trainer(options, model, trainer, weights):
    write_model(model, weights)
    tokens = options.sequences * options.length
    if not options.made:
        subprocess.run([options.tnllmc, model, "--train", f"--train-tokens={tokens}",
                        f"--target={options.target}", f"--amp={options.amp}", "-o", trainer],
                       check=True)


def run_trainer(options, directory, weights):
    model, trainer = os.path.join(directory, "model"), os.path.join(directory, "trainer")
    shard, run = os.path.join(directory, "train.bin"), os.path.join(directory, "run")
    make_trainer(options, model, trainer, weights)
    if options.only_make:
        sys.exit(0)
    tokens = options.sequences * options.length
    subprocess.run([trainer, "tokenize", *options.texts, "-o", shard], check=True)
    began = time.time()
    subprocess.run([trainer, "train", "--weights", model, "--data", shard, "--out", run,
                    "--seq", str(options.length), "--batch-tokens", str(tokens), "--steps",
                    str(options.steps), "--lr", str(options.lr), "--seed", "1", "--threads",
                    str(options.threads), "--save-every", str(options.steps), "--log-every",
                    "50"], check=True)
    seconds = time.time() - began
    with open(os.path.join(run, "metrics.jsonl")) as file:
        lines = [json.loads(line) for line in file]
    steps = [line for line in lines if "lr" in line and "loss" in line]
    return np.fromfile(shard, dtype="<u2", offset=64), steps, seconds


def clip_gradients(parameters, largest):
    """torch.nn.utils.clip_grad_norm_ with an accurate norm.

    PyTorch's vector_norm adds f32 squares one after the other on a CPU: the norm of the
    head's 1.5 million gradients comes out 2.9e-4 too small, that of all 3.7e-5, and with it
    every step a little too large. sum() adds pairwise.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.sqrt(sum(g.pow(2).sum() for g in gradients))
    scale = torch.clamp(largest / (norm + 1e-6), max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)


def run_torch(options, weights, tokens, steps, dtype, rounding=None):
    torch.set_num_threads(options.threads)
    device = "cpu" if options.target == "cpu" else "cuda"
    name = str(dtype)[len("torch."):] + (f", bf16 by {rounding}" if rounding else "")
    peer = Peer(weights, options.length, dtype, device, rounding)
    groups = [{"params": [p for p in peer.w.values() if (p.dim() == 2) == decays],
               "weight_decay": 0.1 if decays else 0.0} for decays in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=0, betas=(0.9, 0.95), eps=1e-8)
    losses, began = [], time.time()
    for number, step in enumerate(steps):
        ids = batch_of(tokens, options.length, options.sequences, 1, number).to(device)
        optimizer.zero_grad()
        loss = peer.loss(ids)
        loss.backward()
        clip_gradients(list(peer.w.values()), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = step["lr"]
        optimizer.step()
        losses.append(loss.item())
        if number % 50 == 0:
            print(f"PyTorch {name} step {number + 1}: {losses[-1]:.4f}", flush=True)
    print(f"PyTorch {name}: {time.time() - began:.0f} s", flush=True)
    return losses, time.time() - began


def describe(name, losses, others):
    differences = np.abs(np.array(losses) - np.array(others))
    print(f"{name}: largest difference {differences.max():.2e} at step "
          f"{differences.argmax() + 1}, mean {differences.mean():.2e}, "
          f"{np.sum(differences > TOLERANCE)} of {len(losses)} above {TOLERANCE:g}")
    return differences.max()


def distance(some, others):
    """Mean difference of two curves of means of SMOOTH steps."""
    window = np.ones(SMOOTH) / SMOOTH
    difference = np.convolve(np.array(some) - np.array(others), window, mode="valid")
    return np.abs(difference).mean()


def compare_bf16(columns):
    """Whether the trainer's curve is one of PyTorch's in bf16; says the distances."""
    ours, autocast = columns["trainer"], columns["torch_autocast"]
    operands, exact = columns["torch_operands"], columns["torch"]
    for name in ("trainer", "torch_operands", "torch"):
        describe(f"{name} and torch_autocast", columns[name], autocast)
    describe("trainer and torch_operands", ours, operands)
    between, away = distance(ours, autocast), distance(ours, exact)
    apart = [distance(autocast, operands), distance(autocast, exact), distance(operands, exact)]
    print(f"means of {SMOOTH} steps: the trainer is {between:.2e} from autocast and {away:.2e} "
          f"from f32; autocast and operands are {apart[0]:.2e} apart, {apart[1]:.2e} and "
          f"{apart[2]:.2e} from f32")
    same = max(between, away) <= 2 * max(apart)
    print("indistinguishable in bf16" if same else "NOT indistinguishable in bf16")
    return same


def write_losses(path, columns):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", *columns])
        for number, row in enumerate(zip(*columns.values())):
            writer.writerow([number + 1, *row])


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tnllmc")
    parser.add_argument("dir")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--length", type=int, default=128)
    # With 1e-3 the difference grew from 3e-5 in 10 steps to 1e-3 in 100 and 5e-3 in 150.
    parser.add_argument("--lr", type=float, default=3e-4)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--reference", action="store_true", help="run PyTorch in f64 too")
    parser.add_argument("--amp", choices=["off", "bf16"], default="off")
    parser.add_argument("--target", default="cpu")
    parser.add_argument("--only-make", action="store_true")
    parser.add_argument("--made", action="store_true")
    parser.add_argument("--texts", nargs="+",
                        default=sorted(glob.glob(os.path.join(here, "../../docs/*.md"))))
    options = parser.parse_args()

    os.makedirs(options.dir, exist_ok=True)
    weights = initial_weights()
    count = sum(values.size for values in weights.values())
    tokens, steps, ours_seconds = run_trainer(options, options.dir, weights)
    if len(steps) != options.steps:
        raise SystemExit(f"{len(steps)} steps in metrics.jsonl, expected {options.steps}")
    ours = [step["loss"] for step in steps]
    columns, path = {"trainer": ours}, os.path.join(options.dir, "losses.csv")

    def train(column, dtype, rounding=None):
        columns[column], seconds = run_torch(options, weights, tokens, steps, dtype, rounding)
        write_losses(path, columns)  # what was computed stays where the rest fails
        return seconds

    torch_seconds = train("torch", torch.float32)
    theirs = columns["torch"]
    if options.amp == "bf16":
        torch_seconds = train("torch_autocast", torch.float32, "autocast")
        train("torch_operands", torch.float32, "operands")
    if options.reference:
        train("torch_f64", torch.float64)
    where = (f"{options.threads} threads" if options.target == "cpu"
             else torch.cuda.get_device_name())
    print(f"{count:,} parameters, {options.steps} steps of {options.sequences} x "
          f"{options.length} tokens, {where}")
    print(f"first loss {ours[0]:.6f} and {theirs[0]:.6f}, last {ours[-1]:.6f} and "
          f"{theirs[-1]:.6f}")
    largest = describe("trainer and PyTorch f32", ours, theirs)
    if options.reference:
        describe("trainer and PyTorch f64", ours, columns["torch_f64"])
        describe("PyTorch f32 and PyTorch f64", theirs, columns["torch_f64"])
    same = compare_bf16(columns) if options.amp == "bf16" else largest <= TOLERANCE
    print(f"{ours_seconds:.0f} s here, checkpoints included; {torch_seconds:.0f} s in PyTorch "
          f"{torch.__version__}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
