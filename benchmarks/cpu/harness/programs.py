"""The programs that are measured: how they are built, started and asked."""
import json
import os
import re
import select
import subprocess
import sys
import time

import machine

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

    @property
    def dtype(self):
        return self.manifest["dtype"]

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
        self.digest = machine.digest(tnllmc)

    def build(self, model, dtype, weights=None):
        """MODEL is a name in examples/specs, or, with WEIGHTS "link" or "embed", a
        checkpoint's folder. What this very compiler has made before is used again."""
        name = f"{os.path.basename(model)}-{dtype}" + (f"-{weights}" if weights else "")
        path = os.path.join(self.work, name)
        stamp = path + ".made-by"
        if not (os.path.exists(path) and os.path.exists(stamp) and open(stamp).read() == self.digest):
            run(self.command(model, dtype, path, weights))
            with open(stamp, "w") as file:
                file.write(self.digest)
        return Compiled(path)

    def command(self, model, dtype, path, weights=None):
        source = model if os.path.isdir(model) else os.path.join(SPECS, model + ".yaml")
        how = f"--weights={weights}" if weights else "--random-weights=1"
        return [self.tnllmc, source, "--quiet", f"--dtype={dtype}", "-o", path, how]

    def phases(self, model, dtype, path, weights=None):
        """(whole seconds, seconds of the compiler's phases by name), of one run; the phases
        as --mlir-timing tells them."""
        start = time.perf_counter()
        done = subprocess.run(self.command(model, dtype, path, weights) + ["--mlir-timing"],
                              capture_output=True, text=True, check=True)
        whole = time.perf_counter() - start
        column = r" +([0-9.]+) \( *[0-9.]+%\)"  # of the user's time, then of the clock's
        lines = re.findall(rf"^{column}{column}  (\S.*)$", done.stderr, re.MULTILINE)
        return whole, {name: float(clock) for _, clock, name in lines}


class Paced:
    """A program that answers each line of its input with a line of JSON, as a context."""

    name, patience = "program", 900

    def __init__(self, command, environment=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})
        try:
            self.ready = self.read()
        except RuntimeError:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # it has gone; what it said is known
            pass
        self.process.wait()
        self.process.stdout.close()

    def read(self):
        # One line answers one, so nothing of it can wait in the stream's own buffer.
        if not select.select([self.process.stdout], [], [], self.patience)[0]:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"{self.name} gave no answer in {self.patience} s")
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}")
        return json.loads(line)

    def send(self, line=""):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}") from error
        return self.read()

    def memory(self):
        """Bytes of the process as the kernel counts them now."""
        wanted = {"Rss": "resident", "AnonHugePages": "anonymous_huge_pages", "Private_Dirty": "own"}
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            fields = [line.split() for line in file]
        return {wanted[f[0][:-1]]: int(f[1]) << 10 for f in fields if f[0][:-1] in wanted}


class Bench(Paced):
    """`EXE bench --paced`: the model stays loaded between the runs."""

    def __init__(self, exe, prompt=0, gen=0, batch=1, position=None):
        self.name, self.gen = os.path.basename(exe.path), gen
        command = [exe.path, "--quiet", "bench", "--paced", "--prompt", str(prompt), "--gen", str(gen)]
        command += ["--batch", str(batch)] + (["--position", str(position)] if position is not None else [])
        super().__init__(command)

    def step(self):
        """Seconds of a step of decoding, over --gen of them."""
        return self.send()["decode_seconds"] / self.gen

    def prefill(self, tokens=None):
        return self.send("" if tokens is None else str(tokens))["prefill_seconds"]


class TorchWorker(Paced):
    """harness/torch_worker.py: one model in one process, on huge pages as tnllm is."""

    name, patience = "the PyTorch worker", 300  # a graph that takes longer to compile is left out

    def __init__(self, **options):
        super().__init__([sys.executable, os.path.join(HERE, "torch_worker.py"), json.dumps(options)], TORCH_ENVIRONMENT)
        if "error" in self.ready:
            self.close()
            raise RuntimeError(f"PyTorch: {self.ready['error']}")

    def ask(self, op, **arguments):
        answer = self.send(json.dumps({"op": op, **arguments}))
        if "error" in answer:
            raise RuntimeError(f"PyTorch: {answer['error']}")
        return answer


# c10's allocator asks for huge pages then, as tnllm's memory does; without, it has pages of 4 KiB.
TORCH_ENVIRONMENT = {"THP_MEM_ALLOC_ENABLE": "1"}


class Meter(Paced):
    """read_bandwidth --paced: short readings, its buffer kept."""

    name = "read_bandwidth"

    def __init__(self, peers):
        super().__init__([os.path.join(peers, "read_bandwidth"), "512", str(os.cpu_count()), "2", "--paced"])

    def readings(self, count=5):
        return [self.send()["bytes_per_second"] for _ in range(count)]


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
