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

ROWS = ("verify", "bandwidth", "products", "decode", "prefill", "linearity", "position", "memory", "start", "compile")


def arguments():
    parser = argparse.ArgumentParser(prog="benchmarks/cpu/run", description=__doc__)
    parser.add_argument("--tnllmc", default=os.path.join(ROOT, "build/release/bin/tnllmc"), help="the compiler to use")
    parser.add_argument("--quick", action="store_true", help="385M, few rounds, no compiled PyTorch")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help="these rows: " + ", ".join(ROWS))
    parser.add_argument("--models", default=None, help="of examples/specs (385m,1b)")
    parser.add_argument("--dtypes", default="f32,bf16", help="list (f32,bf16)")
    parser.add_argument("--no-torch", action="store_true", help="without PyTorch")
    parser.add_argument("--longest", type=float, default=600, help="seconds that one prefill length may take")
    parser.add_argument("--output", help="JSON file (benchmarks/results/cpu/DATE-CPU.json; build/bench-work with --quick or --only)")
    parser.add_argument("--docs", action="store_true", help="also write docs/Benchmarks-CPU.md's table and plot")
    options = parser.parse_args()
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


def model_rows(context, options, results):
    wanted = [r for r in ("products", "decode", "prefill") if r in options.only]
    for model in options.models if wanted else []:
        for dtype in options.dtypes:
            say(f"{model} {dtype}")
            found = results["models"].setdefault(model, {}).setdefault(dtype, {})
            with rows.ModelRows(context, model, dtype) as table:
                if "products" in wanted:
                    found["products"] = table.products()
                if "decode" in wanted:
                    found["decode"] = {str(b): table.decode(b) for b in (1, 8)}
                if "prefill" in wanted:
                    found["prefill"] = {str(n): table.prefill(n) for n in ((512,) if context.quick else (512, 4096))}
                found["torch_threads"], found["torch_warmup_seconds"] = table.threads, table.warmups
            save(options, results)


def single_rows(context, options, results):
    model = options.models[0]
    if "linearity" in options.only:
        say(f"{model} prefill over lengths")
        results["linearity"] = {d: rows.linearity(context, model, d) for d in options.dtypes[: 1 if context.quick else None]}
    if "position" in options.only:
        results["position"] = {d: rows.position(context, model, d) for d in options.dtypes}
    if {"memory", "start"} & set(options.only):
        folder, weights = rows.link_checkpoint(context, model)
        if "memory" in options.only:
            results["memory"] = {d: rows.memory(context, model, d, folder) for d in options.dtypes}
        if "start" in options.only:
            results["start"] = {d: rows.start(context, d, folder, weights) for d in options.dtypes}
    if "compile" in options.only:
        results["compile"] = rows.compile_times(context)


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
    results = {"machine": machine.describe(), "quick": options.quick, "busy_cores_before": busy,
               "versions": versions(context), "models": {}}
    if busy > 0.1:
        say(f"note: {busy:.1f} cores are busy with other work; these timings will not be worth keeping")
    if "verify" in options.only and context.torch_kinds:
        results["verify"] = verify(context.compiler, options.dtypes, not options.quick)
        say("same logits: " + ", ".join(f"{n} {e:.1e}" for n, e in results["verify"].items()))
    if "bandwidth" in options.only:
        results["bandwidth"] = read_bandwidth(context.peers, 3 if options.quick else 10)
        say(f"read bandwidth {results['bandwidth']['bytes_per_second'] / 1e9:.1f} GB/s")
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
