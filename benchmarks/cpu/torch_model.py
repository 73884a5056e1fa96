"""TransNormerLLM in PyTorch: the peer that the compiled executables are timed against.

Written to be fast, not only right: qkvu and l1|l2 are one matrix each, prefill uses
chunked lightning attention as batched matmuls, decode updates the constant-size state
in place, decay tables are computed once. The state is f32 with every dtype.
harness/verify.py checks that it computes what the executables compute.
"""
import json
import math
import mmap
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CHUNK = 128  # positions of one attention block in prefill: the width of a head


@dataclass
class Config:
    """The keys of a spec that a SRMSNorm, silu, transnormer-decay model needs."""

    vocab_size: int = 64000
    decoder_embed_dim: int = 1024
    decoder_layers: int = 24
    decoder_attention_heads: int = 8
    hidden_dim: int = 1024
    glu_dim: int = 2816
    linear_use_lrpe_list: list = field(default_factory=list)

    @staticmethod
    def from_spec(spec):
        """From the manifest's "model" object; refuses what this file does not compute."""
        fixed = {"linear_act_fun": "silu", "norm_type": "simplermsnorm", "bias": False}
        for key, value in fixed.items():
            if spec.get(key, value) != value:
                raise ValueError(f"{key} is {spec[key]!r}, the PyTorch peer knows {value!r} only")
        return Config(**{k: spec[k] for k in Config.__dataclass_fields__ if k in spec})

    def lrpe(self, layer):
        return bool(self.linear_use_lrpe_list) and bool(self.linear_use_lrpe_list[layer])


def head_slopes(heads):
    def power_of_two(n):
        return [2.0 ** (-8.0 / n * (h + 1)) for h in range(n)]

    below = 2 ** int(math.floor(math.log2(heads)))
    if below == heads:
        return power_of_two(heads)
    return power_of_two(below) + power_of_two(2 * below)[0::2][: heads - below]


def srms_norm(x):
    return F.rms_norm(x, (x.shape[-1],), eps=1e-6)


class ByteWeight(nn.Module):
    """W as int8 with a scale a row, for products with inputs in bf16."""

    def __init__(self, weight):
        super().__init__()
        values, scale = in_bytes(weight)
        self.register_buffer("values", values)
        self.register_buffer("scale", scale.bfloat16())

    def forward(self, x):
        y = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), self.values, self.scale)
        return y.view(*x.shape[:-1], -1)


def in_bytes(weight):
    """int8 values and the f32 scale of each row, the largest of a row being 127."""
    weight = weight.float()
    scale = weight.abs().amax(1).clamp(min=1e-30) / 127
    return (weight / scale[:, None]).round_().to(torch.int8), scale


