"""Results as a Markdown table, a plot, and the page docs/Benchmarks-CPU.md."""
import os
import statistics

TABLE_BEGIN, TABLE_END = "<!-- table: benchmarks/cpu/run --docs -->\n", "<!-- end of table -->\n"


def percent(value):
    return f"{100 * value:.0f}%"


def grid(header, lines):
    text = "| " + " | ".join(header) + " |\n|" + " --- |" * len(header) + "\n"
    return text + "".join("| " + " | ".join(str(c) for c in line) + " |\n" for line in lines) + "\n"


def of_kind(results, kind):
    """(model, dtype, key, row) of every decode or prefill row."""
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            for key, row in found.get(kind, {}).items():
                yield model, dtype, key, row


def fastest_peer(rates):
    peers = {n: r for n, r in rates.items() if n != "tnllm"}
    name = max(peers, key=peers.get) if peers else None
    return name, peers.get(name)


def paired_ratio(times, above, below):
    """The median of the turns' ratios: two programs of one turn follow each other at once,
    so that both have the same share of the memory, whatever it is then."""
    return statistics.median(a / b for a, b in zip(times[above]["samples"], times[below]["samples"]))


def peer_cells(rates):
    cells = [f"{rates[k]:.1f}" if k in rates else "" for k in ("torch eager", "torch compiled", "torch onednn")]
    name, best = fastest_peer(rates)
    return cells + [f"{rates['tnllm'] / best:.2f}x" if best else ""]


PEERS = ["PyTorch eager", "compiled", "packed weights", "ahead of the best"]


def decode_table(results):
    lines = []
    for model, dtype, batch, row in of_kind(results, "decode"):
        rates = row["tokens_per_second"]
        lines.append([model, dtype, batch, f"{rates['tnllm']:.1f}", f"{row['bytes_per_second'] / 1e9:.1f}",
                      f"{row['read_bandwidth'] / 1e9:.1f}", percent(row["of_read_bandwidth"]), *peer_cells(rates)])
    header = ["model", "dtype", "batch", "tok/s", "GB/s", "meter GB/s", "of the meter", *PEERS]
    return "### Decode\n\n" + grid(header, lines) if lines else ""


def batch_costs(results):
    lines = [f"{model} {dtype} {found['batch']['ratio']:.2f}x" for model, dtypes in results["models"].items()
             for dtype, found in dtypes.items() if "batch" in found]
    return "A step of batch 8 costs, of one of batch 1: " + ", ".join(lines) + ".\n\n" if lines else ""


def prefill_table(results):
    lines = []
    for model, dtype, tokens, row in of_kind(results, "prefill"):
        rates = row["tokens_per_second"]
        best = results["models"][model][dtype].get("products", {}).get("best_flops_per_second", 0)
        other = results["models"][model].get("f32", {}).get("prefill", {}).get(tokens)
        ratio = rates["tnllm"] / other["tokens_per_second"]["tnllm"] if other else 0
        lines.append([model, dtype, tokens, f"{rates['tnllm']:.0f}", f"{row['flops_per_second'] / 1e9:.0f}",
                      percent(row["flops_per_second"] / best) if best else "",
                      f"{ratio:.2f}x" if ratio else "", *peer_cells(rates)])
    header = ["model", "dtype", "tokens", "tok/s", "GFLOP/s", "of the best product", "of f32", *PEERS]
    return "### Prefill\n\n" + grid(header, lines) if lines else ""


def product_table(results):
    lines = []
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            products = found.get("products", {})
            for library, rate in sorted(products.get("flops_per_second", {}).items(), key=lambda x: -x[1]):
                lines.append([model, dtype, library, f"{rate / 1e9:.0f}"])
            if products.get("best_flops_per_second"):
                lines.append([model, dtype, "the fastest for each shape", f"{products['best_flops_per_second'] / 1e9:.0f}"])
    return "### Raw products, 512 tokens\n\n" + grid(["model", "dtype", "library", "GFLOP/s"], lines) if lines else ""


