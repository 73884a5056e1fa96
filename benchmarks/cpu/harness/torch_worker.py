"""A process that times the PyTorch peer; commands and answers are lines of JSON.

    python torch_worker.py '{"spec": {...}, "dtype": "f32", "packed": false, "frozen": false, "weights": null}'

"packed" brings the weights into oneDNN's own layout before anything runs, "frozen" makes
them constants of the compiled graphs, which the inductor then packs as it sees fit.
"dtype" may be int8: weights of bytes with inputs in bf16, or, if "packed", rounded to
bytes. It answers {"ready": ...}, then to each command with one line:
    {"op": "decode", "compiled": b, "batch": B, "steps": n, "threads": t}   seconds per step
    {"op": "prefill", "compiled": b, "tokens": n, "threads": t}             seconds per prefill
    {"op": "logits", "compiled": b, "ids": [...], "prefill": n}             logits of the rest
    {"op": "linears", "shapes": [[n, k], ...], "rows": m, "threads": t}     seconds per product
The first call of each kind warms up (and compiles) and is answered apart, as "warmup".
"""
import functools
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

import torch  # noqa: E402

from torch_model import CHUNK, Config, TransNormer, linear, pack_floats, packed_call  # noqa: E402

SLAB = 512  # prefill goes in slabs of so many tokens, so that activations stay in cache
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Worker:
    def __init__(self, options):
        dtype, packed = options["dtype"], bool(options.get("packed"))
        bytes_of = {False: "bf16", True: "f32"}  # what the model of int8 weights computes in
        kind = DTYPES[bytes_of[packed] if dtype == "int8" else dtype]
        self.model = TransNormer(Config.from_spec(options["spec"]), kind)
        if options.get("weights"):
            self.model.load(options["weights"])
        else:
            self.model.randomize()
        if dtype == "int8":
            self.model.quantize(inputs_too=packed)
        elif packed:
            self.model.pack_weights()
        self.vocabulary = self.model.config.vocab_size
        self.compiled, self.warm = {}, set()

    def function(self, name, compiled):
        plain = getattr(self.model, name)
        if not compiled:
            return plain
        if name not in self.compiled:
            self.compiled[name] = torch.compile(plain, dynamic=False)
        return self.compiled[name]

    def warmed(self, key, call):
        """Seconds of the first call of this kind, or 0 when it is warm."""
        if key in self.warm:
            return 0.0
        self.warm.add(key)
        return timed(call)

    def decode(self, compiled, batch, steps, threads):
        torch.set_num_threads(threads)
        step = self.function("step", compiled)
        states = self.model.new_states(batch)
        ids = torch.randint(0, self.vocabulary, (batch, 1))
        position = torch.zeros(())

        def one():
            nonlocal ids
            ids = step(ids, position, states).argmax(-1, keepdim=True)
            position.add_(1)

        warmup = self.warmed(("decode", compiled, batch), one)
        one()
        return {"warmup": warmup, "seconds": [timed(one) for _ in range(steps)]}

    def prefill(self, compiled, tokens, threads, repeat=1):
        torch.set_num_threads(threads)
        run = self.function("prefill", compiled)
        slab = min(SLAB, tokens)
        if tokens % slab or slab % CHUNK:
            raise ValueError(f"{tokens} tokens are no multiple of {slab}")
        # Slabs of their own: a part of a longer tensor has other strides, for which a graph would be compiled anew.
        slabs = torch.randint(0, self.vocabulary, (tokens // slab, 1, slab)).unbind()

        def all_slabs(count=len(slabs)):
            states = self.model.new_states(1)
            for i, ids in enumerate(slabs[:count]):
                run(ids, torch.tensor(float(i * slab)), states)

        warmup = self.warmed(("prefill", compiled, slab), lambda: all_slabs(1))
        return {"warmup": warmup, "seconds": [timed(all_slabs) for _ in range(repeat)]}

    def logits(self, compiled, ids, prefill):
        """Prefill of the first tokens, then steps: the logits after each of those."""
        states = self.model.new_states(1)
        ids = torch.tensor([ids])
        if prefill:
            self.function("prefill", compiled)(ids[:, :prefill].contiguous(), torch.zeros(()), states)
        step = self.function("step", compiled)
        rows = []
        for t in range(prefill, ids.shape[1]):
            rows.append(step(ids[:, t : t + 1].contiguous(), torch.tensor(float(t)), states)[0].tolist())
        return {"logits": rows}

    def linears(self, shapes, rows, threads, packed, dtype, repeat=5):
        """Raw products x W^T with weights that come from memory, copies used in turn."""
        torch.set_num_threads(threads)
        times = []
        for n, k in shapes:
            x = torch.randn(rows, k, dtype=DTYPES[dtype])
            copies = max(1, min(16, (128 << 20) // (n * k * x.element_size())))
            weights = [torch.randn(n, k, dtype=DTYPES[dtype]) for _ in range(copies)]
            calls = [packed_call(pack_floats(w)) if packed else functools.partial(linear, weight=w) for w in weights]
            calls[0](x)
            times.append([timed(lambda: calls[(i + 1) % copies](x)) for i in range(repeat)])
        return {"seconds": times}


def prepare(options):
    """The worker, once PyTorch is set as the options say."""
    import torch._inductor.config as inductor

    torch.set_grad_enabled(False)
    inductor.cpp.dynamic_threads = True  # the thread count is chosen per call
    inductor.freezing = bool(options.get("frozen"))
    return Worker(options)


def main():
    start = time.perf_counter()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    def answer_with(call):
        try:
            answer(call())
        except Exception as error:  # told to the harness, which decides
            answer({"error": f"{type(error).__name__}: {error}".split("\n")[0]})

    def begin():
        nonlocal worker
        worker = prepare(json.loads(sys.argv[1]))
        return {"ready": time.perf_counter() - start, "torch": torch.__version__}

    worker = None
    answer_with(begin)
    for line in sys.stdin if worker else ():
        command = json.loads(line)
        operation = getattr(worker, command.pop("op"))
        answer_with(lambda: operation(**command))


if __name__ == "__main__":
    main()
