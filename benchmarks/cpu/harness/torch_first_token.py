"""The PyTorch peer from nothing to its first token: spec as JSON, checkpoint, dtype."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import torch  # noqa: E402

from torch_model import Config, TransNormer  # noqa: E402

torch.set_grad_enabled(False)
dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[sys.argv[3]]
model = TransNormer(Config.from_spec(json.loads(sys.argv[1])), dtype).load(sys.argv[2])
states = model.new_states(1)
for position, byte in enumerate(b"Once"):
    logits = model.step(torch.tensor([[byte]]), torch.tensor(float(position)), states)
print(int(logits.argmax()))
