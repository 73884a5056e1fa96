#!/usr/bin/env python3
"""Times training steps of a spec in PyTorch on a GPU, in the form that is fastest there.

torch_step.py SPEC [--sequences 8] [--length 2048] [--steps 20] [--amp] [--compile]
              [--fla] [--graph] [--fused-loss] [--json] [--wait] [--device cuda]

The model is written as its formulas (srms norm, SiLU, LRPE where the spec has it, cross
entropy on all logits) with AdamW fused and gradients clipped; f32, or with --amp autocast to
bf16. Attention goes in chunks of 256 positions with the state carried from chunk to chunk or,
with --fla, by the kernels of flash-linear-attention, as operations that torch.compile sees
through. --graph captures the whole step as a CUDA graph, --fused-loss takes
flash-linear-attention's head and cross entropy in chunks. Random weights and ids. Needs
PyTorch. Prints the median step after the first few, the largest memory that PyTorch had
allocated, and the energy of a token as NVML counts it. With --wait it says {"prepared": seconds}
after those first steps and waits for a line of standard input, so that others can compile beside
it and be timed one after the other. --device cpu is there to try all this where no GPU is.
"""
import argparse
import ctypes
import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../gpu/harness"))
CHUNK = 256
WARM = 5  # steps that are not counted


def read_spec(path):
    spec = {}
    with open(path, encoding="utf-8") as file:
        text = file.read().replace(",\n", ",")
    for line in text.splitlines():
        key, colon, value = line.split("#")[0].partition(":")
        if colon:
            spec[key.strip()] = value.strip()
    return spec


class Energy:
    """Joules of the first GPU since some time, or None where NVML does not count them, and
    the bytes of its memory that are in use."""

    def __init__(self):
        try:
            self.nvml = ctypes.CDLL("libnvidia-ml.so.1")
            self.handle = ctypes.c_void_p()
            failed = self.nvml.nvmlInit_v2() or self.nvml.nvmlDeviceGetHandleByIndex_v2(
                0, ctypes.byref(self.handle))
            self.nvml = None if failed else self.nvml
        except OSError:
            self.nvml = None

    def __call__(self):
        millijoules = ctypes.c_ulonglong()
        if self.nvml is None or self.nvml.nvmlDeviceGetTotalEnergyConsumption(
                self.handle, ctypes.byref(millijoules)):
            return None
        return millijoules.value / 1e3

    def used(self):
        sizes = (ctypes.c_ulonglong * 3)()  # all, free, used
        if self.nvml is None or self.nvml.nvmlDeviceGetMemoryInfo(self.handle, sizes):
            return 0
        return sizes[2]


def norm(x):
    x = x.float()
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def fla_attention():
    """Attention [B, N, H, d] of slopes by flash-linear-attention, opaque to the compiler."""
    from fla.ops.simple_gla.chunk import chunk_simple_gla_bwd, chunk_simple_gla_fwd
    import fla_choices
    fla_choices.shorten()
    per_log2 = 1 / math.log(2)

    @torch.library.custom_op("peer::gla", mutates_args=())
    def forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor,
                slopes: torch.Tensor) -> torch.Tensor:
        out, _ = chunk_simple_gla_fwd(q=q, k=k, v=v, g_gamma=-slopes * per_log2, scale=1.0)
        return out.to(q.dtype).contiguous()

    @torch.library.custom_op("peer::gla_backward", mutates_args=())
    def backward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, slopes: torch.Tensor,
                 dout: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        dq, dk, dv, _, _ = chunk_simple_gla_bwd(
            q=q, k=k, v=v, g=None, g_gamma=-slopes * per_log2, initial_state=None,
            do=dout.contiguous(), dht=None, scale=1.0)
        return tuple(g.to(t.dtype).contiguous() for g, t in ((dq, q), (dk, k), (dv, v)))

    forward.register_fake(lambda q, k, v, slopes: torch.empty_like(v).contiguous())
    backward.register_fake(lambda q, k, v, slopes, dout: tuple(
        torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (q, k, v)))
    forward.register_autograd(
        lambda ctx, dout: (*backward(*ctx.saved_tensors, dout), None),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs))
    return lambda q, k, v, slopes: forward(q.contiguous(), k.contiguous(), v.contiguous(),
                                           slopes)


