"""Compares the loss and its gradients with those of the published PyTorch code.

check_gradients.py CASE DIR [--recompute MODE]

CASE holds config.json, model.safetensors and gradients.safetensors: train_ids [B, N],
train_loss [1] and, for each parameter, every so-many-th element of its gradient
(sample.<name>, from element 0 at distance stride.<name>) and its largest magnitude
(max.<name>). tnllmc and tnllm-opt are found on PATH. Exit code 1 where a difference is
above 1e-5 of a gradient's largest magnitude: the f32 of the reference.
"""
import argparse
import os
import re
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import safetensors_io  # noqa: E402

TOLERANCE = 1e-5


def parameters_in_order(module):
    """The parameters whose gradients the joint function returns, in its order."""
    signature = re.search(r"func\.func @loss_gradient\(.*", module).group(0)
    found = re.findall(r'tn\.gradient_of = @(?:"([^"]+)"|([\w.]+))', signature)
    return [quoted or plain for quoted, plain in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case")
    parser.add_argument("dir")
    parser.add_argument("--recompute", default="none")
    options = parser.parse_args()

    golden = safetensors_io.load(os.path.join(options.case, "gradients.safetensors"))
    ids = golden["train_ids"].astype("<i4")
    inputs, outputs, program = (os.path.join(options.dir, name) for name in
                                ("in.safetensors", "out.safetensors", "loss.mlir"))
    safetensors_io.save(inputs, {"arg0": ids[:, :-1], "arg1": ids[:, 1:],
                                 "arg2": np.zeros(len(ids), "<i8"),
                                 "arg3": np.ones(1, "<f4")})
    loss = subprocess.run(["tnllmc", options.case, "--train", "--emit=tn",
                           f"--recompute={options.recompute}"],
                          check=True, capture_output=True, text=True).stdout
    with open(program, "w") as file:
        file.write(loss)
    subprocess.run(
        ["tnllm-opt", program, "-o", os.devnull,
         f"--tn-interpret=function=loss_gradient inputs={inputs} "
         f"outputs={outputs} parameters={options.case} print=1"],
        check=True, stdout=subprocess.DEVNULL)
    computed = safetensors_io.load(outputs)

    error = abs(computed["result0"][0] / golden["train_loss"][0] - 1)
    wrong = [f"loss differs by {error:.1e}"] if not error < TOLERANCE else []
    names = parameters_in_order(loss)
    expected = {key[len("sample."):] for key in golden if key.startswith("sample.")}
    if set(names) != expected:
        wrong.append(f"gradients of {sorted(set(names) ^ expected)} are missing or too many")
    for index, name in enumerate(names):
        values = computed[f"result{index + 1}"].ravel()
        largest = golden["max." + name][0]
        sample = values[::golden["stride." + name][0]]
        difference = max(np.abs(sample - golden["sample." + name]).max(),
                         abs(np.abs(values).max() - largest))
        if not difference < TOLERANCE * largest:
            wrong.append(f"{name}: differs by {difference / largest:.1e} of its maximum")
    print("\n".join(wrong) if wrong else f"{len(names)} gradients agree")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
