"""Models of ablations and baselines in numpy, f64, written from the papers' formulas.

Knows nothing of the compiler: attention is the sum over pairs of positions with a matrix
of all of them, gradients are left to differences of the loss. A spec here has every key
that matters, with nothing short: `attention` and `lrpe` are lists of one for each layer.
"""
import math

import numpy as np

EPSILON = {"simplermsnorm": 1e-6, "rmsnorm": 1e-6, "layernorm": 1e-5}


def erf(x):
    return np.vectorize(math.erf)(x)


ACTIVATIONS = {
    "none": lambda x: x,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "relu": lambda x: np.maximum(x, 0),
    "1+elu": lambda x: 1 + np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
}


def slopes_of(spec, layer):
    """arXiv 2307.14995, 3.1.1, for a number of heads that is a power of two."""
    heads, layers = spec["heads"], spec["layers"]
    if spec["decay"] == "none":
        return np.zeros(heads)
    base = 2.0 ** (-8.0 / heads * np.arange(1, heads + 1))
    return base * (1 - layer / (layers - 1) + 1e-5)


def shapes_of(spec):
    """{name in a checkpoint: shape} of every parameter."""
    width, glu, heads = spec["width"], spec["glu"], spec["heads"]
    shapes = {"model.embed_tokens.weight": (spec["words"], width)}
    if spec["absolute"]:
        shapes["model.embed_positions.weight"] = (spec["positions"], width)

    def norm(name):
        if spec["norm"] != "simplermsnorm":
            shapes[name + ".weight"] = (width,)
        if spec["norm"] == "layernorm":
            shapes[name + ".bias"] = (width,)

    for layer in range(spec["layers"]):
        at = f"model.layers.{layer}."
        norm(at + "token_norm")
        if spec["gate"]:
            shapes[at + "token_mixer.qkvu_proj.weight"] = (4 * width, width)
        else:
            shapes[at + "token_mixer.qkv_proj.weight"] = (3 * width, width)
        if spec["lrpe"][layer]:
            shapes[at + "token_mixer.lrpe.theta"] = (heads, 1, width // heads)
        if spec["attention"][layer] == "linear":
            norm(at + "token_mixer.norm")
        shapes[at + "token_mixer.out_proj.weight"] = (width, width)
        norm(at + "channel_norm")
        shapes[at + "channel_mixer.l1.weight"] = (glu, width)
        shapes[at + "channel_mixer.l2.weight"] = (glu, width)
        shapes[at + "channel_mixer.l3.weight"] = (width, glu)
    norm("model.final_norm")
    shapes["lm_head.weight"] = (spec["words"], width)
    return shapes


class Model:
    def __init__(self, spec, tensors):
        self.spec = spec
        self.tensors = {name: np.asarray(t, np.float64) for name, t in tensors.items()}

    def norm(self, name, x):
        kind = self.spec["norm"]
        if kind == "layernorm":
            x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPSILON[kind])
        if kind != "simplermsnorm":
            x = x * self.tensors[name + ".weight"]
        if kind == "layernorm":
            x = x + self.tensors[name + ".bias"]
        return x

    def with_positions(self, x, layer):
        """x [N, H, d] as attention sees it."""
        positions = np.arange(len(x))[:, None, None]
        width = x.shape[-1]
        if self.spec["rope"]:
            half = width // 2
            angle = positions * self.spec["rope"] ** (-2 * np.arange(half) / width)
            # Pairs as complex numbers, turned.
            turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * angle)
            x = np.concatenate([turned.real, turned.imag], -1)
        if self.spec["lrpe"][layer]:
            theta = self.tensors[f"model.layers.{layer}.token_mixer.lrpe.theta"]
            angle = positions * theta[:, 0, :]
            x = np.concatenate([x * np.cos(angle), x * np.sin(angle)], -1)
        return x

    def attention(self, q, k, v, layer):
        """q, k [N, H, Dk], v [N, H, Dv] -> [N, H, Dv]."""
        kind, n = self.spec["attention"][layer], len(q)
        t, s = np.arange(n)[:, None], np.arange(n)[None, :]
        products = np.einsum("thd,shd->hts", q, k)
        if kind == "linear":
            slopes = slopes_of(self.spec, layer)[:, None, None]
            weights = products * np.where(s <= t, np.exp(-slopes * np.maximum(t - s, 0)), 0)
        else:
            seen = s <= t
            if kind == "diag":
                seen = seen & (s // self.spec["block"] == t // self.spec["block"])
            weights = np.where(seen, np.exp(products / math.sqrt(v.shape[-1])), 0)
            weights = weights / weights.sum(-1, keepdims=True)
        return np.einsum("hts,shd->thd", weights, v)

    def mix_tokens(self, x, layer):
        spec, at = self.spec, f"model.layers.{layer}.token_mixer."
        n, width, heads = len(x), spec["width"], spec["heads"]
        is_linear = spec["attention"][layer] == "linear"
        projection = self.tensors[at + ("qkvu_proj" if spec["gate"] else "qkv_proj") + ".weight"]
        q, k, v, *u = np.split(x @ projection.T, 4 if spec["gate"] else 3, axis=1)
        if is_linear:
            q, k = ACTIVATIONS[spec["activation"]](q), ACTIVATIONS[spec["activation"]](k)
        q, k, v = (each.reshape(n, heads, width // heads) for each in (q, k, v))
        q, k = self.with_positions(q, layer), self.with_positions(k, layer)
        o = self.attention(q, k, v, layer).reshape(n, width)
        if is_linear:
            o = self.norm(at + "norm", o)
        if u:
            o = o * u[0]
        return o @ self.tensors[at + "out_proj.weight"].T

    def mix_channels(self, x, layer):
        at = f"model.layers.{layer}.channel_mixer."
        l1, l2, l3 = (self.tensors[f"{at}l{i}.weight"] for i in (1, 2, 3))
        return (ACTIVATIONS[self.spec["glu_activation"]](x @ l1.T) * (x @ l2.T)) @ l3.T

    def logits(self, ids):
        """ids [N] -> [N, V]."""
        x = self.tensors["model.embed_tokens.weight"][ids] * self.spec["scale"]
        if self.spec["absolute"]:
            x = x + self.tensors["model.embed_positions.weight"][:len(ids)]
        for layer in range(self.spec["layers"]):
            at = f"model.layers.{layer}."
            x = x + self.mix_tokens(self.norm(at + "token_norm", x), layer)
            x = x + self.mix_channels(self.norm(at + "channel_norm", x), layer)
        return self.norm("model.final_norm", x) @ self.tensors["lm_head.weight"].T

    def loss(self, ids):
        """ids [B, N]: the mean cross entropy of each token after the first."""
        losses = []
        for row in ids:
            z = self.logits(row[:-1])
            z = z - z.max(-1, keepdims=True)
            log_sum = np.log(np.exp(z).sum(-1))
            losses.append(log_sum - z[np.arange(len(row) - 1), row[1:]])
        return float(np.mean(losses))
