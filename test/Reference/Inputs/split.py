"""The steps of files.test that make inputs and compare outputs: a prefill of
examples/tiny, whole and in two parts."""
import os
import sys

import numpy as np

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "Integration"))
import safetensors_io

LAYERS, CUT = 4, 4


def prepare():
    ids = np.random.RandomState(7).randint(0, 256, (3, 7))
    safetensors_io.save("whole.safetensors", {"input_ids": ids})
    safetensors_io.save("first.safetensors", {"input_ids": ids[:, :CUT]})


def resume():
    ids = safetensors_io.load("whole.safetensors")["input_ids"]
    first = safetensors_io.load("first-out.safetensors")
    inputs = {"input_ids": ids[:, CUT:], "position": np.int64(CUT)}
    for layer in range(LAYERS):
        inputs[f"state.{layer}"] = first[f"result{1 + layer}"]
    safetensors_io.save("second.safetensors", inputs)


def compare():
    whole, first, second = (safetensors_io.load(f"{name}-out.safetensors")
                            for name in ("whole", "first", "second"))
    for name, expected in whole.items():
        actual = second[name]
        if name.startswith("hidden") or name == "result0":
            actual = np.concatenate([first[name], actual], axis=1)
        error = np.abs(actual - expected).max() / np.abs(expected).max()
        assert error < 1e-12, f"{name} differs by {error}"
    print("the split agrees")


{"prepare": prepare, "continue": resume, "compare": compare}[sys.argv[1]]()
