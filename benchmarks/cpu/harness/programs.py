"""The programs that are measured: how they are built, started and asked."""
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
SPECS = os.path.join(ROOT, "examples", "specs")
MATRIX_BYTES = {"f32": 4, "bf16": 2, "int8": 1}


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **options):
    """Standard output of a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {' / '.join(tail)}")
    return done.stdout


def summary(samples):
    """Median with the extremes; every sample is kept."""
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples), "samples": samples}


class Compiled:
    """An executable that tnllmc has made of a spec."""

    def __init__(self, path):
        self.path = path
        self.manifest = json.loads(run([path, "info", "--json"]))
        matrices = [p for p in self.manifest["parameters"] if len(p["shape"]) == 2]
        count = lambda p: p["shape"][0] * p["shape"][1]
        self.block_parameters = sum(count(p) for p in matrices if ".layers." in p["tensor"])
        embedding = next(p for p in matrices if "embed_tokens" in p["tensor"])
        tied = self.manifest["model"].get("tie_word_embeddings")
        self.embedding_bytes = 0 if tied else count(embedding) * MATRIX_BYTES.get(embedding["dtype"], 1)

    @property
    def spec(self):
        return self.manifest["model"]

    def decode_bytes(self, batch):
        """What a step must read: all parameters but the embedding table, and the states once."""
        weights = self.manifest["parameter_bytes"] - self.embedding_bytes
        return weights + batch * self.manifest["state_bytes"]

    def prefill_flops(self, tokens):
        """Of the blocks' linear maps alone: 2 per parameter and token. Prefill does not
        compute the head, and the attention's own products are not counted."""
        return 2 * self.block_parameters * tokens

    def linear_shapes(self):
        """(N, K) of a block's linear maps: qkvu, out, l1, l2, l3."""
        d, e, g = (self.spec[k] for k in ("decoder_embed_dim", "hidden_dim", "glu_dim"))
        return [(4 * e, d), (d, e), (g, d), (g, d), (d, g)]

    def bench(self, prompt=0, gen=0, batch=1, repeat=3, position=None, threads=None):
        command = [self.path, "--quiet"] + (["--threads", str(threads)] if threads else [])
        command += ["bench", "--json", "--prompt", str(prompt), "--gen", str(gen)]
        command += ["--batch", str(batch), "--repeat", str(repeat)]
        if position is not None:
            command += ["--position", str(position)]
        return json.loads(run(command))


class Compiler:
    def __init__(self, tnllmc, work):
        self.tnllmc, self.work = tnllmc, work

    def build(self, model, dtype, weights=None):
        """MODEL is a name in examples/specs, or, with WEIGHTS "link" or "embed", a
        checkpoint's folder."""
        name = f"{os.path.basename(model)}-{dtype}" + (f"-{weights}" if weights else "")
        path = os.path.join(self.work, name)
        if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(self.tnllmc):
            self.compile(model, dtype, path, weights)
        return Compiled(path)

    def compile(self, model, dtype, path, weights=None):
        """Seconds that the compiler took."""
        start = time.perf_counter()
        run(self.command(model, dtype, path, weights))
        return time.perf_counter() - start

    def command(self, model, dtype, path, weights=None):
        source = model if os.path.isdir(model) else os.path.join(SPECS, model + ".yaml")
        how = f"--weights={weights}" if weights else "--random-weights=1"
        return [self.tnllmc, source, "--quiet", f"--dtype={dtype}", "-o", path, how]

    def phases(self, model, dtype, path):
        """Seconds of the compiler's phases by name, as --mlir-timing tells them."""
        done = subprocess.run(self.command(model, dtype, path) + ["--mlir-timing"],
                              capture_output=True, text=True, check=True)
        column = r" +([0-9.]+) \( *[0-9.]+%\)"  # of the user's time, then of the clock's
        lines = re.findall(rf"^{column}{column}  (\S.*)$", done.stderr, re.MULTILINE)
        return {name: float(clock) for _, clock, name in lines}


class TorchWorker:
    """harness/torch_worker.py as a context: one model in one process."""

    def __init__(self, **options):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "torch_worker.py"), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.ready = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the PyTorch worker ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, op, **arguments):
        self.process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = self.read()
        if "error" in answer:
            raise RuntimeError(f"PyTorch: {answer['error']}")
        return answer


def read_bandwidth(peers, passes=3, mebibytes=2048):
    """The meter's report, its "bytes_per_second" being the best of its ways to read."""
    return json.loads(run([os.path.join(peers, "read_bandwidth"), str(mebibytes), str(os.cpu_count()), str(passes)]))


def touch_memory(peers, mebibytes):
    """Seconds to write to every page of so much memory, new to this machine and again."""
    return json.loads(run([os.path.join(peers, "touch_memory"), str(mebibytes), str(os.cpu_count())]))


def gemm(peers, program, seconds, rows, shapes, core_type=None):
    environment = dict(os.environ)
    environment.pop("OPENBLAS_CORETYPE", None)
    if core_type:
        environment["OPENBLAS_CORETYPE"] = core_type
    command = [os.path.join(peers, program), str(seconds), str(rows)]
    command += [str(x) for shape in shapes for x in shape]
    return json.loads(run(command, env=environment))
