"""Writes a random f32 checkpoint: config.json and model.safetensors of a spec."""
import json
import os

import numpy as np


def tensor_shapes(spec):
    d, e, g = spec["decoder_embed_dim"], spec["hidden_dim"], spec["glu_dim"]
    heads, vocab = spec["decoder_attention_heads"], spec["vocab_size"]
    shapes = {"model.embed_tokens.weight": (vocab, d)}
    lrpe = spec.get("linear_use_lrpe_list") or [0] * spec["decoder_layers"]
    for l in range(spec["decoder_layers"]):
        at = f"model.layers.{l}."
        shapes[at + "token_mixer.qkvu_proj.weight"] = (4 * e, d)
        shapes[at + "token_mixer.out_proj.weight"] = (d, e)
        if lrpe[l]:
            shapes[at + "token_mixer.lrpe.theta"] = (heads, 1, e // heads)
        shapes[at + "channel_mixer.l1.weight"] = (g, d)
        shapes[at + "channel_mixer.l2.weight"] = (g, d)
        shapes[at + "channel_mixer.l3.weight"] = (d, g)
    shapes["lm_head.weight"] = (vocab, d)
    return shapes


def values(name, shape, generator, scale):
    if name.endswith("theta"):
        count = int(np.prod(shape))
        flat = 10000.0 ** (-2 * np.arange(count) / count)
        return flat.astype(np.float32).reshape(shape)
    return generator.standard_normal(shape, dtype=np.float32) * np.float32(scale)


def write_checkpoint(folder, spec, seed=1, scale=0.02):
    """Makes FOLDER whole or not at all; returns the path of its model.safetensors."""
    path = os.path.join(folder, "model.safetensors")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(spec, file, indent=1)
    if os.path.exists(path):
        return path
    header, at = {}, 0
    for name, shape in tensor_shapes(spec).items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    generator = np.random.default_rng(seed)
    with open(path + ".part", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, entry in header.items():
            values(name, entry["shape"], generator, scale).tofile(file)
    os.rename(path + ".part", path)
    return path


def read_tensors(path):
    """Name to array, of a file with F32 and I64 tensors."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    kinds = {"F32": np.float32, "I64": np.int64}
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*e["data_offsets"])], kinds[e["dtype"]]).reshape(e["shape"])
        for name, e in header.items()
    }


def write_tensors(path, tensors):
    """f32 arrays by name."""
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            np.ascontiguousarray(array, dtype=np.float32).tofile(file)


def write_ids(path, ids):
    """input_ids [1, N] as a safetensors file, for `EXE run`."""
    data = np.asarray(ids, dtype=np.int64).reshape(1, -1)
    header = {"input_ids": {"dtype": "I64", "shape": list(data.shape), "data_offsets": [0, data.nbytes]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data.tobytes())
