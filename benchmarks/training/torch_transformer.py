#!/usr/bin/env python3
"""Times training steps of a softmax Transformer in PyTorch on a GPU: what a model of the same
size costs where its attention is somebody's best.

torch_transformer.py SPEC [--sequences 8] [--length 2048] [--steps 20] [--width W --layers L
                     --heads H --glu G --vocabulary V] [--graph] [--eager] [--json]
                     [--device cuda]

The model is LLaMA's: RMSNorm with a weight, RoPE, SwiGLU, no biases; SPEC is one of a
Transformer, as examples/ablations/transformer.yaml, and options are other sizes. Attention is
scaled_dot_product_attention, which takes FlashAttention; blocks and loss are compiled, products
take bf16 operands by autocast, AdamW is fused, gradients are clipped. --graph captures the
whole step as a CUDA graph. Random weights and ids. Needs PyTorch. Prints what torch_step.py does.
--device cpu is there to try it where no GPU is.
"""
import argparse
import json

import torch
import torch.nn.functional as F
import torch_step


class Block(torch.nn.Module):
    def __init__(self, width, heads, glu):
        super().__init__()
        matrix = lambda *shape: torch.nn.Parameter(0.02 * torch.randn(*shape))
        self.heads = heads
        self.norm1, self.norm2 = (torch.nn.Parameter(torch.ones(width)) for _ in range(2))
        self.qkv, self.out = matrix(3 * width, width), matrix(width, width)
        self.l1, self.l2, self.l3 = matrix(glu, width), matrix(glu, width), matrix(width, glu)

    def rope(self, x, cos, sin):
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2).to(x.dtype)

    def forward(self, x, cos, sin):
        b, n, width = x.shape
        y = F.linear(F.rms_norm(x, (width,), self.norm1, 1e-6), self.qkv)
        q, k, v = (t.transpose(1, 2) for t in y.view(b, n, 3, self.heads, -1).unbind(2))
        o = F.scaled_dot_product_attention(self.rope(q, cos, sin), self.rope(k, cos, sin), v,
                                           is_causal=True)
        x = x + F.linear(o.transpose(1, 2).reshape(b, n, width), self.out)
        y = F.rms_norm(x, (width,), self.norm2, 1e-6)
        return x + F.linear(F.silu(F.linear(y, self.l1)) * F.linear(y, self.l2), self.l3)


class Transformer(torch.nn.Module):
    def __init__(self, options):
        super().__init__()
        matrix = lambda *shape: torch.nn.Parameter(0.02 * torch.randn(*shape))
        self.embedding = matrix(options.vocabulary, options.width)
        self.head = matrix(options.vocabulary, options.width)
        self.blocks = torch.nn.ModuleList(
            Block(options.width, options.heads, options.glu) for _ in range(options.layers))
        self.norm = torch.nn.Parameter(torch.ones(options.width))
        half = options.width // options.heads // 2
        theta = 10000.0 ** (-torch.arange(half) / half)
        angle = torch.arange(options.length)[:, None] * theta
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        self.loss = self.loss_of
        if not options.eager:
            for block in self.blocks:  # one compilation for all
                block.compile()
            self.loss = torch.compile(self.loss_of)

    def loss_of(self, x, head, labels):
        x = F.rms_norm(x, x.shape[-1:], self.norm, 1e-6).flatten(0, 1)
        return F.cross_entropy(F.linear(x, head), labels.flatten())

    def forward(self, ids, labels):
        x = F.embedding(ids, self.embedding)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.loss(x, self.head, labels)


def measure(options):
    torch.manual_seed(0)
    energy = torch_step.Energy()
    idle = energy.used()
    with torch.device(options.device):
        model = Transformer(options)
        ids = torch.randint(0, options.vocabulary, (options.sequences, options.length + 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True,
                                  capturable=options.graph)
    step = torch_step.make_step(model, optimizer, ids, options)
    torch_step.timed(step, torch_step.WARM, options.device)
    times, loss = torch_step.timed(step, options.steps, options.device)
    tokens = options.sequences * options.length
    seconds = sorted(times)[options.steps // 2]
    allocated = torch.cuda.max_memory_allocated() if options.device == "cuda" else 0
    return {"program": f"PyTorch {torch.__version__}, softmax Transformer, bf16 autocast"
                       + ("" if options.eager else ", compile")
                       + (", graph" if options.graph else ""),
            "parameters": sum(p.numel() for p in model.parameters()), "tokens": tokens,
            "length": options.length, "step_ms": seconds * 1e3, "tokens_per_second": tokens / seconds,
            "gigabytes": allocated / 1e9,
            "used_gigabytes": (energy.used() - idle) / 1e9, "loss": loss}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec")
    for name, value in (("sequences", 8), ("length", 2048), ("steps", 20), ("width", None),
                        ("layers", None), ("heads", None), ("glu", None), ("vocabulary", None)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    for name in ("graph", "eager", "json"):
        parser.add_argument("--" + name, action="store_true")
    options = parser.parse_args()
    spec = torch_step.read_spec(options.spec)
    for name, key in (("width", "decoder_embed_dim"), ("layers", "decoder_layers"),
                      ("heads", "decoder_attention_heads"), ("glu", "glu_dim"),
                      ("vocabulary", "vocab_size")):
        if getattr(options, name) is None:
            setattr(options, name, int(spec[key]))
    options.amp, options.compile = True, False  # the blocks are compiled
    row = measure(options)
    print(json.dumps(row) if options.json else
          f"{row['program']}: {row['parameters']:,} parameters, {row['step_ms']:.2f} ms a step of "
          f"{row['tokens']:,} tokens, {row['tokens_per_second']:,.0f} tok/s, "
          f"{row['gigabytes']:.2f} GB")


if __name__ == "__main__":
    main()