def pack_bytes(weight):
    """W for torch.ops.quantized.linear_dynamic, which rounds its inputs to 8 bits too; by
    oneDNN or fbgemm, as PyTorch chooses on x86."""
    torch.backends.quantized.engine = "x86"
    values, scale = in_bytes(weight)
    zeros = torch.zeros(len(scale), dtype=torch.long)
    rows = torch._make_per_channel_quantized_tensor(values, scale.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(rows, None)


class Packed(nn.Module):
    """W in a library's own layout, which neither Dynamo nor a buffer can hold: a compiled
    graph calls it through an operation that knows it by its place in `kept`."""

    kept = []
    library = torch.library.Library("tnllm_peer", "DEF")

    def __init__(self, weight, rows):
        super().__init__()
        self.place, self.rows, self.call = len(Packed.kept), rows, packed_call(weight)
        Packed.kept.append(self.call)

    def forward(self, x):
        if torch.compiler.is_compiling():
            return torch.ops.tnllm_peer.packed_linear(x, self.place, self.rows)
        return self.call(x)


def packed_call(weight):
    if isinstance(weight, torch.ScriptObject):
        return lambda x: torch.ops.quantized.linear_dynamic(x, weight)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


Packed.library.define("packed_linear(Tensor x, int place, int rows) -> Tensor")
Packed.library.impl("packed_linear", lambda x, place, rows: Packed.kept[place](x), "CPU")
Packed.library.impl("packed_linear", lambda x, place, rows: x.new_empty(*x.shape[:-1], rows), "Meta")


def pack_floats(weight):
    """W for oneDNN, which is not what a plain f32 linear calls: that is MKL."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, None)


def linear(x, weight):
    """x W^T, in the way that pack_weights() or quantize() has chosen for W."""
    return weight(x) if isinstance(weight, nn.Module) else F.linear(x, weight)


class Block(nn.Module):
    LINEARS = ("qkvu", "out", "l12", "l3")

    def __init__(self, config, layer, dtype):
        super().__init__()
        d, e, g = config.decoder_embed_dim, config.hidden_dim, config.glu_dim
        self.heads, self.width = config.decoder_attention_heads, e
        weight = lambda name, *shape: self.register_buffer(name, torch.empty(*shape, dtype=dtype))
        weight("qkvu", 4 * e, d)
        weight("out", d, e)
        weight("l12", 2 * g, d)
        weight("l3", d, g)
        theta = torch.empty(self.heads, e // self.heads) if config.lrpe(layer) else None
        self.register_buffer("theta", theta)

        last = max(config.decoder_layers - 1, 1)
        slope = torch.tensor(head_slopes(self.heads), dtype=torch.float64)
        slope = (slope * (1 - layer / last + 1e-5))[:, None, None]
        i = torch.arange(CHUNK, dtype=torch.float64)
        distance = i[:, None] - i[None, :]
        table = lambda name, t, to: self.register_buffer(name, t.to(to))
        table("decay", torch.exp(-slope), torch.float32)
        table("chunk_decay", torch.exp(-slope * CHUNK), torch.float32)
        table("mask", torch.where(distance >= 0, torch.exp(-slope * distance.clamp(min=0)), 0.0), dtype)
        table("from_state", torch.exp(-slope * (i[:, None] + 1)), dtype)
        table("to_state", torch.exp(-slope * (CHUNK - 1 - i[:, None])), dtype)

    def project(self, x, position):
        """q, k, v as [B, n, H, width] and u as [B, n, E]."""
        b, n, _ = x.shape
        e = self.width
        y = linear(srms_norm(x), self.qkvu)
        q, k = F.silu(y[..., : 2 * e]).view(b, n, 2, self.heads, -1).unbind(2)
        v, u = y[..., 2 * e : 3 * e].reshape(b, n, self.heads, -1), y[..., 3 * e :]
        if self.theta is not None:
            t = position + torch.arange(n, dtype=torch.float32, device=x.device)
            angle = t[:, None, None] * self.theta
            cos, sin = angle.cos().to(q.dtype), angle.sin().to(q.dtype)
            q, k = torch.cat([q * cos, q * sin], -1), torch.cat([k * cos, k * sin], -1)
        return q, k, v, u

    def gate(self, x, o, u):
        """x with attention's output added, and what the last matrix multiplies."""
        x = x + linear(srms_norm(o) * u, self.out)
        a, b = linear(srms_norm(x), self.l12).chunk(2, -1)
        return x, a * b

    def finish(self, x, o, u):
        x, product = self.gate(x, o, u)
        return x + linear(product, self.l3)

    def prefill(self, x, position, state):
        """x [B, n, D], n a multiple of CHUNK; the state is updated in place."""
        b, n, _ = x.shape
        q, k, v, u = self.project(x, position)
        blocks = lambda t: t.view(b, n // CHUNK, CHUNK, self.heads, -1).transpose(2, 3)
        q, k, v = blocks(q), blocks(k), blocks(v)
        added = (k * self.to_state).transpose(-1, -2) @ v
        before, s = [], state
        for c in range(n // CHUNK):
            before.append(s)
            s = s * self.chunk_decay + added[:, c]
        carried = torch.stack(before, 1).to(x.dtype)
        o = ((q @ k.transpose(-1, -2)) * self.mask) @ v + (q * self.from_state) @ carried
        state.copy_(s)
        return self.finish(x, o.transpose(2, 3).reshape(b, n, -1), u)

    def recur(self, x, position, state):
        """x [B, 1, D]: the recurrence, its state updated in place; its output, and u."""
        b = x.shape[0]
        q, k, v, u = self.project(x, position)
        q, k, v = (t.view(b, self.heads, -1).float() for t in (q, k, v))
        state.mul_(self.decay).addcmul_(k[..., :, None], v[..., None, :])
        o = (q[..., None, :] @ state).to(x.dtype)
        return o.view(b, 1, -1), u

    def step(self, x, position, state):
        return self.finish(x, *self.recur(x, position, state))


class TransNormer(nn.Module):
    def __init__(self, config, dtype=torch.float32):
        super().__init__()
        self.config, self.dtype = config, dtype
        shape = (config.vocab_size, config.decoder_embed_dim)
        self.register_buffer("embed", torch.empty(*shape, dtype=dtype))
        self.register_buffer("head", torch.empty(*shape, dtype=dtype))
        self.blocks = nn.ModuleList(Block(config, l, dtype) for l in range(config.decoder_layers))

    def new_states(self, batch):
        c = self.config
        width = c.hidden_dim // c.decoder_attention_heads
        return [
            torch.zeros(batch, c.decoder_attention_heads, width * (2 if c.lrpe(l) else 1), width)
            for l in range(c.decoder_layers)
        ]

    def embedded(self, ids):
        return F.embedding(ids, self.embed) * math.sqrt(self.config.decoder_embed_dim)

    def prefill(self, ids, position, states):
        """ids [B, n], n a multiple of CHUNK; hidden after the final norm [B, n, D]."""
        x = self.embedded(ids)
        for block, state in zip(self.blocks, states):
            x = block.prefill(x, position, state)
        return srms_norm(x)

    def step(self, ids, position, states):
        """ids [B, 1]; logits [B, V] in f32."""
        x = self.embedded(ids)
        for block, state in zip(self.blocks, states):
            x = block.step(x, position, state)
        return linear(srms_norm(x[:, 0]), self.head).float()

    def matrices(self):
        yield from (self.embed, self.head)
        for block in self.blocks:
            yield from (getattr(block, name) for name in Block.LINEARS)

    def pack_weights(self):
        """Every matrix but the embedding goes into oneDNN's own layout, once.

        What a plain f32 linear calls is MKL, which is slow on AMD's processors, and the
        inductor's frozen graphs call MKL in f32 as well (with packed weights; in bf16 they
        call oneDNN). This is the only way to oneDNN's products in f32.
        """
        return self.replace_weights(lambda w: Packed(pack_floats(w), len(w)))

    def quantize(self, inputs_too):
        """Every matrix but the embedding becomes int8 with a scale a row: inputs_too, the
        model being f32, for products of bytes; else, the model being bf16, for bf16 inputs."""
        packed = lambda w: Packed(pack_bytes(w), len(w))
        return self.replace_weights(packed if inputs_too else ByteWeight)

    def replace_weights(self, make):
        for module, names in [(self, ("head",)), *((b, Block.LINEARS) for b in self.blocks)]:
            for name in names:
                made = make(getattr(module, name))
                delattr(module, name)  # a buffer may only become another tensor
                setattr(module, name, made)
        return self

    def randomize(self, seed=1):
        """Normal weights of deviation 0.02, theta by its formula.

        The numbers repeat after 4 million: drawing more takes long and changes no timing.
        """
        generator = torch.Generator().manual_seed(seed)
        pool = torch.randn(1 << 22, generator=generator).mul_(0.02)
        for matrix in self.matrices():
            for part in matrix.view(-1).split(pool.numel()):
                part.copy_(pool[: part.numel()])
        for block in self.blocks:
            if block.theta is not None:
                i = torch.arange(block.theta.numel(), dtype=torch.float64)
                block.theta.copy_((10000.0 ** (-2 * i / i.numel())).view(block.theta.shape))
        return self

    def load(self, path):
        """From a safetensors file with the published names, f32 or f16."""
        tensors = read_safetensors(path)
        self.embed.copy_(tensors["model.embed_tokens.weight"])
        self.head.copy_(tensors["lm_head.weight"])
        for l, block in enumerate(self.blocks):
            at = lambda name: tensors[f"model.layers.{l}.{name}"]
            block.qkvu.copy_(at("token_mixer.qkvu_proj.weight"))
            block.out.copy_(at("token_mixer.out_proj.weight"))
            g = self.config.glu_dim
            block.l12[:g].copy_(at("channel_mixer.l1.weight"))
            block.l12[g:].copy_(at("channel_mixer.l2.weight"))
            block.l3.copy_(at("channel_mixer.l3.weight"))
            if block.theta is not None:
                block.theta.copy_(at("token_mixer.lrpe.theta").view(block.theta.shape))
        return self


def read_safetensors(path):
    """Name to tensor; the data are views of the mapped file."""
    kinds = {"F32": np.float32, "F16": np.float16, "I64": np.int64}
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = np.dtype(kinds[entry["dtype"]])
        values = np.frombuffer(data, kind, (end - begin) // kind.itemsize, 8 + size + begin)
        tensors[name] = torch.from_numpy(values).reshape(entry["shape"])
    return tensors
