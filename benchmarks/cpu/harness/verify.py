"""Before anything is timed: the executables and the PyTorch peer compute the same thing."""
import os

import numpy as np

from checkpoint import read_tensors, write_checkpoint, write_ids
from kinds import applies, is_compiled, worker_options
from programs import TorchWorker, run, say

SPEC = {
    "vocab_size": 512, "decoder_embed_dim": 256, "decoder_layers": 3, "decoder_attention_heads": 2,
    "hidden_dim": 256, "glu_dim": 384, "linear_use_lrpe_list": [1, 0, 0],
}
PREFILL, STEPS = 256, 24  # two chunks of the peer's attention, then the recurrence
LIMITS = {"f32": 1e-4, "bf16": 3e-2, "int8": 6e-2}


def our_logits(compiler, folder, dtype, ids):
    """[STEPS, V] after the prefill, by an executable."""
    inputs, outputs = (os.path.join(folder, f) for f in ("ids.safetensors", "out.safetensors"))
    write_ids(inputs, ids)
    exe = compiler.build(folder, dtype, "link")
    run([exe.path, "--quiet", "run", "--input", inputs, "--output", outputs, "--only", "logits"])
    return read_tensors(outputs)["logits"][0, PREFILL:]


def verify(compiler, dtypes, kinds):
    """Of each dtype and each kind that is timed: the largest |difference| / max|logit| over
    the steps after a prefill, its limit, and the error of a kind that does not run."""
    folder = os.path.join(compiler.work, "verify")
    weights = write_checkpoint(folder, SPEC, scale=0.05)
    ids = np.random.default_rng(7).integers(0, SPEC["vocab_size"], PREFILL + STEPS).tolist()
    found = {}
    for dtype in [d for d in dtypes if d in LIMITS]:
        ours = our_logits(compiler, folder, dtype, ids)
        for kind in [k for k in kinds if applies(k, dtype)]:
            entry = found.setdefault(dtype, {})[kind] = {"limit": LIMITS[dtype]}
            try:
                with TorchWorker(spec=SPEC, dtype=dtype, weights=weights, **worker_options(kind)) as worker:
                    answer = worker.ask("logits", compiled=is_compiled(kind), ids=ids, prefill=PREFILL)
                entry["difference"] = float(np.abs(ours - np.array(answer["logits"])).max() / np.abs(ours).max())
            except RuntimeError as error:
                entry["error"] = str(error)
            say(f"  {dtype} {kind}: {entry.get('error') or format(entry['difference'], '.2g')}")
    return found


def agrees(entry):
    """A kind is timed only where it computes the model."""
    return "difference" in entry and entry["difference"] <= entry["limit"]
