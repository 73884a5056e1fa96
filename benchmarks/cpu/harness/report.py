"""Results as a Markdown table, a plot, and the page docs/Benchmarks-CPU.md."""
import os

from kinds import KINDS, TITLES
from targets import best_peer, between, percent, targets, times, verdict

TABLE_BEGIN, TABLE_END = "<!-- table: benchmarks/cpu/run --docs -->\n", "<!-- end of table -->\n"


def grid(header, lines):
    text = "| " + " | ".join(header) + " |\n|" + " --- |" * len(header) + "\n"
    return text + "".join("| " + " | ".join(str(c) for c in line) + " |\n" for line in lines) + "\n"


def of_kind(results, kind):
    """(model, dtype, key, row) of every decode or prefill row."""
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            for key, row in found.get(kind, {}).items():
                yield model, dtype, key, row


def rate(row, name):
    """Tokens per second by the median turn; None for who took no part."""
    found = (row.get("seconds_per_step") or row.get("seconds")).get(name)
    return row.get("batch", row.get("tokens", 1)) / found["median"] if found else None


def peer_cells(row):
    """Rates, in brackets where the peer sat out the later turns, and the ratio to the best."""
    samples = row.get("seconds_per_step") or row.get("seconds")
    cells = []
    for kind in KINDS:
        value = rate(row, kind)
        shown = "" if value is None else f"{value:.1f}"
        cells.append(f"({shown})" if "sat_out" in samples.get(kind, {}) else shown)
    _, ratio = best_peer(row)
    return cells + [between(ratio, times) if ratio else ""]


PEERS = [*TITLES.values(), "ahead of the best"]


def decode_table(results):
    lines = []
    for model, dtype, batch, row in of_kind(results, "decode"):
        share = row["of_read_bandwidth"]
        turn = share["turn"]
        lines.append([model, dtype, batch, f"{rate(row, 'tnllm'):.1f}", f"{turn['rate'] / 1e9:.1f}",
                      f"{turn['meter'] / 1e9:.1f}", between(share, percent), *peer_cells(row)])
    header = ["model", "dtype", "batch", "tok/s", "GB/s", "meter GB/s", "of the meter", *PEERS]
    return "### Decode\n\n" + grid(header, lines) if lines else ""


def batch_costs(results):
    lines = [f"{model} {dtype} {between(found['batch']['ratio'], times)}" for model, dtypes in results["models"].items()
             for dtype, found in dtypes.items() if "batch" in found]
    return "A step of batch 8 costs, of one of batch 1: " + ", ".join(lines) + ".\n\n" if lines else ""


def prefill_table(results):
    lines = []
    for model, dtype, tokens, row in of_kind(results, "prefill"):
        products = results["models"][model][dtype].get("products", {}).get(tokens, {})
        best, flops = products.get("best_flops_per_second", 0), row["flops_per_second"]["median"]
        lines.append([model, dtype, tokens, f"{rate(row, 'tnllm'):.0f}", f"{flops / 1e9:.0f}",
                      percent(flops / best) if best else "", between(row["of_f32"], times) if row["of_f32"] else "",
                      *peer_cells(row)])
    header = ["model", "dtype", "tokens", "tok/s", "GFLOP/s", "of the best product", "of f32", *PEERS]
    return "### Prefill\n\n" + grid(header, lines) if lines else ""


def product_table(results):
    lines = []
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            for rows, products in found.get("products", {}).items():
                named = sorted(products["flops_per_second"].items(), key=lambda x: -x[1])
                named.append(("the fastest for each shape", products["best_flops_per_second"]))
                lines += [[model, dtype, rows, library, f"{value / 1e9:.0f}"] for library, value in named if value]
    return "### Raw products\n\n" + grid(["model", "dtype", "rows", "library", "GFLOP/s"], lines) if lines else ""


# Of the compiler (tools/tnllmc/Compilation.cpp), as --mlir-timing names them.
PHASES = ("Read the model", "Build the tn module", "Simplify tn", "Form kernels", "Plan memory", "Lower kernels",
          "Translate to LLVM IR", "Optimise", "Generate code", "Link")


def each(results, name):
    """("model dtype", row) of a row that stands beside the models' table."""
    for model, dtypes in results.get(name, {}).items():
        for dtype, row in dtypes.items():
            yield f"{model} {dtype}", row


