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
from programs import TorchWorker, gemm, read_bandwidth, say, summary, touch_memory

GEMM_ROWS = 512
TORCH = {"torch eager": (False, False), "torch compiled": (False, True), "torch onednn": (True, False)}


class Timer:
    """Takes turns: participants by name, each a function that gives seconds. A participant
    that has used up BUDGET seconds of the clock sits out the later rounds."""

    def __init__(self, participants, budget=float("inf")):
        self.participants, self.budget = participants, budget
        self.samples = {name: [] for name in participants}
        self.used = dict.fromkeys(participants, 0.0)

    def rounds(self, count, label):
        for i in range(count):
            for name, measure in self.participants.items():
                if self.used[name] > self.budget:
                    continue
                begin = time.perf_counter()
                self.samples[name].append(measure())
                self.used[name] += time.perf_counter() - begin
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
        kinds = self.context.torch_kinds
        for packed in sorted({TORCH[k][0] for k in kinds}):
            say(f"  loading PyTorch{', packed weights' * packed}")
            self.workers[packed] = TorchWorker(spec=self.exe.spec, dtype=self.dtype, packed=packed)
        self.kinds = kinds
        return self

    def __exit__(self, *_):
        for worker in self.workers.values():
            worker.__exit__()

    def torch(self, row, op, **arguments):
        """One participant for each way to run PyTorch. Its thread count is chosen first, on
        the first model and the shortest prompt."""
        found = {}
        for kind in self.kinds:
            packed, compiled = TORCH[kind]

            def seconds(threads, worker=self.workers[packed], compiled=compiled, kind=kind):
                answer = worker.ask(op, compiled=compiled, threads=threads, **arguments)
                if answer["warmup"]:
                    self.warmups[f"{row} {kind}"] = answer["warmup"]
                return statistics.median(answer["seconds"])

            choice = (self.dtype, kind, op, arguments.get("batch"))
            try:
                threads = self.context.threads.get(choice) or best_threads(seconds)
            except RuntimeError as error:
                say(f"  {kind}, {row}: left out: {error}")
                continue
            self.context.threads[choice] = threads
            self.threads[f"{row} {kind}"] = threads
            found[kind] = lambda s=seconds, t=threads: s(t)
        return found

    def decode(self, batch):
        gen, rounds = (8, 2) if self.context.quick else (12, 5)
        size = self.exe.decode_bytes(batch)
        turns = []

        def meter():
            return read_bandwidth(self.context.peers, 2, 512)["bytes_per_second"]

        def ours():
            before = meter()
            seconds = self.exe.bench(gen=gen, batch=batch, repeat=2)["decode_seconds"] / gen
            turns.append({"before": before, "decode": size / seconds, "after": meter()})
            return seconds

        row = f"decode {batch}"
        people = {"tnllm": ours, **self.torch(row, "decode", batch=batch, steps=gen)}
        times = Timer(people).rounds(rounds, f"{self.model} {self.dtype} {row}")
        # A turn's rate against the better of the two that the meter gave around it.
        shares = [t["decode"] / max(t["before"], t["after"]) for t in turns]
        return {
            "seconds_per_step": times, "bytes_per_step": size, "batch": batch, "turns": turns,
            "read_bandwidth": statistics.median(max(t["before"], t["after"]) for t in turns),
            "tokens_per_second": {n: batch / t["median"] for n, t in times.items()},
            "bytes_per_second": size / times["tnllm"]["median"],
            "of_read_bandwidth": statistics.median(shares),
        }

    def batch_cost(self):
        """Seconds of a step of batch 1 and of batch 8, in turns of their own: the ratio
        must not hang on what the machine's memory gave minutes apart."""
        gen, rounds = (8, 2) if self.context.quick else (12, 5)
        step = lambda batch: lambda: self.exe.bench(gen=gen, batch=batch, repeat=2)["decode_seconds"] / gen
        times = Timer({"1": step(1), "8": step(8)}).rounds(rounds, f"{self.model} {self.dtype} batch cost")
        ratios = [b / a for a, b in zip(times["1"]["samples"], times["8"]["samples"])]
        return {"seconds_per_step": times, "ratio": statistics.median(ratios), "ratios": ratios}

    def prefill(self, tokens):
        rounds = 1 if self.context.quick else (2 if tokens > 1024 else 4)
        ours = lambda: self.exe.bench(prompt=tokens, repeat=1)["prefill_seconds"]
        row = f"prefill {tokens}"
        people = {"tnllm": ours, **self.torch(row, "prefill", tokens=tokens)}
        times = Timer(people, budget=15).rounds(rounds, f"{self.model} {self.dtype} {row}")
        flops = self.exe.prefill_flops(tokens)
        return {
            "seconds": times, "flops": flops, "tokens": tokens,
            "tokens_per_second": {n: tokens / t["median"] for n, t in times.items()},
            "flops_per_second": flops / times["tnllm"]["median"],
        }

    def products(self):
        """Raw products of the block's shapes, GEMM_ROWS tokens: seconds by library and shape."""
        shapes = self.exe.linear_shapes()
        seconds, rounds = (0.05, 1) if self.context.quick else (0.15, 2)
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
    times, per_token = {}, 0.0
    for n in lengths:
        if 2 * n * per_token > context.longest:
            say(f"  {n} tokens: left out, {2 * n * per_token:.0f} s")
            continue
        repeat = 3 if n <= 4096 and not context.quick else 1
        per_token = exe.bench(prompt=n, repeat=repeat)["prefill_seconds"] / n
        times[str(n)] = summary([per_token])
        say(f"  {dtype}, {n} tokens: {per_token * 1e6:.1f} us per token")
    return times


