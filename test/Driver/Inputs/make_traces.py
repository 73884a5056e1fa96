"""Writes the traces that diff.test compares: a, b, part, other and nothing.safetensors."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "Integration"))
import safetensors_io

f32 = np.float32
a = {
    "z": np.ones((2, 2), f32),
    "a": np.array([[1, 2, 3], [1000, 5, 6]], np.float64),
    "left": np.ones(1, f32),
    "heads": np.array([[[1, 2], [3, 4]]], f32),
    "nan": np.array([np.nan, np.inf, 1], f32),
    "zero": np.zeros(1, f32),
    "size": np.ones(4, f32),
    "int": np.array(5, np.int64),
}
b = dict(a)
del b["left"]
b["a"] = a["a"] + np.array([[0, 0, 0], [.001, 0, 0]])
b["heads"] = np.array([[1, 3], [3, 2]], f32)  # the same elements in another shape
b["nan"] = np.array([np.nan, np.inf, np.nan], f32)
b["zero"] = np.array([1e-20], f32)
b["size"] = np.ones(5, f32)
b["int"] = np.array(4, np.int32)
b["right"] = b["right2"] = np.ones(1, f32)
safetensors_io.save("a.safetensors", a)
safetensors_io.save("b.safetensors", b)
safetensors_io.save("part.safetensors", {"z": a["z"]})
safetensors_io.save("other.safetensors", {"o": a["z"]})
safetensors_io.save("nothing.safetensors", {
    "fine": np.ones(2, f32),
    "lost": np.full((2, 2), np.nan, f32),
    "scalar": np.array(np.nan, f32),
    "empty": np.ones(0, f32),
})
