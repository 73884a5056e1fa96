#!/usr/bin/python3
"""Writes examples/tiny: a byte-level model with seeded random weights.

Usage: make-example-model.py [DIRECTORY]     (needs numpy: Debian's, hence its Python)

The output is reproducible byte for byte. Matrices are stored in bf16, as
published checkpoints are; LRPE's angles in f32, because they are multiplied by
the position.
"""
import json
import os
import struct
import sys

import numpy as np

CONFIG = {
    "architectures": ["TransnormerForCausalLM"],
    "model_type": "transnormer",
    "torch_dtype": "bfloat16",
    "vocab_size": 256,
    "decoder_embed_dim": 128,
    "decoder_layers": 4,
    "decoder_attention_heads": 4,
    "hidden_dim": 128,
    "glu_dim": 224,
    "linear_act_fun": "silu",
    "norm_type": "simplermsnorm",
    "linear_use_lrpe_list": [1, 0, 0, 0],
    "bias": False,
    "no_scale_embedding": False,
    "tie_word_embeddings": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "add_bos_token": False,
    "init_std": 0.02,
}


def to_bf16(values):
    """Rounds f32 to bf16, ties to even, as its upper 16 bits."""
    bits = values.astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def make_tensors(config):
    """Yields (name, dtype, shape, bytes) in the order of the layers."""
    random = np.random.RandomState(20230714)
    width, hidden = config["decoder_embed_dim"], config["hidden_dim"]
    heads, glu = config["decoder_attention_heads"], config["glu_dim"]

    def matrix(name, rows, columns):
        values = random.standard_normal((rows, columns)) * config["init_std"]
        return name, "BF16", [rows, columns], to_bf16(values).tobytes()

    yield matrix("model.embed_tokens.weight", config["vocab_size"], width)
    for layer in range(config["decoder_layers"]):
        prefix = f"model.layers.{layer}."
        yield matrix(prefix + "token_mixer.qkvu_proj.weight", 4 * hidden, width)
        if config["linear_use_lrpe_list"][layer]:
            theta = 10000.0 ** (-2.0 / width * np.arange(width))
            shape = [heads, 1, width // heads]
            data = theta.astype("<f4").tobytes()
            yield prefix + "token_mixer.lrpe.theta", "F32", shape, data
        yield matrix(prefix + "token_mixer.out_proj.weight", width, hidden)
        yield matrix(prefix + "channel_mixer.l1.weight", glu, width)
        yield matrix(prefix + "channel_mixer.l2.weight", glu, width)
        yield matrix(prefix + "channel_mixer.l3.weight", width, glu)
    yield matrix("lm_head.weight", config["vocab_size"], width)


def write_safetensors(path, tensors):
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)  # so that the data are aligned
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(here, "..", "examples", "tiny")
    directory = sys.argv[1] if len(sys.argv) > 1 else default
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(CONFIG, file, indent=2)
        file.write("\n")
    write_safetensors(os.path.join(directory, "model.safetensors"),
                      make_tensors(CONFIG))


if __name__ == "__main__":
    main()
