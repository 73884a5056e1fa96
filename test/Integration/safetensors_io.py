"""Reads and writes safetensors files with numpy alone, for the tests."""
import json
import struct

import numpy as np

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}


def _read(path):
    """The entries of the header, and the data."""
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    return header, content[8 + length:]


def dtypes(path):
    """Returns {name: what the file calls the tensor's type}."""
    return {name: entry["dtype"] for name, entry in _read(path)[0].items()}


def load(path):
    """Returns {name: array}; BF16 comes back as f32."""
    header, data = _read(path)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        if entry["dtype"] == "BF16":
            bits = np.frombuffer(data[begin:end], "<u2").astype("<u4") << 16
            values = bits.view("<f4")
        else:
            values = np.frombuffer(data[begin:end], _DTYPES[entry["dtype"]])
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def to_bf16(values):
    """f32 rounded to bf16, ties to even, as its upper 16 bits."""
    bits = np.asarray(values).astype("<f4").view("<u4").astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def save(path, tensors):
    """Writes {name: array} in the arrays' own types; 16-bit unsigned is BF16."""
    names = {np.dtype(text): name for name, text in _DTYPES.items()}
    names[np.dtype("<u2")] = "BF16"
    header, blobs, offset = {}, [], 0
    for name, values in tensors.items():
        blob = np.ascontiguousarray(values).tobytes()
        header[name] = {"dtype": names[np.asarray(values).dtype],
                        "shape": list(np.shape(values)),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)  # so that the data are aligned
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
