"""Programs of quantised weights, and what is expected of them.

The weights are rounded here a second time, by other means than the loader's: e4m3 by a
table of all its numbers, integers by numpy's rounding. A CPU program in f32 of the rounded
weights says what a GPU program that rounds them itself has to compute.
"""

import json
import os
import subprocess
import tempfile

import numpy as np

import safetensors_io
from program import Program

DTYPES = ("int8", "fp8", "int4")
LARGEST = {"int8": 127, "fp8": 448, "int4": 7}
GROUP = 128  # columns with one scale of int4
# How far logits may be from those of the weights as they were, norm of the difference over
# norm: a step of the weights is 1/127 of a row's largest, at most 1/8 of a number (fp8), 1/7 of
# a group's largest (int4). Not what a trained model loses; logits of another model are at 1.4.
LOOSE = {"int8": 1e-1, "fp8": 3e-1, "int4": 1.0}
CONFIG = {
    "architectures": ["TransnormerForCausalLM"], "model_type": "transnormer",
    "vocab_size": 304, "decoder_embed_dim": 256, "decoder_layers": 2,
    "decoder_attention_heads": 4, "hidden_dim": 256, "glu_dim": 384,
    "linear_use_lrpe_list": [1, 0], "linear_act_fun": "silu",
    "norm_type": "simplermsnorm", "bias": False, "tie_word_embeddings": False,
    "no_scale_embedding": False, "add_bos_token": False, "init_std": 0.1,
    "pad_token_id": None, "bos_token_id": None, "eos_token_id": None,
}
SHAPE = (2, 200)


def numbers_of_e4m3():
    """The numbers from 0 up, whose places are their bits."""
    bits = np.arange(0x7F)
    exponent, mantissa = bits >> 3, bits & 7
    return np.where(exponent == 0, np.ldexp(mantissa.astype(np.float64), -9),
                    np.ldexp(8.0 + mantissa, exponent - 10)).astype(np.float32)


def round_to_e4m3(values):
    numbers = numbers_of_e4m3()
    middles = (numbers[1:] + numbers[:-1]) / 2  # exact
    size = np.abs(values)
    place = np.searchsorted(middles, size)
    # A middle goes to the even one of its neighbours.
    tied = (place < len(middles)) & (middles[np.minimum(place, len(middles) - 1)] == size)
    place += (tied & (place % 2 == 1)).astype(place.dtype)
    return np.copysign(numbers[place], values)


def rounded(weight, dtype):
    """The weights that a program of `dtype` computes with, in f32."""
    rows = weight.reshape(-1, GROUP) if dtype == "int4" else weight
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scale = np.where(largest == 0, np.float32(1),
                     np.maximum(largest / np.float32(LARGEST[dtype]),
                                np.finfo(np.float32).tiny))
    quotient = (rows / scale).astype(np.float32)
    number = round_to_e4m3(quotient) if dtype == "fp8" else np.rint(quotient)
    return (number * scale).astype(np.float32).reshape(weight.shape)


def is_quantised(name):
    return name == "lm_head.weight" or "_proj.weight" in name or ".channel_mixer." in name


def make_weights():
    random = np.random.RandomState(7)
    width, inner, glu = (CONFIG[key] for key in ("decoder_embed_dim", "hidden_dim", "glu_dim"))
    weights = {}

    def add(name, *shape):
        # Rows of different sizes, so that a scale in the wrong place is seen.
        rows = random.choice([0.05, 0.1, 0.2], size=(shape[0], 1))
        weights[name] = (random.standard_normal(shape) * rows).astype(np.float32)

    add("model.embed_tokens.weight", CONFIG["vocab_size"], width)
    add("lm_head.weight", CONFIG["vocab_size"], width)
    for layer in range(CONFIG["decoder_layers"]):
        prefix = f"model.layers.{layer}."
        add(prefix + "token_mixer.qkvu_proj.weight", 4 * inner, width)
        add(prefix + "token_mixer.out_proj.weight", width, inner)
        add(prefix + "channel_mixer.l1.weight", glu, width)
        add(prefix + "channel_mixer.l2.weight", glu, width)
        add(prefix + "channel_mixer.l3.weight", width, glu)
    heads = CONFIG["decoder_attention_heads"]
    head = inner // heads
    weights["model.layers.0.token_mixer.lrpe.theta"] = np.tile(
        10000.0 ** (-2 / head * np.arange(head)), (heads, 1)).reshape(
            heads, 1, head).astype(np.float32)
    return weights


def save_checkpoint(folder, weights):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(CONFIG, file)
    safetensors_io.save(os.path.join(folder, "model.safetensors"), weights)
    return folder


def build(tnllmc, folder, target, expect):
    """narrow_DTYPE-bf16 (products are of bf16), narrow_DTYPE-cpu and what is expected."""
    with tempfile.TemporaryDirectory() as work:
        weights = make_weights()
        exact = save_checkpoint(os.path.join(work, "exact"), weights)

        def compile_as(checkpoint, output, *options):
            subprocess.run([tnllmc, checkpoint, "-o", output, "--quiet", "--weights=embed",
                            *options], check=True)

        def logits_of(program):
            ids = np.random.RandomState(0).randint(0, 256, SHAPE).astype(np.int64)
            return Program(program, work).run(ids)["logits"]

        compile_as(exact, os.path.join(work, "cpu"), "--march=x86-64-v3")
        before = logits_of(os.path.join(work, "cpu"))
        for dtype in DTYPES:
            stem = os.path.join(folder, f"narrow_{dtype}")
            checkpoint = save_checkpoint(
                os.path.join(work, dtype),
                {name: rounded(tensor, dtype) if is_quantised(name) else tensor
                 for name, tensor in weights.items()})
            compile_as(exact, f"{stem}-bf16", f"--target={target}", f"--dtype={dtype}")
            compile_as(checkpoint, f"{stem}-cpu", "--march=x86-64-v3")
            golden = expect(f"{stem}-cpu", work)
            safetensors_io.save(f"{stem}.safetensors", golden)
            error = np.linalg.norm(golden["logits"] - before) / np.linalg.norm(before)
            print(f"narrow_{dtype}: logits within {error:.1e} of those in f32, "
                  f"{LOOSE[dtype]:.0e} allowed")
            if not error <= LOOSE[dtype]:
                raise SystemExit(1)
