"""The rows of the table. Programs that are compared take turns (A B C A B C ...), and each
turn's figure is kept; the table shows medians."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from checkpoint import write_checkpoint
from programs import TorchWorker, gemm, read_bandwidth, say, summary

GEMM_ROWS = 512
TORCH = {"torch eager": (False, False), "torch compiled": (False, True), "torch onednn": (True, False)}


class Timer:
    """Takes turns: participants by name, each a function that gives seconds."""

    def __init__(self, participants):
        self.participants = participants
        self.samples = {name: [] for name in participants}

    def rounds(self, count, label):
        for i in range(count):
            for name, measure in self.participants.items():
                self.samples[name].append(measure())
            medians = ", ".join(f"{n} {statistics.median(s):.4g}" for n, s in self.samples.items())
            say(f"  {label} round {i + 1}/{count}: {medians}")
        return {name: summary(samples) for name, samples in self.samples.items()}


def best_threads(measure):
    """Seconds at the thread count that is fastest, tried from all cores down."""
    tried = {t: measure(t) for t in sorted({os.cpu_count(), 1}, reverse=True)}
    return min(tried, key=tried.get)


class ModelRows:
    """decode, prefill and the raw products of one model and dtype."""

    def __init__(self, context, model, dtype):
        self.context, self.model, self.dtype = context, model, dtype
        self.exe = context.compiler.build(model, dtype)
        self.workers, self.threads, self.warmups = {}, {}, {}

    def __enter__(self):
        kinds = self.context.torch_kinds if self.dtype in ("f32", "bf16") else []
        for packed in sorted({TORCH[k][0] for k in kinds}):
            say(f"  loading PyTorch{', oneDNN weights' * packed}")
            self.workers[packed] = TorchWorker(spec=self.exe.spec, dtype=self.dtype, packed=packed)
        self.kinds = kinds
        return self

    def __exit__(self, *_):
        for worker in self.workers.values():
            worker.__exit__()

    def torch(self, row, op, **arguments):
        """One participant for each way to run PyTorch; its thread count is chosen first."""
        found = {}
        for kind in self.kinds:
            packed, compiled = TORCH[kind]

            def seconds(threads, worker=self.workers[packed], compiled=compiled, kind=kind):
                answer = worker.ask(op, compiled=compiled, threads=threads, **arguments)
                if answer["warmup"]:
                    self.warmups[f"{row} {kind}"] = answer["warmup"]
                return statistics.median(answer["seconds"])

            try:
                threads = best_threads(seconds)
            except RuntimeError as error:
                say(f"  {kind}, {row}: left out: {error}")
                continue
            self.threads[f"{row} {kind}"] = threads
            found[kind] = lambda s=seconds, t=threads: s(t)
        return found

    def decode(self, batch):
        quick = self.context.quick
        gen, rounds = (8, 2) if quick else (24, 7)
        ours = lambda: self.exe.bench(gen=gen, batch=batch, repeat=2)["decode_seconds"] / gen
        bandwidth = lambda: 1.0 / read_bandwidth(self.context.peers, 1 if quick else 2)["bytes_per_second"]
        row = f"decode {batch}"
        people = {"tnllm": ours, "bandwidth": bandwidth, **self.torch(row, "decode", batch=batch, steps=gen)}
        times = Timer(people).rounds(rounds, f"{self.model} {self.dtype} {row}")
        meter = times.pop("bandwidth")
        rate = 1.0 / meter["min"]  # the best the machine has shown between our turns
        size = self.exe.decode_bytes(batch)
        return {
            "seconds_per_step": times, "bytes_per_step": size, "batch": batch, "read_bandwidth": rate,
            "tokens_per_second": {n: batch / t["median"] for n, t in times.items()},
            "bytes_per_second": size / times["tnllm"]["median"],
            "of_read_bandwidth": size / times["tnllm"]["median"] / rate,
        }

    def prefill(self, tokens):
        quick = self.context.quick
        rounds = 1 if quick else (3 if tokens > 1024 else 5)
        repeat = 1 if tokens > 1024 else 2
        ours = lambda: self.exe.bench(prompt=tokens, repeat=repeat)["prefill_seconds"]
        row = f"prefill {tokens}"
        people = {"tnllm": ours, **self.torch(row, "prefill", tokens=tokens)}
        times = Timer(people).rounds(rounds, f"{self.model} {self.dtype} {row}")
        flops = self.exe.prefill_flops(tokens)
        return {
            "seconds": times, "flops": flops, "tokens": tokens,
            "tokens_per_second": {n: tokens / t["median"] for n, t in times.items()},
            "flops_per_second": flops / times["tnllm"]["median"],
        }

    def products(self):
        """Raw products of the block's shapes, GEMM_ROWS tokens: seconds by library and shape."""
        shapes = self.exe.linear_shapes()
        seconds, rounds = (0.05, 1) if self.context.quick else (0.3, 3)
        found = {}

        def add(library, times):
            for shape, samples in zip(shapes, times):
                found.setdefault(library, {}).setdefault(f"{shape[0]}x{shape[1]}", []).extend(samples)

        for _ in range(rounds):
            if self.dtype == "f32":
                runs = [("sgemm_openblas", core, f"OpenBLAS {core or 'auto'}") for core in (None, "SkylakeX")]
                for program, core, library in runs + [("sgemm_onednn", None, "oneDNN (Debian)")]:
                    report = gemm(self.context.peers, program, seconds, GEMM_ROWS, shapes, core)
                    for variant in [v for v in report["shapes"][0] if v not in ("n", "k")]:
                        add(f"{library} {variant}", [s[variant] for s in report["shapes"]])
            for packed, worker in self.workers.items():
                answer = worker.ask("linears", shapes=shapes, rows=GEMM_ROWS, threads=os.cpu_count(),
                                    packed=packed, dtype=self.dtype, repeat=3 if self.context.quick else 9)
                add("oneDNN (PyTorch)" if packed else "torch linear", answer["seconds"])
        return self.best_products(shapes, found)

    def best_products(self, shapes, found):
        """Rate of each library over a block, and of the fastest library for each shape."""
        keys = [f"{n}x{k}" for n, k in shapes]
        flops = sum(2 * GEMM_ROWS * n * k for n, k in shapes)
        median = {lib: {k: statistics.median(times[k]) for k in times} for lib, times in found.items()}
        rates = {lib: flops / sum(times[k] for k in keys) for lib, times in median.items()}
        fastest = {k: min(median, key=lambda lib: median[lib][k]) for k in keys} if median else {}
        total = sum(median[fastest[k]][k] for k in keys) if median else 0
        return {"rows": GEMM_ROWS, "flops_per_second": rates, "fastest": fastest, "seconds": median,
                "best_flops_per_second": flops / total if total else 0}


