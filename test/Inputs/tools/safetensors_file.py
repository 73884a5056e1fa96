"""Reads and writes safetensors files with numpy alone, for the tests.

bf16 tensors are read as f32; `dtypes` tells what the file holds.
"""

import json
import struct

import numpy as np

_TYPES = {"F32": np.float32, "F64": np.float64, "F16": np.float16, "I64": np.int64,
          "I32": np.int32}
_NAMES = {np.dtype(value): key for key, value in _TYPES.items()}


def _header(raw):
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:8 + size])
    header.pop("__metadata__", None)
    return header, raw[8 + size:]


def load(path):
    with open(path, "rb") as file:
        header, data = _header(file.read())
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            words = np.frombuffer(data[begin:end], np.uint16).astype(np.uint32) << 16
            values = words.view(np.float32)
        else:
            values = np.frombuffer(data[begin:end], _TYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def dtypes(path):
    with open(path, "rb") as file:
        header, _ = _header(file.read())
    return {name: entry["dtype"] for name, entry in header.items()}


def save(path, tensors):
    header, offset, blobs = {}, 0, []
    for name, tensor in tensors.items():
        array = np.asarray(tensor)
        blob = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            file.write(blob)