def linearity_lines(results):
    for label, row in each(results, "linearity"):
        cells = [f"{n}: {t['median'] * 1e6:.1f} ({t['ratio']:.3f} of {row['short']} tokens around it)"
                 for n, t in row["lengths"].items()]
        cells += [f"{n}: not measured, {why}" for n, why in row["left_out"].items()]
        yield f"Prefill, {label}, us per token by length: {'; '.join(cells)}."


def pair_lines(results):
    for name, below, above, what in (
            ("position", "10", "100000", "at position {} {:.2f}, at {} {:.2f}"),
            ("embed", "link", "embed", "with weights of way {} (on huge pages) {:.2f}, of way {} (mapped in small pages) {:.2f}")):
        for label, row in each(results, name):
            found = row["seconds_per_step"]
            a, b = (found[k]["median"] * 1e3 for k in (below, above))
            yield f"Decode, {label}, ms per token {what.format(below, a, above, b)}; ratio of the turns {between(row['ratio'], times)}."


STORED = {"f32": 1, "bf16": 1 / 2, "int8": 1 / 4}


def memory_lines(results):
    for label, ways in each(results, "memory"):
        peaks = ", ".join(f"{way} {m['peak_bytes'] / 2**20:.0f}" for way, m in ways.items())
        m = next(iter(ways.values()))
        small = m["linear_bytes"] + m["embedding_bytes"] * STORED[label.split()[-1]]
        strict = small * 1.1 + (64 << 20)
        kept = [w for w, found in ways.items() if found["peak_bytes"] <= strict]
        yield (f"Peak memory, {label}, MiB: {peaks}; weights {m['weights_bytes'] / 2**20:.0f}: linear maps "
               f"{m['linear_bytes'] / 2**20:.0f}, embedding table, in f32, {m['embedding_bytes'] / 2**20:.0f}. Were the table "
               f"stored as the maps are, the limit would be {strict / 2**20:.0f}: kept by {', '.join(kept) or 'none'}.")


def start_lines(results):
    for label, people in each(results, "start"):
        cells = [f"{n} {t['median']:.2f} s ({t['min']:.2f} to {t['max']:.2f}; the first {t['first']:.2f})"
                 for n, t in people.items() if n != "touch"]
        t = people["touch"]
        yield (f"Start to first token, {label}, files in the page cache: {', '.join(cells)}. Writing to each page "
               f"of {t['bytes'] / 2**20:.0f} MiB takes {t['again']:.2f} s (the first time {t['first']:.2f} s).")


def compile_lines(results):
    for model, t in results.get("compile", {}).items():
        longest = sorted((p for p in t["phases"].items() if p[0] in PHASES), key=lambda p: -p[1])[:4]
        yield (f"Compile {model}: {t['median']:.2f} s ({t['min']:.2f} to {t['max']:.2f}); in the median run "
               f"{', '.join(f'{n} {s:.2f} s' for n, s in longest)}.")


def perplexity_lines(results):
    found = results.get("perplexity")
    if found:
        cells = [f"{dtype} {value:.5f} ({found['bits_per_byte'][dtype]:.5f} bits per byte)"
                 for dtype, value in found["perplexity"].items()]
        yield (f"Perplexity of examples/demo on {found['bytes']:,} bytes ({found['tokens']:,} tokens) that its training "
               f"did not see: {', '.join(cells)}.")


def page_lines(results):
    """How much of each process lies on huge pages."""
    cells = []
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            for name in ("torch_memory", "tnllm_memory"):
                shares = [m["anonymous_huge_pages"] / m["resident"] for m in found.get(name, {}).values() if m.get("resident")]
                if shares:
                    cells.append(f"{model} {dtype} {name.split('_')[0]} {percent(min(shares))} to {percent(max(shares))}")
    if cells:
        yield f"Of the resident memory, on huge pages: {'; '.join(cells)}."


