"""The CPU benchmark's table from beginning to end; ../run prepares what it needs. The exit
status is 1 where a target of a measured row is missed or could not be measured."""
import argparse
import datetime
import json
import os
import subprocess
import sys
import time

import machine
import report
import rows
import singles
from kinds import KINDS, applies
from programs import ROOT, Compiler, read_bandwidth, say
from targets import is_kept
from verify import agrees, verify

ROWS = ("verify", "bandwidth", "products", "decode", "prefill", "linearity", "position", "embed", "memory", "start",
        "compile", "perplexity")
FORMAT = 3  # of the JSON file
BATCHES, TOKENS = (1, 8), (512, 4096)


def arguments():
    parser = argparse.ArgumentParser(prog="benchmarks/cpu/run", description=__doc__)
    parser.add_argument("--tnllmc", default=os.path.join(ROOT, "build/release/bin/tnllmc"), help="the compiler to use")
    parser.add_argument("--quick", action="store_true", help="385M, few rounds, no compiled PyTorch")
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help="these rows: " + ", ".join(ROWS))
    parser.add_argument("--models", default=None, help="of examples/specs (385m,1b)")
    parser.add_argument("--dtypes", default="f32,bf16,int8", help="list (f32,bf16,int8)")
    parser.add_argument("--no-torch", action="store_true", help="without PyTorch")
    parser.add_argument("--longest", type=float, default=400, help="seconds that one run of a prompt may take")
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
        self.quick, self.longest, self.dtypes = options.quick, options.longest, options.dtypes
        self.tokens = TOKENS[: 1 if options.quick else None]
        self.torch_kinds = [] if options.no_torch else [k for k in KINDS if not (options.quick and "compiled" in KINDS[k])]
        self.verified = {}  # by dtype and kind, where the row has been measured

    def kinds_for(self, dtype):
        """A kind that does not compute the model is not timed."""
        found = self.verified.get(dtype, {})
        return [k for k in self.torch_kinds if applies(k, dtype) and (k not in found or agrees(found[k]))]


def versions(context):
    found = {"python": sys.version.split()[0], "compiler": context.compiler.build("385m", "f32").manifest["compiler"],
             **machine.checkout(ROOT, context.compiler.tnllmc), "g++": machine.first_line(["g++", "--version"])}
    for package in ("libopenblas-pthread-dev", "libdnnl-dev"):
        found[package] = machine.first_line(["dpkg-query", "-W", "-f", "${Version}", package])
    if context.torch_kinds:
        import torch
        found["torch"] = torch.__version__
        found["torch onednn"] = next((l.strip(" -") for l in torch.__config__.show().split("\n") if "MKL-DNN" in l), "")
    return found


class Saved:
    """The results so far. A row that --resume found in the file is not measured again,
    unless --only names it; each new one is written at once, and what failed is too."""

    def __init__(self, options, results):
        self.options, self.results = options, results

    def row(self, place, key, name, label, measure):
        if not self.wanted(place, key, name):
            return
        say(label)
        begin, load, errors = time.monotonic(), machine.OtherLoad(), self.results["errors"]
        try:
            place[key] = measure()
            errors.pop(label, None)
        except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
            place.pop(key, None)
            errors[label] = f"{type(error).__name__}: {error}"
            say(f"  not measured: {errors[label]}")
        self.results["rows"][label] = {"seconds": time.monotonic() - begin, "other_cores": load.cores(),
                                       "run": len(self.results["runs"]) - 1}
        save(self.options, self.results)

    def wanted(self, place, key, name):
        return name in self.options.only and (key not in place or self.options.only_given)


def model_rows(context, options, results):
    saved = Saved(options, results)
    for model in options.models:
        for dtype in options.dtypes:
            found = results["models"].setdefault(model, {}).setdefault(dtype, {})
            with rows.ModelRows(context, model, dtype) as table:
                of_model(saved, found, table, f"{model} {dtype}", context)
                if table.peers.threads or table.memory:
                    for key, value in table.record().items():
                        found.setdefault(key, {}).update(value)
            save(options, results)