def position(context, model, dtype):
    """Decode time per token at position 10 and at 100,000, in turns."""
    exe = context.compiler.build(model, dtype)
    gen, rounds = (8, 2) if context.quick else (16, 11)
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


def embed(context, model, dtype, folder):
    """Decode time per token of linked weights, on huge pages, and of embedded ones, mapped
    from the page cache, in turns."""
    gen, rounds = (8, 2) if context.quick else (16, 5)
    exes = {how: context.compiler.build(folder, dtype, how) for how in ("link", "embed")}
    at = lambda exe: lambda: exe.bench(gen=gen, repeat=2)["decode_seconds"] / gen
    return Timer({how: at(exe) for how, exe in exes.items()}).rounds(rounds, f"{model} {dtype} embed")


def memory(context, model, dtype, folder):
    """VmHWM of a run from linked, embedded and random weights, against the weights."""
    found = {}
    for name, exe in (("link", context.compiler.build(folder, dtype, "link")),
                      ("embed", context.compiler.build(folder, dtype, "embed")),
                      ("random", context.compiler.build(model, dtype))):
        report = exe.bench(prompt=512, gen=4, repeat=1)
        weights = exe.manifest["parameter_bytes"]
        limit = weights * 1.1 + (64 << 20)
        found[name] = {"peak_bytes": report["peak_memory_bytes"], "weights_bytes": weights,
                       "limit_bytes": limit, "within": report["peak_memory_bytes"] <= limit}
    return found


def start(context, dtype, folder, weights):
    """Seconds from starting the process to its end, having printed one token, files being in
    the page cache; for PyTorch: to the end of a script that does the same. Each program's
    runs follow each other at once: the first finds memory that the machine's host may have to
    give anew, the others what the one before has freed. `touch` is what the memory of the
    packed weights alone costs: seconds to write to each page of as many bytes, twice."""
    link = context.compiler.build(folder, dtype, "link")
    embed = context.compiler.build(folder, dtype, "embed")
    command = lambda exe: [exe.path, "--quiet", "generate", "-p", "Once", "-n", "1", "--temp", "0"]
    people = {"tnllm link": command(link), "tnllm embed": command(embed)}
    if context.torch_kinds and dtype in ("f32", "bf16"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_first_token.py")
        people["torch eager"] = [sys.executable, script, json.dumps(link.spec), weights, dtype]
    subprocess.run(["cat", weights, embed.path], stdout=subprocess.DEVNULL, check=True)
    count = 3 if context.quick else 7
    found = {}
    for name, line in people.items():
        samples = []
        for _ in range(3 if name.startswith("torch") else count):
            begin = time.perf_counter()
            subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
            samples.append(time.perf_counter() - begin)
        found[name] = {"first": samples[0], **summary(samples[1:])}
        say(f"  {dtype} start, {name}: first {samples[0]:.2f} s, then {found[name]['median']:.2f} s")
    time.sleep(5)  # the host takes free memory back in the meantime
    found["touch"] = touch_memory(context.peers, link.manifest["parameter_bytes"] >> 20)
    return found


def compile_times(context):
    found = {}
    for model in ("385m", "1b", "7b"):
        with tempfile.TemporaryDirectory(dir=context.compiler.work) as folder:
            path = os.path.join(folder, "exe")
            times = [context.compiler.compile(model, "f32", path) for _ in range(2 if context.quick else 3)]
            phases = context.compiler.phases(model, "f32", path)
        found[model] = {**summary(times), "phases": phases}
        say(f"  compile {model}: {found[model]['median']:.2f} s")
    return found