def load_lines(results):
    loads = {label: row["other_cores"] for label, row in results.get("rows", {}).items()}
    busy = sorted((label for label in loads if loads[label] > 0.1), key=loads.get, reverse=True)
    if loads:
        worst = max(loads, key=loads.get)
        text = f"Other programs' share of the cores during a row: at most {loads[worst]:.2f} cores ({worst})"
        yield text + (f"; above 0.1 in {len(busy)} of {len(loads)} rows." if busy else ".")
    for label, why in results.get("errors", {}).items():
        yield f"Not measured, {label}: {why}."
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            for label, why in {**found.get("torch_errors", {}), **found.get("torch_left", {})}.items():
                yield f"PyTorch, {model} {dtype}, {label}: {why}."


LINES = (linearity_lines, pair_lines, memory_lines, start_lines, compile_lines, perplexity_lines, page_lines, load_lines)


def single_lines(results):
    text = "".join(f"- {line}\n" for lines in LINES for line in lines(results))
    return "### Others\n\n" + text if text else ""


def run_line(run, number, rows):
    """Of one run of the benchmark: date, what was measured, and whether others were busy."""
    m, v = run["machine"], run["versions"]
    own = [label for label, row in rows.items() if row["run"] == number]
    text = (f"{m['date']}: {len(own)} rows{', ' + ', '.join(own) if len(own) <= 6 and number else ''}; "
            f"{v['compiler']}, checkout {v['commit'][:10]}{' with changes' if v.get('dirty') else ''}, tnllmc sha256 "
            f"{v.get('tnllmc_sha256', '')[:12]}{', older than that commit' if v.get('tnllmc_older_than_commit') else ''}")
    if "torch" in v:
        text += f", PyTorch {v['torch']}"
    text += f"; busy cores of others {run['busy_cores_before']:.1f} before"
    if "minutes" not in run:
        return text + ", interrupted."
    return text + f", {run['busy_cores_after']:.1f} after, {run['minutes']:.0f} minutes."


def heading(results):
    m = results["runs"][0]["machine"]
    text = (f"{m['cpu']} (family {m['cpu_family']}, model {m['cpu_model']}), {m['cores']} cores, "
            f"{m['memory_kib'] / 2**20:.0f} GiB. Runs of the benchmark that these rows are of:\n\n")
    text += "".join(f"- {run_line(run, i, results['rows'])}\n" for i, run in enumerate(results["runs"])
                    if any(row["run"] == i for row in results["rows"].values()) or len(results["runs"]) == 1) + "\n"
    if "bandwidth" in results:
        b = results["bandwidth"]
        text += f"Read bandwidth: {b['bytes_per_second'] / 1e9:.1f} GB/s ({b['threads']} threads, {b['best']}).\n\n"
    return text


def target_table(results):
    lines = [[t.what, t.measured, t.limit, verdict(t)] for t in targets(results)]
    return "### Targets\n\n" + grid(["what", "measured", "target", ""], lines) if lines else ""


def markdown(results):
    parts = (heading, target_table, decode_table, batch_costs, prefill_table, product_table, single_lines)
    return "".join(part(results) for part in parts)


def plot(results, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "tnllm"
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.5))
    names = [*KINDS, "tnllm"]
    width = 0.9 / len(names)
    for axis, kind, unit in ((axes[0], "decode", "batch"), (axes[1], "prefill", "tokens")):
        found = list(of_kind(results, kind))
        labels = [f"{m} {d}\n{unit} {k}" for m, d, k, _ in found]
        for i, name in enumerate(names):
            ratios = [(rate(row, name) or 0) / rate(row, "tnllm") for *_, row in found]
            axis.bar([x + width * (i - (len(names) - 1) / 2) for x in range(len(found))], ratios, width, label=name)
        axis.set_xticks(range(len(found)), labels, fontsize=6, rotation=45)
        axis.set_title(f"{kind}: tokens per second, tnllm = 1")
        axis.grid(axis="y", alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def write_docs(results, root):
    """Replaces the table of docs/Benchmarks-CPU.md between its two marks, and the plot."""
    page = os.path.join(root, "docs", "Benchmarks-CPU.md")
    with open(page) as file:
        text = file.read()
    before, _, rest = text.partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    image = ""
    if results["models"]:
        plot(results, os.path.join(root, "docs", "images", "benchmarks-cpu.svg"))
        image = "![tokens per second, relative](images/benchmarks-cpu.svg)\n\n"
    with open(page, "w") as file:
        file.write(before + TABLE_BEGIN + "\n" + image + markdown(results) + "\n" + TABLE_END + after)
