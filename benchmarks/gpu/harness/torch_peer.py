#!/usr/bin/env python3
"""TransNormerLLM in PyTorch on a GPU in its best form, timed beside the executables.

torch_peer.py SPEC [--batch 1,8,64] [--prompt 2048,32768] [--modes default,...] [--no-energy]
              [--share I/N] [--wait]

Decoding is torch_model.py's step with the choice of the token, compiled (torch.compile, each
of --modes, without cudagraphs of its own, whose rules about inputs that change would leave it
out) and captured as a CUDA graph; its time is that of replays one after the other, without a
word to the host between them. What is compiled are pieces from one product of the gates to the
next, so that all that can be fused lies within a piece, and all layers but the first share
one. Prefill is what is around attention compiled (default: its products are cuBLAS's in any
mode), attention by flash-linear-attention, captured as a CUDA graph too, and beside it without
graph and compilation. Random weights and ids, bf16, states in f32.

With --share it does one of every N of these. All are prepared before the first is timed; with
--wait it says {"prepared": seconds} then and waits for a line of standard input, so that others
can prepare beside it and be timed one after the other.

Each row is a line of JSON on standard output as soon as it is measured.
"""
import argparse
import json
import os
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "cpu")]


def read_spec(path):
    """The keys of an example's spec: `key: value` lines and lists."""
    with open(path, encoding="utf-8") as file:
        text = "\n".join(line.split("#")[0].rstrip() for line in file)
    spec = {}
    for entry in text.replace(",\n", ",").split("\n"):
        key, colon, value = entry.partition(":")
        if not colon:
            continue
        value = value.strip()
        try:
            spec[key.strip()] = json.loads(value)
        except ValueError:
            spec[key.strip()] = value
    return spec


def numbers(text):
    return [int(number) for number in text.split(",") if number]


class Peer:
    def __init__(self, torch, spec):
        from torch_model import Config, TransNormer

        self.torch = torch
        self.model = TransNormer(Config.from_spec(spec), torch.bfloat16)
        for matrix in self.model.matrices():
            matrix.normal_(0, 0.02)
        for block in self.model.blocks:
            if block.theta is not None:
                i = torch.arange(block.theta.numel(), dtype=torch.float64)
                block.theta.copy_((10000.0 ** (-2 * i / i.numel())).view(block.theta.shape))

    def compile(self, function, mode):
        return self.torch.compile(function, mode=None if mode == "default" else mode, dynamic=False)

    def captured(self, body):
        """A graph of `body`, once it has compiled and warmed up."""
        cuda = self.torch.cuda
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(3):
                body()
        cuda.current_stream().wait_stream(side)
        cuda.synchronize()
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            body()

        def replay():
            graph.replay()

        replay.keeps = body  # the tensors that the graph works on
        return replay

    def decode(self, batch, mode):
        """A step of generation, its tokens chosen greedily."""
        from torch_model import linear, srms_norm

        torch, model = self.torch, self.model
        ids = torch.randint(0, model.config.vocab_size, (batch, 1))
        position, states = torch.zeros(()), model.new_states(batch)

        def first(ids, block, position, state):
            x = model.embedded(ids)
            return block.gate(x, *block.recur(x, position, state))

        def middle(before, x, product, block, position, state):
            x = x + linear(product, before.l3)
            return block.gate(x, *block.recur(x, position, state))

        def last(before, x, product, ids, position):
            x = x + linear(product, before.l3)
            ids.copy_(linear(srms_norm(x[:, 0]), model.head).float().argmax(-1, keepdim=True))
            position.add_(1)

        first, middle, last = (self.compile(f, mode) for f in (first, middle, last))
        blocks = list(model.blocks)

        def step():
            x, product = first(ids, blocks[0], position, states[0])
            for before, block, state in zip(blocks, blocks[1:], states[1:]):
                x, product = middle(before, x, product, block, position, state)
            last(blocks[-1], x, product, ids, position)

        return self.captured(step)

    def prefill(self, tokens, mode):
        import fla_choices
        from fla.ops.simple_gla import chunk_simple_gla
        from torch_model import linear, srms_norm

        fla_choices.shorten()
        torch, model = self.torch, self.model
        ids = torch.randint(0, model.config.vocab_size, (1, tokens))
        states = model.new_states(1)
        slopes = [-block.decay.log().flatten() for block in model.blocks]
        position = torch.zeros(())

        def project(block, x):
            q, k, v, u = block.project(x, position)
            return q.contiguous(), k.contiguous(), v.contiguous(), u

        def first(ids):
            x = model.embedded(ids)
            return x, *project(model.blocks[0], x)

        def between(block, after, x, o, u):
            x = block.finish(x, o.view(1, tokens, -1), u)
            return x, *project(after, x)

        def last(block, x, o, u):
            x = block.finish(x, o.view(1, tokens, -1), u)
            return linear(srms_norm(x[:, -1]), model.head).float().argmax(-1)

        if mode:
            first, between, last = (self.compile(f, mode) for f in (first, between, last))

        def run():
            x, q, k, v, u = first(ids)
            for layer, block in enumerate(model.blocks):
                o, state = chunk_simple_gla(q, k, v, g_gamma=-slopes[layer], scale=1.0, output_final_state=True)
                states[layer].copy_(state)
                if layer + 1 < len(model.blocks):
                    x, q, k, v, u = between(block, model.blocks[layer + 1], x, o, u)
            return last(block, x, o, u)

        return self.captured(run) if mode else run