def linearity(context, model, dtype):
    """Prefill time per token over lengths; a length whose runs would take too long is left out."""
    exe = context.compiler.build(model, dtype)
    lengths = [512, 2048] if context.quick else [1024, 4096, 16384, 65536]
    times, per_token = {n: [] for n in lengths}, 0.0
    for turn in range(1 if context.quick else 2):
        for n in lengths:
            if 2 * n * per_token > context.longest or (turn and n > 16384):
                say(f"  {n} tokens: left out, {2 * n * per_token:.0f} s") if not turn else None
                continue
            times[n].append(exe.bench(prompt=n, repeat=1)["prefill_seconds"] / n)
            per_token = times[n][-1]
            say(f"  {n} tokens: {per_token * 1e6:.1f} us per token")
    return {str(n): summary(t) for n, t in times.items() if t}


def position(context, model, dtype):
    """Decode time per token at position 10 and at 100,000, in turns."""
    exe = context.compiler.build(model, dtype)
    gen, rounds = (8, 2) if context.quick else (24, 7)
    at = lambda p: lambda: exe.bench(gen=gen, repeat=2, position=p)["decode_seconds"] / gen
    return Timer({"10": at(10), "100000": at(100000)}).rounds(rounds, f"{model} {dtype} position")


def link_checkpoint(context, model):
    """The executable and the file of a random f32 checkpoint of a spec."""
    spec = {k: v for k, v in context.compiler.build(model, "f32").spec.items() if k in CONFIG_KEYS}
    folder = os.path.join(context.compiler.work, f"{model}-checkpoint")
    path = write_checkpoint(folder, spec)
    return folder, path


CONFIG_KEYS = ("vocab_size", "decoder_embed_dim", "decoder_layers", "decoder_attention_heads",
               "hidden_dim", "glu_dim", "linear_use_lrpe_list", "init_std")


def memory(context, model, dtype, folder):
    """VmHWM of a run from a linked checkpoint and of one with random weights, against the weights."""
    found = {}
    for name, exe in (("link", context.compiler.build(folder, dtype, "link")),
                      ("random", context.compiler.build(model, dtype))):
        report = exe.bench(prompt=512, gen=4, repeat=1)
        weights = exe.manifest["parameter_bytes"]
        limit = weights * 1.1 + (64 << 20)
        found[name] = {"peak_bytes": report["peak_memory_bytes"], "weights_bytes": weights,
                       "limit_bytes": limit, "within": report["peak_memory_bytes"] <= limit}
    return found


def start(context, dtype, folder, weights):
    """Seconds from starting the process to its end, having printed one token, the checkpoint's
    file being in the page cache; for PyTorch: to the end of a script that does the same."""
    exe = context.compiler.build(folder, dtype, "link")
    subprocess.run(["cat", weights], stdout=subprocess.DEVNULL, check=True)

    def timed(command):
        begin = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begin

    ours = lambda: timed([exe.path, "--quiet", "generate", "-p", "Once", "-n", "1", "--temp", "0"])
    people = {"tnllm": ours}
    if context.torch_kinds and dtype in ("f32", "bf16"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_first_token.py")
        people["torch eager"] = lambda: timed([sys.executable, script, json.dumps(exe.spec), weights, dtype])
    for measure in people.values():
        measure()  # files into the page cache
    return Timer(people).rounds(2 if context.quick else 7, f"{dtype} start")


def compile_times(context):
    found = {}
    for model in ("385m", "1b", "7b"):
        with tempfile.TemporaryDirectory(dir=context.compiler.work) as folder:
            path = os.path.join(folder, "exe")
            times = [context.compiler.compile(model, "f32", path) for _ in range(2 if context.quick else 5)]
        found[model] = summary(times)
        say(f"  compile {model}: {found[model]['median']:.2f} s")
    return found
