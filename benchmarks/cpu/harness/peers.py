"""PyTorch as participants of turns: workers, thread counts, and what failed."""
import os
import statistics

from kinds import KINDS, is_compiled, worker_options
from programs import TorchWorker, say


def choose_threads(measure, counts, pairs=3, clear=1.5):
    """The fastest count by the median of alternating samples, and the samples. It ends
    early when a count is so much faster that the noise cannot change the choice."""
    samples = {count: [] for count in counts}
    for _ in range(pairs):
        for count in counts:
            samples[count].append(measure(count))
        middle = sorted(statistics.median(s) for s in samples.values())
        if len(middle) == 1 or middle[0] * clear < middle[1]:
            break
    return min(samples, key=lambda c: statistics.median(samples[c])), samples


class Peers:
    """The workers of one model and dtype. Those of a kind without frozen graphs serve all
    rows; a frozen one holds a second copy of the weights for each graph and serves one."""

    def __init__(self, spec, dtype, kinds, weights_bytes):
        self.spec, self.dtype, self.kinds, self.weights_bytes = spec, dtype, list(kinds), weights_bytes
        self.workers = {}  # by options and, of frozen ones, by graph
        self.threads, self.warmups, self.errors, self.memory, self.slow = {}, {}, {}, {}, set()
        self.left = {}  # kinds that had to go for want of memory, and why

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close(lambda key: True)

    def close(self, which):
        for key in [k for k in self.workers if which(k)]:
            self.workers.pop(key).close()

    def worker(self, kind, graph):
        key = worker_key(kind, graph)
        if key not in self.workers:
            options = worker_options(kind)
            self.close(lambda k: options["frozen"] and k[1])
            self.make_room(graph, 3 if options["frozen"] else 1)
            say(f"  loading PyTorch for {kind}")
            self.workers[key] = TorchWorker(spec=self.spec, dtype=self.dtype, **options)
        return self.workers[key]

    def make_room(self, graph, copies):
        """Ends the worker whose kinds were slowest on this graph until there is memory for
        so many copies of the weights. The fastest never goes."""
        need = copies * self.weights_bytes + (1 << 30)
        while available_memory() < need:
            trial = {k: min(map(statistics.median, self.threads[f"{graph} {k}"]["samples"].values()))
                     for k in self.kinds if f"{graph} {k}" in self.threads}
            best = {}  # seconds of each worker's fastest kind
            for kind, seconds in trial.items():
                key = worker_key(kind, graph)
                if key in self.workers:
                    best[key] = min(seconds, best.get(key, seconds))
            if len(best) < 2:
                raise RuntimeError(f"not enough memory: {available_memory() >> 20} MiB, expected {need >> 20}")
            slowest = max(best, key=best.get)
            for kind in [k for k in trial if worker_key(k, graph) == slowest]:
                self.left[f"{graph} {kind}"] = f"left for want of memory, its best trial {best[slowest]:.4g} s, the fastest peer's {min(best.values()):.4g} s"
                self.slow.add((kind, graph))
            self.close(lambda k: k == slowest)

    def participants(self, row, graph, op, choice, **arguments):
        """Functions that give seconds, one for each kind that runs. Rows of one graph share
        its thread count, which is chosen with the arguments `choice`."""
        found = {}
        # Other graphs' frozen weights, and workers that have ended: a new one may do better.
        self.close(lambda key: key[1] and key[2] != graph or self.workers[key].process.poll() is not None)
        for kind in self.kinds:
            if (kind, graph) in self.slow:
                continue
            try:
                worker = self.worker(kind, graph)
                threads = self.chosen(kind, graph, worker, op, {**arguments, **choice})
            except RuntimeError as error:
                self.errors[f"{row} {kind}"] = str(error)
                self.close(lambda key: self.workers[key].process.poll() is not None)
                say(f"  {kind}, {row}: {error}")
                continue
            self.memory[f"{row} {kind}"] = worker.memory()
            found[kind] = lambda k=kind, t=threads: self.seconds(self.worker(k, graph), k, op, t, arguments)
        return {k: f for k, f in found.items() if (k, graph) not in self.slow}

    def chosen(self, kind, graph, worker, op, arguments):
        key = f"{graph} {kind}"
        if key not in self.threads:
            self.warm(worker, kind, graph, op, arguments)
            threads, samples = choose_threads(lambda t: self.seconds(worker, kind, op, t, arguments),
                                              sorted({os.cpu_count(), 1}, reverse=True))
            self.threads[key] = {"threads": threads, "samples": samples}
        return self.threads[key]["threads"]

    def warm(self, worker, kind, graph, op, arguments):
        """The first call compiles; its seconds are kept apart."""
        answer = worker.ask(op, compiled=is_compiled(kind), threads=os.cpu_count(), **arguments)
        self.warmups[f"{graph} {kind}"] = answer["warmup"]

    def seconds(self, worker, kind, op, threads, arguments):
        return statistics.median(worker.ask(op, compiled=is_compiled(kind), threads=threads, **arguments)["seconds"])

    def left_turns(self, graph, turns):
        """Keeps a kind that was clearly slower, or failed, out of the graph's later rows."""
        self.slow |= {(kind, graph) for kind in [*turns.sat_out, *turns.errors] if kind in KINDS}

    def record(self):
        return {"torch_threads": self.threads, "torch_warmup_seconds": self.warmups, "torch_memory": self.memory,
                "torch_errors": self.errors, "torch_left": self.left}


def worker_key(kind, graph):
    options = worker_options(kind)
    return options["packed"], options["frozen"], graph if options["frozen"] else None


def available_memory():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
