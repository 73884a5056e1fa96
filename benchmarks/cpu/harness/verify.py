"""Before anything is timed: the executables and the PyTorch peer compute the same thing."""
import os

import numpy as np

from checkpoint import read_tensors, write_checkpoint, write_ids
from programs import TorchWorker, run

SPEC = {
    "vocab_size": 512, "decoder_embed_dim": 256, "decoder_layers": 3, "decoder_attention_heads": 2,
    "hidden_dim": 256, "glu_dim": 384, "linear_use_lrpe_list": [1, 0, 0],
}
PREFILL, STEPS = 256, 24  # two chunks of the peer's attention, then the recurrence
LIMITS = {"f32": 1e-4, "bf16": 3e-2, "int8": 6e-2}


def verify(compiler, dtypes, compiled_too):
    """Largest |difference| / max|logit| over the steps after a prefill, for each way the peer runs."""
    folder = os.path.join(compiler.work, "verify")
    weights = write_checkpoint(folder, SPEC, scale=0.05)
    ids = np.random.default_rng(7).integers(0, SPEC["vocab_size"], PREFILL + STEPS).tolist()
    inputs, outputs = (os.path.join(folder, f) for f in ("ids.safetensors", "out.safetensors"))
    write_ids(inputs, ids)
    differences = {}
    for dtype in [d for d in dtypes if d in LIMITS]:
        exe = compiler.build(folder, dtype, "link")
        run([exe.path, "--quiet", "run", "--input", inputs, "--output", outputs, "--only", "logits"])
        ours = read_tensors(outputs)["logits"][0, PREFILL:]
        for kind in ["eager"] + ["compiled"] * compiled_too + ["onednn"]:
            with TorchWorker(spec=SPEC, dtype=dtype, weights=weights, packed=kind == "onednn") as worker:
                answer = worker.ask("logits", compiled=kind == "compiled", ids=ids, prefill=PREFILL)
            error = float(np.abs(ours - np.array(answer["logits"])).max() / np.abs(ours).max())
            name = f"{dtype} {kind}"
            differences[name] = error
            if not error <= LIMITS[dtype]:
                raise RuntimeError(f"{name}: logits differ by {error:.2g} of the largest, limit {LIMITS[dtype]}")
    return differences
