"""What bf16 and int8 weights cost in perplexity, on real text, with a model that has learned.

  benchmarks/cpu/run --perplexity [--steps N] [--tnllmc PATH]     this alone
  benchmarks/cpu/run --only perplexity                            as a row of the table

Trains a small byte-level TransNormerLLM in PyTorch on the King James Bible (public
domain, Debian's bible-kjv-text), writes it as a checkpoint, compiles it in each dtype
and scores the book's last part, which training never saw, with `EXE score`.
"""
import argparse
import json
import math
import os
import subprocess
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import machine
from checkpoint import tensor_shapes, write_tensors

SPEC = {
    "vocab_size": 256, "decoder_embed_dim": 256, "decoder_layers": 4,
    "decoder_attention_heads": 4, "hidden_dim": 256, "glu_dim": 512,
    "linear_use_lrpe_list": [1, 0, 0, 0],
}
LENGTH, BATCH, HELD_OUT = 256, 16, 65536


def book():
    """The text as bytes, formatted by Debian's `bible` program."""
    text = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], capture_output=True, check=True).stdout
    return text


def slopes(heads, layer, layers):
    slope = torch.tensor([2.0 ** (-8.0 / heads * (h + 1)) for h in range(heads)])
    return slope * (1 - layer / max(layers - 1, 1) + 1e-5)


class Model(nn.Module):
    """The same formulas with attention written as a masked product: for gradients."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        make = lambda name, shape: nn.Parameter(torch.randn(shape) * 0.02)
        self.weights = nn.ParameterDict(
            {n.replace(".", "/"): make(n, s) for n, s in tensor_shapes(spec).items()})
        for name, weight in self.weights.items():
            if name.endswith("theta"):
                i = torch.arange(weight.numel())
                weight.data = (10000.0 ** (-2 * i / weight.numel())).reshape(weight.shape)
        i = torch.arange(LENGTH)
        self.register_buffer("distance", (i[:, None] - i[None, :]).float())

    def forward(self, ids):
        spec, w = self.spec, lambda n: self.weights[n.replace(".", "/")]
        norm = lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
        heads, layers = spec["decoder_attention_heads"], spec["decoder_layers"]
        b, n = ids.shape
        x = w("model.embed_tokens.weight")[ids] * math.sqrt(spec["decoder_embed_dim"])
        for l in range(layers):
            at = f"model.layers.{l}."
            q, k, v, u = (norm(x) @ w(at + "token_mixer.qkvu_proj.weight").T).chunk(4, -1)
            split = lambda t: t.view(b, n, heads, -1).transpose(1, 2)
            q, k, v = split(F.silu(q)), split(F.silu(k)), split(v)
            if spec["linear_use_lrpe_list"][l]:
                angle = w(at + "token_mixer.lrpe.theta") * torch.arange(n)[None, :, None]
                q, k = (torch.cat([t * angle.cos(), t * angle.sin()], -1) for t in (q, k))
            slope = slopes(heads, l, layers)[:, None, None]
            mask = torch.where(self.distance >= 0, torch.exp(-slope * self.distance.clamp(min=0)), 0.0)
            o = ((q @ k.transpose(-1, -2)) * mask) @ v
            o = norm(o.transpose(1, 2).reshape(b, n, -1)) * u
            x = x + o @ w(at + "token_mixer.out_proj.weight").T
            y = norm(x)
            glu = (y @ w(at + "channel_mixer.l1.weight").T) * (y @ w(at + "channel_mixer.l2.weight").T)
            x = x + glu @ w(at + "channel_mixer.l3.weight").T
        return norm(x) @ w("lm_head.weight").T


def train(text, steps):
    torch.manual_seed(1)
    model = Model(SPEC)
    data = torch.from_numpy(np.frombuffer(text[:-HELD_OUT], np.uint8).astype(np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    begin = time.time()
    for step in range(steps):
        at = torch.randint(len(data) - LENGTH - 1, (BATCH,))
        batch = torch.stack([data[i : i + LENGTH + 1] for i in at])
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            left = (time.time() - begin) / (step + 1) * (steps - step - 1)
            print(f"step {step}  loss {loss.item():.4f}  {left:.0f} s left", flush=True)
    return {n.replace("/", "."): p.detach().numpy() for n, p in model.weights.items()}


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/cpu/run --perplexity", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600, help="training steps (default 600)")
    parser.add_argument("--tnllmc", default="build/release/bin/tnllmc")
    parser.add_argument("--output", default="build/bench-work/perplexity.json")
    options = parser.parse_args()
    work = "build/bench-work/perplexity"
    os.makedirs(work, exist_ok=True)
    text = book()
    tensors = train(text, options.steps)
    with open(f"{work}/config.json", "w") as file:
        json.dump(SPEC, file)
    write_tensors(f"{work}/model.safetensors", tensors)
    with open(f"{work}/held-out.txt", "wb") as file:
        file.write(text[-HELD_OUT:])
    result = {"machine": machine.describe(), "steps": options.steps, "spec": SPEC,
              "held_out_bytes": HELD_OUT, "perplexity": {}}
    for dtype in ("f32", "bf16", "int8"):
        exe = f"{work}/model-{dtype}"
        subprocess.run([options.tnllmc, work, "-o", exe, f"--dtype={dtype}", "--quiet"], check=True)
        out = subprocess.run([exe, "score", f"{work}/held-out.txt", "--json", "--summary"],
                             capture_output=True, text=True, check=True).stdout
        result["perplexity"][dtype] = json.loads(out)["perplexity"]
    base = result["perplexity"]["f32"]
    for dtype, value in result["perplexity"].items():
        print(f"{dtype:5s} perplexity {value:.5f}  {100 * (value / base - 1):+.3f}%")
    os.makedirs(os.path.dirname(options.output), exist_ok=True)
    with open(options.output, "w") as file:
        json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