# Of the compiler (tools/tnllmc/Compilation.cpp), as --mlir-timing names them.
PHASES = ("Read the model", "Build the tn module", "Simplify tn", "Form kernels", "Plan memory", "Lower kernels",
          "Translate to LLVM IR", "Optimise", "Generate code", "Link")


def single_lines(results):
    text = ""
    for dtype, lengths in results.get("linearity", {}).items():
        cells = [f"{n}: {t['median'] * 1e6:.1f}" for n, t in lengths.items()]
        text += f"- Prefill, {dtype}, us per token by length: {', '.join(cells)}.\n"
    for dtype, times in results.get("position", {}).items():
        a, b = times["10"]["median"], times["100000"]["median"]
        ratio = paired_ratio(times, "100000", "10")
        text += (f"- Decode, {dtype}, ms per token at position 10: {a * 1e3:.2f}, at 100,000: {b * 1e3:.2f}; the median of "
                 f"the turns' ratios is {ratio:.3f}.\n")
    for dtype, times in results.get("embed", {}).items():
        a, b = times["link"]["median"], times["embed"]["median"]
        text += (f"- Decode, {dtype}, ms per token with linked weights, on huge pages: {a * 1e3:.2f}, with embedded "
                 f"ones, mapped in small pages: {b * 1e3:.2f} ({b / a:.2f}x).\n")
    for dtype, kinds in results.get("memory", {}).items():
        for kind, m in kinds.items():
            text += (f"- Peak memory, {dtype}, weights {kind}: {m['peak_bytes'] / 2**20:.0f} MiB for "
                     f"{m['weights_bytes'] / 2**20:.0f} MiB of weights; limit {m['limit_bytes'] / 2**20:.0f} MiB: "
                     f"{'kept' if m['within'] else 'exceeded'}.\n")
    for dtype, people in results.get("start", {}).items():
        cells = [f"{n} {t['median']:.2f} s (the first {t['first']:.2f} s)" for n, t in people.items() if n != "touch"]
        t = people["touch"]
        text += (f"- Start to first token, {dtype}, files in the page cache: {', '.join(cells)}. Writing to each page "
                 f"of {t['bytes'] / 2**20:.0f} MiB takes {t['again']:.2f} s (the first time {t['first']:.2f} s).\n")
    for model, t in results.get("compile", {}).items():
        longest = sorted((p for p in t["phases"].items() if p[0] in PHASES), key=lambda p: -p[1])[:4]
        text += f"- Compile {model}: {t['median']:.2f} s; of it {', '.join(f'{n} {s:.2f} s' for n, s in longest)}.\n"
    return "### Others\n\n" + text if text else ""


def heading(results):
    m, v = results["machine"], results["versions"]
    text = (f"{m['cpu']} (family {m['cpu_family']}, model {m['cpu_model']}), {m['cores']} cores, "
            f"{m['memory_kib'] / 2**20:.0f} GiB, {m['date']}, {v['compiler']}, commit {v['commit'][:10]}")
    if "torch" in v:
        text += f", PyTorch {v['torch']}"
    text += f". Busy cores of others: {results['busy_cores_before']:.1f} before, {results.get('busy_cores_after', 0):.1f} after.\n\n"
    if "bandwidth" in results:
        b = results["bandwidth"]
        text += f"Read bandwidth: {b['bytes_per_second'] / 1e9:.1f} GB/s ({b['threads']} threads, {b['best']}).\n\n"
    if results.get("verify"):
        worst = {}
        for name, error in results["verify"].items():
            dtype = name.split()[0]
            worst[dtype] = max(worst.get(dtype, 0), error)
        cells = ", ".join(f"{error:.1g} in {dtype}" for dtype, error in worst.items())
        text += f"Logits of the two differ, of the largest, by at most {cells}.\n\n"
    return text


