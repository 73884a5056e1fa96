"""Usage: compare_tensors.py ACTUAL EXPECTED TOLERANCE NAME...

Each named tensor of two safetensors files: the largest difference relative to the
largest magnitude expected."""
import os
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
import safetensors_io

actual, expected = map(safetensors_io.load, sys.argv[1:3])
for name in sys.argv[4:]:
    assert actual[name].shape == expected[name].shape, name
    error = np.abs(actual[name] - expected[name]).max() / np.abs(expected[name]).max()
    assert error <= float(sys.argv[3]), f"{name} differs by {error}"
print("the tensors agree")
