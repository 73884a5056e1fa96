#!/usr/bin/env python3
"""Times training steps of a spec in PyTorch on a GPU, beside a trainer's own step line.

torch_step.py SPEC [--sequences 8] [--length 2048] [--steps 8] [--amp] [--compile]

The model is written as its formulas (srms norm, SiLU, LRPE where the spec has it), attention in
chunks of 256 positions with the state carried from chunk to chunk, cross entropy on all
logits, AdamW fused; f32, or with --amp autocast to bf16. Random weights and ids. Needs
PyTorch. Prints the median step after the first three, and the largest memory.
"""
import argparse
import math
import time

import torch
import torch.nn.functional as F

CHUNK = 256


def read_spec(path):
    spec = {}
    with open(path, encoding="utf-8") as file:
        text = file.read().replace(",\n", ",")
    for line in text.splitlines():
        key, colon, value = line.split("#")[0].partition(":")
        if colon:
            spec[key.strip()] = value.strip()
    return spec


def norm(x):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Model(torch.nn.Module):
    def __init__(self, spec):
        super().__init__()
        size = lambda key: int(spec[key])
        self.width, self.heads = size("decoder_embed_dim"), size("decoder_attention_heads")
        self.hidden, self.layers, glu = size("hidden_dim"), size("decoder_layers"), size("glu_dim")
        self.lrpe = [int(x) for x in spec["linear_use_lrpe_list"].strip("[]").split(",")]
        matrix = lambda *shape: torch.nn.Parameter(0.02 * torch.randn(*shape))
        self.embedding = matrix(size("vocab_size"), self.width)
        self.head = matrix(size("vocab_size"), self.width)
        shapes = {"qkvu": (4 * self.hidden, self.width), "out": (self.width, self.hidden),
                  "l1": (glu, self.width), "l2": (glu, self.width), "l3": (self.width, glu)}
        self.blocks = torch.nn.ParameterList()
        self.names = list(shapes)
        for _ in range(self.layers):
            self.blocks.extend(matrix(*shape) for shape in shapes.values())
        theta = 10000.0 ** (-2.0 / self.hidden * torch.arange(self.hidden))
        self.theta = torch.nn.Parameter(theta.reshape(self.heads, 1, -1))

    def attention(self, q, k, v, slopes):
        """q, k, v [B, H, N, d]; chunk after chunk."""
        b, h, n, _ = q.shape
        count = n // CHUNK
        q, k, v = (t.view(b, h, count, CHUNK, -1) for t in (q, k, v))
        i = torch.arange(CHUNK, device=q.device, dtype=torch.float32)
        distance = i[:, None] - i[None, :]
        mask = torch.where(distance >= 0,
                           torch.exp(-slopes[:, None, None] * distance.clamp(min=0)), 0.0)
        inner = (q @ k.transpose(-1, -2) * mask[None, :, None].to(q.dtype)) @ v
        before = torch.exp(-slopes[:, None] * (i + 1))[None, :, :, None]
        after = torch.exp(-slopes[:, None] * (CHUNK - 1 - i))[None, :, None, :, None]
        states = ((k * after.to(k.dtype)).transpose(-1, -2) @ v).float()
        decay = torch.exp(-slopes * CHUNK)[None, :, None, None]
        state, outs = torch.zeros_like(states[:, :, 0]), []
        for c in range(count):
            outs.append((q[:, :, c] @ state.to(q.dtype)) * before.to(q.dtype))
            state = decay * state + states[:, :, c]
        return (inner + torch.stack(outs, 2)).view(b, h, n, -1)

    def block(self, x, layer):
        w = dict(zip(self.names, self.blocks[layer * 5:layer * 5 + 5]))
        b, n, _ = x.shape
        y = F.linear(norm(x), w["qkvu"])
        qk, v, u = y.split([2 * self.hidden, self.hidden, self.hidden], -1)
        q, k = F.silu(qk).split(self.hidden, -1)
        q, k, v = (t.view(b, n, self.heads, -1).transpose(1, 2) for t in (q, k, v))
        if self.lrpe[layer]:
            angle = torch.arange(n, device=x.device)[:, None] * self.theta
            q, k = (torch.cat([t * angle.cos(), t * angle.sin()], -1).to(v.dtype) for t in (q, k))
        base = 2.0 ** (-8.0 / self.heads * torch.arange(1, self.heads + 1, device=x.device))
        o = self.attention(q, k, v, base * (1 - layer / (self.layers - 1) + 1e-5))
        x = x + F.linear(norm(o.transpose(1, 2).reshape(b, n, -1)).to(u.dtype) * u, w["out"])
        y = norm(x)
        return x + F.linear(F.linear(y, w["l1"]) * F.linear(y, w["l2"]), w["l3"])

    def forward(self, ids, labels):
        x = F.embedding(ids, self.embedding) * math.sqrt(self.width)
        for layer in range(self.layers):
            x = self.block(x, layer)
        return F.cross_entropy(F.linear(norm(x), self.head).flatten(0, 1), labels.flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--amp", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = Model(read_spec(options.spec))
        ids = torch.randint(0, model.embedding.shape[0], (options.sequences, options.length + 1))
    run = torch.compile(model) if options.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True)
    times = []
    for _ in range(options.steps):
        torch.cuda.synchronize()
        began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=options.amp):
            loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        times.append(time.perf_counter() - began)
    step = sorted(times[3:])[len(times[3:]) // 2]
    tokens = options.sequences * options.length
    print(f"PyTorch {torch.__version__}, {'bf16 autocast' if options.amp else 'f32'}"
          f"{', compiled' if options.compile else ''}: {sum(p.numel() for p in model.parameters()):,} "
          f"parameters, {step * 1e3:.1f} ms a step of {tokens:,} tokens, {tokens / step:,.0f} tok/s, "
          f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
