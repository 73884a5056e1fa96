"""Writes inputs of `grad` that are wrong, one each: make_ids.py DIR."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io  # noqa: E402

INPUTS = {
    "other": {"input_ids": np.zeros((1, 4), "<i4")},
    "type": {"train_ids": np.zeros((1, 4), "<f4")},
    "rank": {"train_ids": np.zeros(4, "<i4")},
    "short": {"train_ids": np.zeros((2, 1), "<i4")},
    "none": {"train_ids": np.zeros((0, 4), "<i4")},
    "id": {"train_ids": np.array([[1, 2], [3, 100000]], "<i4")},
    "negative": {"train_ids": np.array([[1, -1]], "<i8")},
}

for name, tensors in INPUTS.items():
    safetensors_io.save(os.path.join(sys.argv[1], name + ".safetensors"), tensors)
