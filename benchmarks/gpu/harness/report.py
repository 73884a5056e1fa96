"""The GPU benchmark's results as tables, and in the documentation."""
import os

from plot import draw

BEGIN, END = "<!-- table: benchmarks/gpu/compare report --docs -->\n", "<!-- end of table -->\n"
MEBI = 1 << 20


def grid(header, lines):
    text = "| " + " | ".join(header) + " |\n|" + " --- |" * len(header) + "\n"
    return text + "".join("| " + " | ".join(cells) + " |\n" for cells in lines) + "\n"


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def ratio(theirs, ours):
    return f"{theirs / ours:.2f}" if theirs and ours else ""


def thousandths(value):
    return number(None if value is None else value * 1e3, 4)


def percent(part):
    return "" if part is None else f"{100 * part:.0f}%"


def attention_table(results):
    lines = []
    for row in results.get("attention", {}).get("attention", []):
        ours, clean = row["tnllm_ms"], row.get("clean_us", {})
        lines.append([row["shape"], number(ours, 3), number(row["floor_ms"], 3), percent(row["floor_ms"] / ours),
                      *(cell for name in ("fla_ms", "lightning_attn_ms", "sdpa_ms")
                        for cell in (number(row.get(name), 3), ratio(row.get(name), ours))),
                      number(clean.get("tnllm"), 1), number(clean.get("fla"), 1),
                      number(row["tnllm_scratch_bytes"] / MEBI, 0),
                      number(row["fla_scratch_bytes"] / MEBI if "fla_scratch_bytes" in row else None, 0),
                      *(thousandths(row.get(name)) for name in ("output_error", "fla_output_error"))])
    header = ["shape", "tnllm, ms", "floor", "of the floor", "fla", "ratio", "lightning-attn", "ratio",
              "softmax (SDPA)", "ratio", "clean cache: tnllm, us", "fla, us", "scratch: tnllm, MiB", "fla, MiB",
              "error: tnllm, 1e-3", "fla, 1e-3"]
    return "### Lightning attention, forward, bf16\n\n" + grid(header, lines) if lines else ""


def backward_table(results):
    """Memory is of forward and backward, and so is what PyTorch takes with its matmuls."""
    lines = []
    for row in results.get("attention_backward", {}).get("attention_backward", []):
        ours, both = row["tnllm_ms"], row["tnllm_both_ms"]
        lines.append([row["shape"], number(ours, 3), number(row["floor_ms"], 3), percent(row["floor_ms"] / ours),
                      number(row.get("fla_ms"), 3), ratio(row.get("fla_ms"), ours), number(both, 3),
                      number(row.get("written_down_both_ms"), 3), ratio(row.get("written_down_both_ms"), both),
                      number(row["tnllm_mb"], 0), number(row.get("fla_mb"), 0),
                      ratio(row.get("fla_mb"), row["tnllm_mb"]), number(row.get("written_down_mb"), 0),
                      thousandths(max((row[key] for key in ("dq_error", "dk_error", "dv_error") if key in row),
                                      default=None))])
    header = ["shape", "tnllm, ms", "floor", "of the floor", "fla", "ratio", "forward and backward: tnllm, ms",
              "as matmuls", "ratio", "memory of both: tnllm, MB", "fla", "ratio", "as matmuls", "error, 1e-3"]
    return "### Lightning attention, backward, bf16\n\n" + grid(header, lines) if lines else ""


def norm_table(results):
    lines = []
    for row in results.get("norms", []):
        cells = [str(row["columns"]), row["result"], number(row.get("copy_us"), 1)]
        for who in ("tnllm", "torch.compile", "lightning-attn"):
            cells += [number(row["us"].get(who), 1), percent(row["of_copy"].get(who))]
        lines.append(cells)
    header = ["columns", "result", "a copy, us", "tnllm, us", "of the copy", "torch.compile, us", "of the copy",
              "lightning-attn, us", "of the copy"]
    return "### SRMSNorm, 16384 rows of f32\n\n" + grid(header, lines) if lines else ""


def decode_rows(found):
    """(batch, our row, PyTorch's rows) of a model."""
    for row in found.get("tnllm", []):
        if row["gen"]:
            yield row["batch"], row, [r for r in found.get("torch", []) if r.get("batch") == row["batch"]]


def narrow_models(results):
    """The largest model's quantised forms; their peer is its bf16 form in PyTorch."""
    bf16 = results["models"].get("7b", {}).get("torch", [])
    for dtype, rows in results.get("narrow", {}).items():
        yield f"7b, {dtype}", {"tnllm": rows, "torch": bf16}


def prefill_rows(found):
    for row in found.get("tnllm", []):
        if row["prompt"]:
            yield row["prompt"], row, [r for r in found.get("torch", []) if r.get("tokens") == row["prompt"]]


def best(rows):
    """PyTorch's fastest form, None where none ran."""
    return min((row for row in rows if "seconds" in row), key=lambda row: row["seconds"], default=None)


def energy_cells(ours, peer):
    theirs = peer.get("joules_per_token") if peer else None
    millis = lambda joules: number(joules * 1e3 if joules else None, 3)
    return [millis(ours), millis(theirs), ratio(theirs, ours)]