def chunked_attention(q, k, v, slopes):
    """q, k, v [B, N, H, d]; chunk after chunk."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    b, h, n, _ = q.shape
    count = n // CHUNK
    q, k, v = (t.reshape(b, h, count, CHUNK, -1) for t in (q, k, v))
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
    return (inner + torch.stack(outs, 2)).reshape(b, h, n, -1).transpose(1, 2)


class Model(torch.nn.Module):
    def __init__(self, spec, attention, fused_loss):
        super().__init__()
        size = lambda key: int(spec[key])
        self.attention, self.fused_loss = attention, fused_loss
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
        self.theta = torch.nn.Parameter(theta.reshape(self.heads, -1))
        base = 2.0 ** (-8.0 / self.heads * torch.arange(1, self.heads + 1))
        for layer in range(self.layers):
            self.register_buffer(f"slopes{layer}",
                                 base * (1 - layer / (self.layers - 1) + 1e-5))

    def block(self, x, layer):
        w = dict(zip(self.names, self.blocks[layer * 5:layer * 5 + 5]))
        b, n, _ = x.shape
        y = F.linear(norm(x), w["qkvu"])
        qk, v, u = y.split([2 * self.hidden, self.hidden, self.hidden], -1)
        q, k = F.silu(qk).split(self.hidden, -1)
        q, k, v = (t.view(b, n, self.heads, -1) for t in (q, k, v))
        if self.lrpe[layer]:
            angle = torch.arange(n, device=x.device)[:, None, None] * self.theta
            q, k = (torch.cat([t * angle.cos(), t * angle.sin()], -1).to(v.dtype) for t in (q, k))
        o = self.attention(q, k, v, getattr(self, f"slopes{layer}"))
        x = x + F.linear(norm(o.reshape(b, n, -1)).to(u.dtype) * u, w["out"])
        y = norm(x)
        return x + F.linear(F.linear(y, w["l1"]) * F.linear(y, w["l2"]), w["l3"])

    def forward(self, ids, labels):
        x = F.embedding(ids, self.embedding) * math.sqrt(self.width)
        for layer in range(self.layers):
            x = self.block(x, layer)
        x = norm(x).flatten(0, 1)
        if self.fused_loss:
            return self.fused_loss(x.to(torch.bfloat16), labels.flatten(),
                                   self.head.to(torch.bfloat16))
        return F.cross_entropy(F.linear(x, self.head), labels.flatten())


def make_step(model, optimizer, ids, options):
    """A function that does a step and gives the loss, on the device."""
    run = torch.compile(model) if options.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(options.device, torch.bfloat16, enabled=options.amp):
            loss = run(ids[:, :-1], ids[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    if not options.graph:
        return step
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    optimizer.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with torch.cuda.graph(graph):
        captured = step()

    def replay():
        graph.replay()
        return captured

    return replay


def timed(step, count, device, before=lambda: None):
    """Seconds of each step, and the last one's loss."""
    times = []
    for _ in range(count):
        if device == "cuda":
            torch.cuda.synchronize()
        before()
        began = time.perf_counter()
        loss = step().item()
        times.append(time.perf_counter() - began)
    return times, loss


def wait_for_a_line(began):
    print(json.dumps({"prepared": time.perf_counter() - began}), flush=True)
    sys.stdin.readline()


def measure(options):
    began = time.perf_counter()
    torch.manual_seed(0)
    energy = Energy()
    idle = energy.used()
    attention = fla_attention() if options.fla else chunked_attention
    fused_loss = None
    if options.fused_loss:
        from fla.modules.fused_linear_cross_entropy import fused_linear_cross_entropy_loss
        fused_loss = torch.compiler.disable(
            lambda x, labels, head: fused_linear_cross_entropy_loss(x, labels, head))
    with torch.device(options.device):
        model = Model(read_spec(options.spec), attention, fused_loss)
        ids = torch.randint(0, model.embedding.shape[0], (options.sequences, options.length + 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=True,
                                  capturable=options.graph)
    step = make_step(model, optimizer, ids, options)
    timed(step, WARM, options.device)
    prepared = time.perf_counter() - began
    if options.wait:
        wait_for_a_line(began)
    joules, most = [], []

    def count():
        joules.append(energy())
        most.append(energy.used())

    times, loss = timed(step, options.steps, options.device, count)
    count()
    tokens = options.sequences * options.length
    seconds = sorted(times)[options.steps // 2]
    form = [name for name in ("compile", "fla", "graph", "fused_loss") if getattr(options, name)]
    has_gpu = options.device == "cuda"
    return {
        "program": f"PyTorch {torch.__version__}, " + ("bf16 autocast" if options.amp else "f32")
                   + "".join(", " + name.replace("_", " ") for name in form),
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": tokens, "step_ms": seconds * 1e3, "tokens_per_second": tokens / seconds,
        "gigabytes": torch.cuda.max_memory_allocated() / 1e9 if has_gpu else 0,
        # Of this process alone: with --wait there are others.
        "used_gigabytes": None if options.wait else (max(most) - idle) / 1e9,
        "joules_per_token": None if joules[-1] is None else
                            (joules[-1] - joules[0]) / (options.steps * tokens),
        "preparation_seconds": prepared, "loss": loss}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec")
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    for name in ("amp", "compile", "fla", "graph", "fused-loss", "json", "wait"):
        parser.add_argument("--" + name, action="store_true")
    options = parser.parse_args()
    row = measure(options)
    if options.json:
        print(json.dumps(row), flush=True)
        return
    energy = row["joules_per_token"]
    print(f"{row['program']}: {row['parameters']:,} parameters, {row['step_ms']:.1f} ms a step of "
          f"{row['tokens']:,} tokens, {row['tokens_per_second']:,.0f} tok/s, "
          f"{row['gigabytes']:.1f} GB" + ("" if energy is None else f", {energy * 1e3:.2f} mJ a token"))


if __name__ == "__main__":
    main()