def of_model(saved, found, table, label, context):
    # Two copies of the model, so before PyTorch's.
    saved.row(found, "batch", "decode", f"batch, {label}", table.batch_cost)
    for batch in BATCHES:
        saved.row(found.setdefault("decode", {}), str(batch), "decode", f"decode {batch}, {label}",
                  lambda: table.decode(batch))
    for tokens in context.tokens:
        if table.dtype != "int8":
            saved.row(found.setdefault("products", {}), str(tokens), "products", f"products {tokens}, {label}",
                      lambda: table.products(tokens))
        saved.row(found.setdefault("prefill", {}), str(tokens), "prefill", f"prefill {tokens}, {label}",
                  lambda: table.prefill(tokens))


SINGLES = {"linearity": singles.linearity, "position": singles.position, "embed": singles.embed,
           "memory": singles.memory, "start": singles.start}
FIRST_MODEL_ONLY = ("embed", "start")


def single_rows(context, options, results):
    saved = Saved(options, results)
    for name, measure in SINGLES.items():
        for model in options.models[:1] if name in FIRST_MODEL_ONLY else options.models:
            for dtype in options.dtypes:
                place = results.setdefault(name, {}).setdefault(model, {})
                saved.row(place, dtype, name, f"{name}, {model} {dtype}", lambda: measure(context, model, dtype))
    for name in ("385m", "385m, link", "385m, embed", "1b", "7b"):
        saved.row(results.setdefault("compile", {}), name, "compile", f"compile {name}",
                  lambda: singles.compile_times(context, *name.split(", ")))
    if context.torch_kinds:
        saved.row(results, "perplexity", "perplexity", "perplexity", lambda: singles.perplexity(context))


def save(options, results):
    os.makedirs(os.path.dirname(options.output), exist_ok=True)
    with open(options.output + ".part", "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(options.output + ".part", options.output)


def opened(options):
    """The results that --resume goes on with, or none; and what they are to hold at the end."""
    results = {}
    if options.resume and os.path.exists(options.output):
        with open(options.output) as file:
            results = json.load(file)
        if results.get("format") != FORMAT:
            sys.exit(f"run: {options.output} is of another version of this program, expected format {FORMAT}: "
                     "measure without --resume")
    results["format"] = FORMAT
    for key in ("models", "errors", "rows"):
        results.setdefault(key, {})
    plan = {"rows": options.only, "models": options.models, "dtypes": options.dtypes}
    before = results.get("expected", {})
    results["expected"] = {key: [*before.get(key, []), *(v for v in values if v not in before.get(key, []))]
                           for key, values in plan.items()}
    results["expected"]["torch"] = not options.no_torch or before.get("torch", False)
    results["expected"]["tokens"] = [str(t) for t in TOKENS[: 1 if options.quick else None]]
    return results


def measure(context, options, results):
    saved = Saved(options, results)
    if context.torch_kinds:
        saved.row(results, "verify", "verify", "verify",
                  lambda: verify(context.compiler, options.dtypes, context.torch_kinds))
    context.verified = results.get("verify", {})
    saved.row(results, "bandwidth", "bandwidth", "bandwidth",
              lambda: read_bandwidth(context.peers, 3 if options.quick else 10))
    model_rows(context, options, results)
    single_rows(context, options, results)


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
    options.output = os.path.abspath(options.output)
    busy, results, begin = machine.other_load(), opened(options), time.monotonic()
    # One for each time this program went on with the file; a row has the number of its run.
    run = {"machine": machine.describe(), "versions": versions(context), "busy_cores_before": busy}
    results.setdefault("runs", []).append(run)
    results["quick"] = options.quick
    if busy > 0.1:
        say(f"note: {busy:.1f} cores are busy with other work; these timings will not be worth keeping")
    measure(context, options, results)
    run.update(busy_cores_after=machine.other_load(), minutes=(time.monotonic() - begin) / 60)
    save(options, results)
    print(report.markdown(results))
    say(f"results: {os.path.relpath(options.output, ROOT)}")
    if options.docs:
        report.write_docs(results, ROOT)
    return 0 if is_kept(results) else 1


if __name__ == "__main__":
    sys.exit(main())