def seconds_of(torch, body, least=0.5):
    """Seconds of one run: the median of groups between events."""
    cuda = torch.cuda

    def group(count):
        begin, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(count):
            body()
        end.record()
        cuda.synchronize()
        return begin.elapsed_time(end) / 1e3 / count

    group(3)
    count = max(1, min(50, int(0.05 / max(group(1), 1e-6))))
    times, began = [], time.perf_counter()
    while len(times) < 5 or time.perf_counter() - began < least:
        times.append(group(count))
    return sorted(times)[len(times) // 2]


def measure(torch, meter, body, tokens):
    from energy import joules_of_run

    seconds = seconds_of(torch, body)
    row = {"seconds": seconds}
    if meter:
        count = max(1, int(0.02 / seconds))

        def work():
            for _ in range(count):
                body()
            torch.cuda.synchronize()

        row["joules_per_token"] = joules_of_run(meter.joules, work) / count / tokens
    return row


def guarded(row, work):
    """What `work` gives; a failure is told in the row, and the next one goes on."""
    try:
        return work()
    except Exception as why:
        print(f"{row['form']}: {why}"[:4000], file=sys.stderr, flush=True)
        row["error"] = " ".join(f"{type(why).__name__}: {why}".split())[:300]
        return None


def prepare(torch, row, make):
    """The body to be timed, compiled and run once."""
    def work():
        body = make()
        body()
        torch.cuda.synchronize()
        return body

    began = time.perf_counter()
    body = guarded(row, work)
    row["preparation_seconds"] = time.perf_counter() - began
    torch._dynamo.reset()
    torch.cuda.empty_cache()
    return body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spec")
    parser.add_argument("--batch", type=numbers, default=[1, 8, 64])
    parser.add_argument("--prompt", type=numbers, default=[2048, 32768])
    parser.add_argument("--modes", type=lambda text: text.split(","), default=["default"],
                        help="of torch.compile: default, max-autotune-no-cudagraphs")
    parser.add_argument("--no-energy", action="store_true")
    parser.add_argument("--share", type=lambda text: [int(n) for n in text.split("/")], default=[0, 1])
    parser.add_argument("--wait", action="store_true")
    args = parser.parse_args()

    import torch
    from energy import Meter, bus_of

    torch.set_grad_enabled(False)
    torch.set_default_device("cuda")
    torch.manual_seed(1)
    spec = read_spec(args.spec)
    meter = None
    if not args.no_energy:
        try:
            meter = Meter(bus_of(torch))
        except OSError as why:
            print(f"energy is left out: {why}", file=sys.stderr)
    torch._dynamo.config.recompile_limit = 64
    peer = Peer(torch, spec)
    jobs = [("decode", f"compiled ({mode}), CUDA graph", {"batch": b}, b, lambda b=b, m=mode: peer.decode(b, m))
            for mode in args.modes for b in args.batch]
    for tokens in args.prompt:
        jobs.append(("prefill", "eager, fla", {"tokens": tokens}, tokens, lambda n=tokens: peer.prefill(n, None)))
        jobs.append(("prefill", "compiled (default), fla, CUDA graph", {"tokens": tokens}, tokens,
                     lambda n=tokens: peer.prefill(n, "default")))
    began, prepared = time.perf_counter(), []
    for phase, form, size, tokens, make in jobs[args.share[0]::args.share[1]]:
        row = {"phase": phase, "form": form, "model": spec["name"], **size}
        prepared.append((row, tokens, prepare(torch, row, make)))
    if args.wait:
        print(json.dumps({"prepared": time.perf_counter() - began}), flush=True)
        sys.stdin.readline()
    for row, tokens, body in prepared:
        if body:
            row.update(guarded(row, lambda: measure(torch, meter, body, tokens)) or {})
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
