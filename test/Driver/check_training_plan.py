"""What is planned for a training step, by what it recomputes and by the layers.

check_training_plan.py MODEL

tnllmc is found on PATH. MODEL has a config.json; layers are added to a copy of it.
"""
import json
import os
import re
import subprocess
import sys
import tempfile


def compile_step(model, *options):
    result = subprocess.run(["tnllmc", model, "--train", "--random-weights=1", "--emit=tnrt",
                             *options], check=True, capture_output=True, text=True)
    return result.stdout


def arena(text):
    return int(re.search(r"tnrt.arena_bytes = (\d+)", text).group(1))


def calls(text):
    body = re.search(r"func.func @loss_gradient.*?\n  }", text, re.DOTALL).group(0)
    return len(re.findall(r"call @", body))


def main():
    model = sys.argv[1]
    with open(os.path.join(model, "config.json")) as file:
        config = json.load(file)
    with tempfile.TemporaryDirectory() as directory:
        def with_layers(layers):
            config["decoder_layers"] = layers
            config["linear_use_lrpe_list"] = [1] + [0] * (layers - 1)
            path = os.path.join(directory, "config.json")
            with open(path, "w") as file:
                json.dump(config, file)
            return path

        path = with_layers(8)
        none, selective, full = (arena(compile_step(path, "--recompute=" + mode))
                                 for mode in ("none", "selective", "full"))
        if full < selective < none:
            print("full takes less than selective, selective less than none")
        else:
            print(f"planned: full {full}, selective {selective}, none {none}")
        eight = calls(compile_step(path))
        four = calls(compile_step(with_layers(4)))
        if eight == four:
            print("as many calls of the step for 8 layers as for 4")
        else:
            print(f"calls: {four} for 4 layers, {eight} for 8")


if __name__ == "__main__":
    main()
