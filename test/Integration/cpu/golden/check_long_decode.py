"""Decodes many tokens and checks that state and logits stay finite.

check_long_decode.py EXECUTABLE TEMPORARY TOKENS
"""

import json
import os
import subprocess
import sys

import numpy as np

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../.."))
import safetensors_io


def main():
    executable, folder, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.makedirs(folder, exist_ok=True)
    state = os.path.join(folder, "state.safetensors")
    text = subprocess.run(
        [executable, "generate", "--quiet", "-p", "Once", "-n", str(count), "--temp",
         "0", "--eos", "-1", "--json", "--save-state", state],
        check=True, capture_output=True).stdout
    made = len(json.loads(text)["sequences"][0]["tokens"])
    after = safetensors_io.load(state)
    states = {name: value for name, value in after.items() if name.startswith("state.")}
    source = os.path.join(folder, "input.safetensors")
    output = os.path.join(folder, "output.safetensors")
    safetensors_io.save(source, {
        "input_ids": np.array([[65]], np.int64),
        "position": np.array(after["position"], np.int64).reshape(-1)[0], **states})
    subprocess.run([executable, "run", "--quiet", "--input", source, "--output", output],
                   check=True)
    result = safetensors_io.load(output)
    finite = all(np.isfinite(value).all() for value in (*states.values(),
                                                        *result.values()))
    print(f"{made} tokens, finite: {finite}, position {int(result['position'])}")
    return 0 if finite and made == count else 1


if __name__ == "__main__":
    sys.exit(main())