def target_lines(results):
    """(what, value, limit, met) of every target that the results speak of."""
    for model, dtype, batch, row in of_kind(results, "decode"):
        if batch == "1":
            limit, share = 0.75 if dtype == "int8" else 0.85, row["of_read_bandwidth"]
            yield f"decode, {model} {dtype}, batch 1, of the meter", percent(share), f">= {percent(limit)}", share >= limit
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            if "batch" in found:
                ratio = found["batch"]["ratio"]
                yield f"batch 8 against batch 1, {model} {dtype}", f"{ratio:.2f}x", "< 1.6x", ratio < 1.6
    for model, dtype, tokens, row in of_kind(results, "prefill"):
        f32 = results["models"][model].get("f32", {})
        best = f32.get("products", {}).get("best_flops_per_second")
        if dtype == "f32" and best:
            share = row["flops_per_second"] / best
            yield f"prefill, {model} f32, {tokens} tokens, of the best product", percent(share), ">= 80%", share >= 0.8
        other = f32.get("prefill", {}).get(tokens)
        if dtype == "bf16" and other:
            ratio = row["tokens_per_second"]["tnllm"] / other["tokens_per_second"]["tnllm"]
            yield f"prefill, {model}, {tokens} tokens, bf16 against f32", f"{ratio:.2f}x", ">= 1.4x", ratio >= 1.4
    for kind in ("decode", "prefill"):
        for model, dtype, key, row in of_kind(results, kind):
            name, best = fastest_peer(row["tokens_per_second"])
            if best:
                ratio = row["tokens_per_second"]["tnllm"] / best
                yield f"{kind}, {model} {dtype}, {key}, against {name}", f"{ratio:.2f}x", "> 1x", ratio > 1
    for dtype, lengths in results.get("linearity", {}).items():
        times = [t["median"] for t in lengths.values()]
        ratio = times[-1] / times[0]
        yield f"prefill time a token, {dtype}, {list(lengths)[-1]} against {list(lengths)[0]} tokens", f"{ratio:.2f}x", "<= 1.1x", ratio <= 1.1
    for dtype, times in results.get("position", {}).items():
        ratio = paired_ratio(times, "100000", "10")
        yield f"decode at position 100,000 against 10, {dtype}", f"{ratio:.2f}x", "<= 1.1x", ratio <= 1.1
    for dtype, kinds in results.get("memory", {}).items():
        for kind, m in kinds.items():
            yield (f"peak memory, {dtype}, weights {kind}", f"{m['peak_bytes'] / 2**20:.0f} MiB",
                   f"<= {m['limit_bytes'] / 2**20:.0f} MiB", m["within"])
    for dtype, people in results.get("start", {}).items():
        for name in [n for n in people if n.startswith("tnllm")]:
            seconds = people[name]["median"]
            yield f"start to first token, {dtype}, {name[6:]}", f"{seconds:.2f} s", "< 0.5 s", seconds < 0.5
    for model, limit in (("385m", 10), ("7b", 15)):
        if model in results.get("compile", {}):
            seconds = results["compile"][model]["median"]
            yield f"compile {model}", f"{seconds:.2f} s", f"< {limit} s", seconds < limit


def targets(results):
    lines = [[what, value, limit, "met" if met else "**missed**"] for what, value, limit, met in target_lines(results)]
    return "### Targets\n\n" + grid(["what", "measured", "target", ""], lines) if lines else ""


def markdown(results):
    parts = (heading, targets, decode_table, batch_costs, prefill_table, product_table, single_lines)
    return "".join(part(results) for part in parts)


def plot(results, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    matplotlib.rcParams["svg.hashsalt"] = "tnllm"
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5))
    for axis, kind, unit in ((axes[0], "decode", "batch"), (axes[1], "prefill", "tokens")):
        found = list(of_kind(results, kind))
        names = ["torch eager", "torch compiled", "torch onednn", "tnllm"]
        labels = [f"{m} {d}\n{unit} {k}" for m, d, k, _ in found]
        for i, name in enumerate(names):
            ratios = [row["tokens_per_second"].get(name, 0) / row["tokens_per_second"]["tnllm"] for *_, row in found]
            axis.bar([x + 0.2 * (i - 1.5) for x in range(len(found))], ratios, 0.2, label=name)
        axis.set_xticks(range(len(found)), labels, fontsize=7)
        axis.set_title(f"{kind}: tokens per second, tnllm = 1")
        axis.grid(axis="y", alpha=0.3)
    axes[0].legend(fontsize=8)
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
