"""The rows of the table that every model and dtype has."""
import os
import statistics
from contextlib import ExitStack

from kinds import KINDS
from peers import Peers
from programs import Bench, Meter, gemm, say
from turns import Turns, paired, spread

STEADY = 1.1  # a turn whose two readings of the meter differ by more is not a steady one


def turn_of_meter(size, seconds, before, after):
    """One turn's figures: the rate, the better of the meter's readings around it (each the
    median of several), and whether the memory stayed as it was meanwhile."""
    first, last = statistics.median(before), statistics.median(after)
    meter = max(first, last)
    return {"before": before, "after": after, "meter": meter, "rate": size / seconds,
            "share": size / seconds / meter, "steady": meter <= STEADY * min(first, last)}


def shares(turns):
    """The spread of the steady turns' shares, of all where none is steady, and the turn
    whose share is the median one (the lower of two)."""
    steady = [t for t in turns if t["steady"]] or turns
    ordered = sorted(steady, key=lambda t: t["share"])
    return {**spread([t["share"] for t in steady]), "used": len(steady), "unsteady": sum(not t["steady"] for t in turns),
            "turn": ordered[(len(ordered) - 1) // 2]}


class ModelRows:
    """decode, prefill and the raw products of one model and dtype."""

    def __init__(self, context, model, dtype):
        self.context, self.model, self.dtype = context, model, dtype
        self.exe = context.compiler.build(model, dtype)
        self.peers = Peers(self.exe.spec, dtype, context.kinds_for(dtype),
                           self.exe.manifest["parameter_bytes"])
        self.memory = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peers.__exit__()

    def bench(self, stack, dtype=None, **arguments):
        """tnllm's own program, loaded and warm until the stack is left."""
        exe = self.exe if dtype in (None, self.dtype) else self.context.compiler.build(self.model, dtype)
        bench = stack.enter_context(Bench(exe, **arguments))
        self.memory[" ".join([exe.dtype, *(f"{k} {v}" for k, v in arguments.items())])] = bench.memory()
        return bench

    def turns(self, people, count, label, budget=float("inf")):
        turns = Turns(people, peers=KINDS, budget=budget, say=say)
        return turns, turns.run(count, f"{self.model} {self.dtype} {label}")

    def decode(self, batch):
        gen, count = (8, 2) if self.context.quick else (12, 9)
        size, row, readings = self.exe.decode_bytes(batch), f"decode {batch}", []
        with ExitStack() as stack:
            peers = self.peers.participants(row, row, "decode", {}, batch=batch, steps=gen)
            bench = self.bench(stack, gen=gen, batch=batch)
            meter = stack.enter_context(Meter(self.context.peers))

            def ours():
                before = meter.readings()
                seconds = bench.step()
                readings.append(turn_of_meter(size, seconds, before, meter.readings()))
                return seconds

            turns, times = self.turns({"tnllm": ours, **peers}, count, row)
        return {"seconds_per_step": times, "bytes_per_step": size, "batch": batch, "turns": readings,
                "of_read_bandwidth": shares(readings), "errors": turns.errors,
                "against": {name: paired(times, name, "tnllm") for name in times if name != "tnllm"}}

    def batch_cost(self):
        """Seconds of a step of batch 1 and of batch 8, in turns of their own."""
        gen, count = (8, 2) if self.context.quick else (12, 9)
        with ExitStack() as stack:
            people = {str(b): self.bench(stack, gen=gen, batch=b).step for b in (1, 8)}
            _, times = self.turns(people, count, "batch cost")
        return {"seconds_per_step": times, "ratio": paired(times, "8", "1")}

    def prefill(self, tokens):
        """In bf16 with tnllm's f32 in the same turns, for the ratio of the two."""
        count = 2 if self.context.quick else (3 if tokens > 1024 else 7)
        row, short = f"prefill {tokens}", min(tokens, 512)
        with ExitStack() as stack:
            peers = self.peers.participants(row, "prefill", "prefill", {"tokens": short}, tokens=tokens)
            people = {"tnllm": self.bench(stack, prompt=tokens).prefill}
            if self.dtype == "bf16" and "f32" in self.context.dtypes:
                people["tnllm f32"] = self.bench(stack, "f32", prompt=tokens).prefill
            turns, times = self.turns({**people, **peers}, count, row, budget=60)
        self.peers.left_turns("prefill", turns)
        flops = self.exe.prefill_flops(tokens)
        return {"seconds": times, "flops": flops, "tokens": tokens, "errors": turns.errors,
                "of_f32": paired(times, "tnllm f32", "tnllm"),
                "flops_per_second": spread([flops / s for s in times["tnllm"]["samples"]]),
                "against": {name: paired(times, name, "tnllm") for name in times if name in KINDS}}

    def products(self, rows):
        """Raw products of the block's shapes: seconds by library and shape."""
        shapes, found = self.exe.linear_shapes(), {}
        seconds, rounds = (0.05, 1) if self.context.quick else (0.15, 2)

        def add(library, times):
            for shape, samples in zip(shapes, times):
                found.setdefault(library, {}).setdefault(f"{shape[0]}x{shape[1]}", []).extend(samples)

        self.peers.close(lambda key: key[1])  # frozen graphs: their room is needed
        for _ in range(rounds):
            if self.dtype == "f32":
                self.library_products(rows, shapes, seconds, add)
            for kind in [k for k in ("torch eager", "torch onednn") if k in self.peers.kinds]:
                packed = kind == "torch onednn"
                answer = self.peers.worker(kind, None).ask(
                    "linears", shapes=shapes, rows=rows, threads=os.cpu_count(), packed=packed, dtype=self.dtype,
                    repeat=3 if self.context.quick or rows > 1024 else 9)
                add("oneDNN (PyTorch)" if packed else "torch linear", answer["seconds"])
        return best_products(rows, shapes, found)

    def library_products(self, rows, shapes, seconds, add):
        for program, core, library in (("sgemm_openblas", None, "OpenBLAS auto"),
                                       ("sgemm_openblas", "SkylakeX", "OpenBLAS SkylakeX"),
                                       ("sgemm_onednn", None, "oneDNN (Debian)")):
            report = gemm(self.context.peers, program, seconds, rows, shapes, core)
            for variant in [v for v in report["shapes"][0] if v not in ("n", "k")]:
                add(f"{library} {variant}", [s[variant] for s in report["shapes"]])

    def record(self):
        return {**self.peers.record(), "tnllm_memory": self.memory}


def best_products(rows, shapes, found):
    """Rate of each library over a block, and of the fastest library for each shape."""
    keys = [f"{n}x{k}" for n, k in shapes]
    flops = sum(2 * rows * n * k for n, k in shapes)
    median = {lib: {k: statistics.median(times[k]) for k in times} for lib, times in found.items()}
    rates = {lib: flops / sum(times[k] for k in keys) for lib, times in median.items()}
    fastest = {k: min(median, key=lambda lib: median[lib][k]) for k in keys} if median else {}
    total = sum(median[fastest[k]][k] for k in keys) if median else 0
    return {"rows": rows, "flops_per_second": rates, "fastest": fastest, "seconds": median, "samples": found,
            "best_flops_per_second": flops / total if total else 0}
