"""write_tokens.py FILE BATCH LENGTH: an input of `run`, tokens 0, 1, 2, ..."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "..", "Integration"))
import safetensors_io

path, batch, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
tokens = np.arange(batch * length, dtype=np.int32).reshape(batch, length)
safetensors_io.save(path, {"input_ids": tokens})
