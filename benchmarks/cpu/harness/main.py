"""The CPU benchmark's table from beginning to end; ../run prepares what it needs."""
import argparse
import datetime
import json
import os
import sys

import machine
import report
import rows
from programs import ROOT, Compiler, read_bandwidth, say
from verify import verify

ROWS = ("verify", "bandwidth", "products", "decode", "prefill", "linearity", "position", "embed", "memory", "start", "compile")


def arguments():
    parser = argparse.ArgumentParser(prog="benchmarks/cpu/run", description=__doc__)
    parser.add_argument("--tnllmc", default=os.path.join(ROOT, "build/release/bin/tnllmc"), help="the compiler to use")
    parser.add_argument("--quick", action="store_true", help="385M, few rounds, no compiled PyTorch")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help="these rows: " + ", ".join(ROWS))
    parser.add_argument("--models", default=None, help="of examples/specs (385m,1b)")
    parser.add_argument("--dtypes", default="f32,bf16,int8", help="list (f32,bf16,int8)")
    parser.add_argument("--no-torch", action="store_true", help="without PyTorch")
    parser.add_argument("--longest", type=float, default=300, help="seconds that one prefill length may take")
    parser.add_argument("--output", help="JSON file (benchmarks/results/cpu/DATE-CPU.json; build/bench-work with --quick or --only)")
    parser.add_argument("--resume", action="store_true", help="keep the rows that the output file has; with --only, replace those")
    parser.add_argument("--docs", action="store_true", help="also write docs/Benchmarks-CPU.md's table and plot")
    options = parser.parse_args()
    options.only_given = bool(options.only)
    options.only = options.only or list(ROWS)
    options.models = (options.models or ("385m" if options.quick else "385m,1b")).split(",")
    options.dtypes = options.dtypes.split(",")
    return options


class Context:
    def __init__(self, options):
        self.work = os.path.join(ROOT, "build", "bench-work")
        os.makedirs(self.work, exist_ok=True)
        self.compiler = Compiler(os.path.abspath(options.tnllmc), self.work)
        self.peers = os.path.join(ROOT, "build", "bench-peers")
        self.quick, self.longest = options.quick, options.longest
        self.threads = {}  # of PyTorch, by dtype, way, operation and batch
        self.torch_kinds = list(rows.TORCH)
        if options.quick:
            self.torch_kinds.remove("torch compiled")
        if options.no_torch:
            self.torch_kinds = []


def versions(context):
    found = {"python": sys.version.split()[0], "compiler": context.compiler.build("385m", "f32").manifest["compiler"],
             "commit": machine.first_line(["git", "-C", ROOT, "rev-parse", "HEAD"]),
             "g++": machine.first_line(["g++", "--version"])}
    for package in ("libopenblas-pthread-dev", "libdnnl-dev"):
        found[package] = machine.first_line(["dpkg-query", "-W", "-f", "${Version}", package])
    if context.torch_kinds:
        import torch
        found["torch"] = torch.__version__
        found["torch onednn"] = next((l.strip(" -") for l in torch.__config__.show().split("\n") if "MKL-DNN" in l), "")
    return found


class Saved:
    """The results so far. A row that --resume found in the file is not measured again,
    unless --only names it; each new one is written at once."""

    def __init__(self, options, results):
        self.options, self.results = options, results

    def row(self, place, key, name, measure):
        if name not in self.options.only or (key in place and not self.options.only_given):
            return
        place[key] = measure()
        save(self.options, self.results)

    def lacks(self, found, names):
        return any(n in self.options.only and (n not in found or self.options.only_given) for n in names)


MODEL_ROWS = {"products": None, "decode": (1, 8), "batch": None, "prefill": (512, 4096)}


def model_rows(context, options, results):
    saved = Saved(options, results)
    for model in options.models:
        for dtype in options.dtypes:
            found = results["models"].setdefault(model, {}).setdefault(dtype, {})
            if not saved.lacks(found, MODEL_ROWS):
                continue
            say(f"{model} {dtype}")
            with rows.ModelRows(context, model, dtype) as table:
                if dtype != "int8":
                    saved.row(found, "products", "products", table.products)
                measure = lambda of, keys: lambda: {str(k): of(k) for k in keys}
                saved.row(found, "decode", "decode", measure(table.decode, MODEL_ROWS["decode"]))
                saved.row(found, "batch", "decode", table.batch_cost)
                tokens = MODEL_ROWS["prefill"][: 1 if context.quick else None]
                saved.row(found, "prefill", "prefill", measure(table.prefill, tokens))
                found.setdefault("torch_threads", {}).update(table.threads)
                found.setdefault("torch_warmup_seconds", {}).update(table.warmups)
            save(options, results)


def single_rows(context, options, results):
    saved = Saved(options, results)
    model = options.models[0]

    def each(name, dtypes, measure):
        place = results.setdefault(name, {})
        for dtype in dtypes:
            saved.row(place, dtype, name, lambda: measure(dtype))
        if not place:
            del results[name]

    floats = [d for d in options.dtypes if d != "int8"]
    each("linearity", floats, lambda d: rows.linearity(context, model, d))
    each("position", options.dtypes, lambda d: rows.position(context, model, d))
    if {"embed", "memory", "start"} & set(options.only):
        folder, weights = rows.link_checkpoint(context, model)
        each("embed", options.dtypes, lambda d: rows.embed(context, model, d, folder))
        each("memory", options.dtypes, lambda d: rows.memory(context, model, d, folder))
        each("start", options.dtypes, lambda d: rows.start(context, d, folder, weights))
    saved.row(results, "compile", "compile", lambda: rows.compile_times(context))


def save(options, results):
    os.makedirs(os.path.dirname(options.output), exist_ok=True)
    with open(options.output, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")


def main():
    options = arguments()
    if not os.access(options.tnllmc, os.X_OK):
        sys.exit(f"run: no compiler at {options.tnllmc}: build it with 'make release', or name one with --tnllmc")
    context = Context(options)
    whole = not options.quick and set(options.only) == set(ROWS)
    if not options.output:
        date = datetime.date.today().isoformat()
        folder = os.path.join(ROOT, "benchmarks/results/cpu") if whole else context.work
        options.output = os.path.join(folder, f"{date}-{machine.cpu_slug()}.json")
    busy = machine.other_load()
    results = {}
    if options.resume and os.path.exists(options.output):
        with open(options.output) as file:
            results = json.load(file)
    results.setdefault("models", {})
    results.update(machine=machine.describe(), quick=options.quick, busy_cores_before=busy,
                   versions=versions(context))
    if busy > 0.1:
        say(f"note: {busy:.1f} cores are busy with other work; these timings will not be worth keeping")
    saved = Saved(options, results)
    if context.torch_kinds:
        saved.row(results, "verify", "verify", lambda: verify(
            context.compiler, options.dtypes, "torch compiled" in context.torch_kinds))
    saved.row(results, "bandwidth", "bandwidth", lambda: read_bandwidth(context.peers, 3 if options.quick else 10))
    model_rows(context, options, results)
    single_rows(context, options, results)
    results["busy_cores_after"] = machine.other_load()
    save(options, results)
    table = report.markdown(results)
    print(table)
    say(f"results: {os.path.relpath(options.output, ROOT)}")
    if options.docs:
        report.write_docs(results, ROOT)


if __name__ == "__main__":
    main()
