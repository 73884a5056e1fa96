"""Results as a Markdown table, a plot, and the page docs/Benchmarks-CPU.md."""
import os

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


def peer_cells(rates):
    cells = [f"{rates[k]:.1f}" if k in rates else "" for k in ("torch eager", "torch compiled", "torch onednn")]
    name, best = fastest_peer(rates)
    return cells + [f"{rates['tnllm'] / best:.2f}x" if best else ""]


PEERS = ["PyTorch eager", "compiled", "oneDNN weights", "ahead of the best"]


def decode_table(results):
    lines = []
    for model, dtype, batch, row in of_kind(results, "decode"):
        rates = row["tokens_per_second"]
        lines.append([model, dtype, batch, f"{rates['tnllm']:.1f}", f"{row['bytes_per_second'] / 1e9:.1f}",
                      percent(row["of_read_bandwidth"]), *peer_cells(rates)])
    header = ["model", "dtype", "batch", "tok/s", "GB/s", "of read bandwidth", *PEERS]
    return "### Decode\n\n" + grid(header, lines) if lines else ""


def batch_costs(results):
    lines = []
    for model, dtypes in results["models"].items():
        for dtype, found in dtypes.items():
            d = found.get("decode", {})
            if "1" in d and "8" in d:
                one, eight = (d[b]["seconds_per_step"]["tnllm"]["median"] for b in "18")
                lines.append(f"{model} {dtype} {eight / one:.2f}x")
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


def single_lines(results):
    text = ""
    for dtype, lengths in results.get("linearity", {}).items():
        cells = [f"{n}: {t['median'] * 1e6:.1f}" for n, t in lengths.items()]
        text += f"- Prefill, {dtype}, us per token by length: {', '.join(cells)}.\n"
    for dtype, times in results.get("position", {}).items():
        a, b = times["10"]["median"], times["100000"]["median"]
        text += f"- Decode, {dtype}, ms per token at position 10: {a * 1e3:.2f}, at 100,000: {b * 1e3:.2f} ({b / a:.3f}x).\n"
    for dtype, kinds in results.get("memory", {}).items():
        for kind, m in kinds.items():
            text += (f"- Peak memory, {dtype}, weights {kind}: {m['peak_bytes'] / 2**20:.0f} MiB for "
                     f"{m['weights_bytes'] / 2**20:.0f} MiB of weights; limit {m['limit_bytes'] / 2**20:.0f} MiB: "
                     f"{'kept' if m['within'] else 'exceeded'}.\n")
    for dtype, people in results.get("start", {}).items():
        cells = [f"{n} {t['median']:.2f} s" for n, t in people.items()]
        text += f"- Start to first token, {dtype}, linked f32 file in the page cache: {', '.join(cells)}.\n"
    if results.get("compile"):
        cells = [f"{m} {t['median']:.2f} s" for m, t in results["compile"].items()]
        text += f"- Compile: {', '.join(cells)}.\n"
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
        text += f"Logits of the two differ by at most {max(results['verify'].values()):.1g} of the largest.\n\n"
    return text


def markdown(results):
    parts = (heading, decode_table, batch_costs, prefill_table, product_table, single_lines)
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