def decode_table(results):
    copy = results.get("attention", {}).get("copy_mb_per_second")
    lines = []
    for model, found in [*results["models"].items(), *narrow_models(results)]:
        for batch, row, peers in decode_rows(found):
            ours, peer = row["decode_seconds"] / row["gen"], best(peers)
            theirs = peer["seconds"] if peer else None
            floor = row["decode_bytes_per_step"] / (copy * 1e6) if copy else None
            lines.append([model, str(batch), number(ours * 1e3, 3), number(floor * 1e3 if floor else None, 3),
                          number(theirs * 1e3 if theirs else None, 3), ratio(theirs, ours),
                          *energy_cells(row.get("decode_joules_per_token"), peer),
                          number(memory / 1e9 if (memory := row.get("device_memory_bytes")) else None, 2)])
    header = ["model", "sequences", "tnllm, ms a step", "floor of the bytes", "PyTorch", "ratio", "tnllm, mJ a token",
              "PyTorch", "ratio", "tnllm, GB on the GPU"]
    return "### Decoding, bf16 where no other type is named\n\n" + grid(header, lines) if lines else ""


def prefill_table(results):
    lines = []
    for model, found in results["models"].items():
        for tokens, row, peers in prefill_rows(found):
            ours, peer = row["prefill_seconds"], best(peers)
            eager = best([r for r in peers if r["form"].startswith("eager")])
            theirs = peer["seconds"] if peer else None
            lines.append([model, str(tokens), number(ours * 1e3, 2), f"{tokens / ours:,.0f}",
                          number(theirs * 1e3 if theirs else None, 2), ratio(theirs, ours),
                          number(eager["seconds"] * 1e3 if eager else None, 2),
                          *energy_cells(row.get("prefill_joules_per_token"), peer)])
    header = ["model", "tokens", "tnllm, ms", "tokens a second", "PyTorch and fla, best", "ratio", "eager",
              "tnllm, mJ a token", "PyTorch", "ratio"]
    return "### Prefill, bf16\n\n" + grid(header, lines) if lines else ""


def notes(results):
    lines = [f"Not measured: {label}: {why}." for label, why in sorted(results.get("errors", {}).items())]
    for model, found in results["models"].items():
        for row in found.get("torch", []):
            if "error" in row:
                size = f"{row['batch']} sequences" if "batch" in row else f"{row['tokens']} tokens"
                lines.append(f"PyTorch, {model}, {row['phase']}, {size}, {row['form']}: {row['error']}.")
    for model, found in [*results["models"].items(), *narrow_models(results)]:
        for row in found.get("tnllm", []):
            if "energy_error" in row:
                lines.append(f"Energy of {model}: {row['energy_error']}.")
    return "".join(f"- {line}\n" for line in dict.fromkeys(lines)) + ("\n" if lines else "")


def heading(results):
    copy = results.get("attention", {}).get("copy_mb_per_second")
    text = f"{results['device']}, {results['date']}, PyTorch {results['torch']}, Triton {results['triton']}"
    return text + (f"; a copy of 1 GiB moves {copy / 1e6:.2f} TB/s.\n\n" if copy else ".\n\n")


def tables(results):
    parts = (heading, attention_table, backward_table, norm_table, decode_table, prefill_table, notes)
    return "".join(part(results) for part in parts)


def bars(results):
    """Panels of the picture: a title and (label, {who: value}) each, smaller is better."""
    attention = [(row["shape"], {"tnllm": row["tnllm_ms"], "fla": row.get("fla_ms"),
                                 "lightning-attn": row.get("lightning_attn_ms")})
                 for row in results.get("attention", {}).get("attention", [])]
    decode, prefill = [], []
    for model, found in results["models"].items():
        for batch, row, peers in decode_rows(found):
            peer = best(peers)
            decode.append((f"{model}, {batch}", {"tnllm": row["decode_seconds"] / row["gen"] * 1e3,
                                                 "PyTorch": peer["seconds"] * 1e3 if peer else None}))
        for tokens, row, peers in prefill_rows(found):
            peer = best(peers)
            prefill.append((f"{model}, {tokens}", {"tnllm": row["prefill_seconds"] * 1e3,
                                                   "PyTorch": peer["seconds"] * 1e3 if peer else None}))
    return [("lightning attention, ms", attention), ("decoding, ms a step (model, sequences)", decode),
            ("prefill, ms (model, tokens)", prefill)]


def write_docs(root, results):
    page = os.path.join(root, "docs", "Benchmarks-GPU.md")
    with open(page, encoding="utf-8") as file:
        text = file.read()
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise SystemExit(f"{page}: expected the lines '{BEGIN.strip()}' and '{END.strip()}'")
    with open(page, "w", encoding="utf-8") as file:
        file.write(before + BEGIN + "\n" + tables(results) + END + after)
    with open(os.path.join(root, "docs", "images", "benchmarks-gpu.svg"), "w", encoding="utf-8") as file:
        file.write(draw(bars(results)))
