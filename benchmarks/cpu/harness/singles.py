"""The rows beside the models' table: lengths, positions, memory, start, compile, perplexity."""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

import perplexity as demo_perplexity
from checkpoint import write_checkpoint
from programs import ROOT, TORCH_ENVIRONMENT, Bench, say, touch_memory
from targets import lengths_of, memory_ways
from turns import Turns, paired, summary

CONFIG_KEYS = ("vocab_size", "decoder_embed_dim", "decoder_layers", "decoder_attention_heads",
               "hidden_dim", "glu_dim", "linear_use_lrpe_list", "init_std")
SHORT = 1024  # the length that longer prompts are compared with
STEADY = 1.1  # the two short runs around a long one may differ by so much, else all of it is repeated
TRIES = 3


def linearity(context, model, dtype):
    """Prefill seconds per token. Each longer prompt stands between two runs of 1024 tokens
    and is compared with their mean; one that would take too long is named as left out."""
    found = {"short": SHORT, "lengths": {}, "left_out": {}}
    exe = context.compiler.build(model, dtype)
    lengths = lengths_of(context.quick)
    with Bench(exe, prompt=lengths[-1]) as bench:
        short = lambda: statistics.median(bench.prefill(SHORT) for _ in range(3)) / SHORT
        before = short()
        for n in lengths:
            if n * before > context.longest:
                found["left_out"][str(n)] = f"{n * before:.0f} s, --longest is {context.longest:.0f}"
                continue
            for tries in range(1, TRIES + 1):
                seconds = [bench.prefill(n) / n for _ in range(3 if n < 16384 else 1)]
                after = short()
                steady = max(before, after) <= STEADY * min(before, after)
                row = {"before": before, "after": after, "steady": steady, "tries": tries, **summary(seconds),
                       "ratio": statistics.median(seconds) / statistics.mean([before, after])}
                before = after
                if steady:
                    break
            found["lengths"][str(n)] = row
            say(f"  {model} {dtype}, {n} tokens: {row['median'] * 1e6:.1f} us per token, {row['ratio']:.3f} of {SHORT}")
    return found


def position(context, model, dtype):
    """Decode time per token at position 10 and at 100,000, in turns."""
    exe = context.compiler.build(model, dtype)
    gen, count = (8, 2) if context.quick else (16, 11)
    with ExitStack() as stack:
        people = {str(p): stack.enter_context(Bench(exe, gen=gen, position=p)).step for p in (10, 100000)}
        times = Turns(people, say=say).run(count, f"{model} {dtype} position")
    return {"seconds_per_step": times, "ratio": paired(times, "100000", "10")}


def link_checkpoint(context, model):
    """The folder and the file of a random f32 checkpoint of a spec."""
    spec = {k: v for k, v in context.compiler.build(model, "f32").spec.items() if k in CONFIG_KEYS}
    folder = os.path.join(context.compiler.work, f"{model}-checkpoint")
    return folder, write_checkpoint(folder, spec)


def embed(context, model, dtype):
    """Decode time per token of linked weights, on huge pages, and of embedded ones, mapped
    from the page cache, in turns."""
    folder, _ = link_checkpoint(context, model)
    gen, count = (8, 2) if context.quick else (16, 7)
    with ExitStack() as stack:
        people = {how: stack.enter_context(Bench(context.compiler.build(folder, dtype, how), gen=gen)).step
                  for how in ("link", "embed")}
        times = Turns(people, say=say).run(count, f"{model} {dtype} embed")
    return {"seconds_per_step": times, "ratio": paired(times, "embed", "link")}


def parts(exe):
    """Bytes of the parameters: the embedding table, and all that is multiplied."""
    whole = exe.manifest["parameter_bytes"]
    return {"weights_bytes": whole, "embedding_bytes": exe.embedding_bytes, "linear_bytes": whole - exe.embedding_bytes}


def memory(context, model, dtype):
    """VmHWM of a run from linked, embedded and random weights, against the weights."""
    folder, _ = link_checkpoint(context, model)
    found = {}
    for name in memory_ways(model):
        exe = context.compiler.build(model, dtype) if name == "random" else context.compiler.build(folder, dtype, name)
        peak = exe.bench(prompt=512, gen=4, repeat=1)["peak_memory_bytes"]
        sizes = parts(exe)
        found[name] = {"peak_bytes": peak, "limit_bytes": sizes["weights_bytes"] * 1.1 + (64 << 20), **sizes}
    return found


def start(context, model, dtype):
    """Seconds from starting the process to its end, having printed one token, files being in
    the page cache; for PyTorch: to the end of a script that does the same. Each program's
    runs follow each other at once: the first finds memory that the machine's host may have to
    give anew, the others what the one before has freed. `touch` is what the memory of the
    packed weights alone costs: seconds to write to each page of as many bytes, twice."""
    folder, weights = link_checkpoint(context, model)
    link = context.compiler.build(folder, dtype, "link")
    embed = context.compiler.build(folder, dtype, "embed")
    command = lambda exe: [exe.path, "--quiet", "generate", "-p", "Once", "-n", "1", "--temp", "0"]
    people = {"tnllm link": command(link), "tnllm embed": command(embed)}
    if context.torch_kinds and dtype in ("f32", "bf16"):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_first_token.py")
        people["torch eager"] = [sys.executable, script, json.dumps(link.spec), weights, dtype]
    subprocess.run(["cat", weights, embed.path], stdout=subprocess.DEVNULL, check=True)
    found = {}
    for name, line in people.items():
        samples = run_times(line, 4 if context.quick or name.startswith("torch") else 8)
        found[name] = {"first": samples[0], **summary(samples[1:])}
        say(f"  {model} {dtype} start, {name}: first {samples[0]:.2f} s, then {found[name]['median']:.2f} s")
    time.sleep(5)  # the host takes free memory back in the meantime
    found["touch"] = touch_memory(context.peers, link.manifest["parameter_bytes"] >> 20)
    return found


def run_times(command, count):
    time.sleep(5)  # so that the first finds memory which the host has taken back
    samples = []
    for _ in range(count):
        begin = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **TORCH_ENVIRONMENT})
        samples.append(time.perf_counter() - begin)
        if done.returncode:
            tail = " / ".join(done.stderr.strip().splitlines()[-1:])
            raise RuntimeError(f"{os.path.basename(command[0])}: exit {done.returncode}: {tail}")
    return samples


def compile_times(context, model, how=None):
    """Whole runs of the compiler with --mlir-timing; the phases are those of the median run. `how`
    is None, for a spec, or "link" or "embed", for a checkpoint of f32 in the page cache."""
    source = model
    if how:
        source, weights = link_checkpoint(context, model)
        subprocess.run(["cat", weights], stdout=subprocess.DEVNULL, check=True)
    with tempfile.TemporaryDirectory(dir=context.compiler.work) as folder:
        path = os.path.join(folder, "exe")
        runs = sorted(context.compiler.phases(source, "f32", path, how) for _ in range(3 if context.quick else 5))
    seconds, phases = runs[len(runs) // 2]
    say(f"  compile {model}{how and f', {how}' or ''}: {seconds:.2f} s")
    return {**summary([r[0] for r in runs]), "phases": phases}


def perplexity(context):
    return demo_perplexity.perplexity(context.compiler.tnllmc, ROOT, context.work)
