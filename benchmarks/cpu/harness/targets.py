"""Every target, whether it was measured or not, and what the results say of it."""
from collections import namedtuple

from kinds import KINDS

# met is None where nothing was measured; a row without a limit only informs.
Target = namedtuple("Target", "what measured limit met note")

SHARES = {"f32": 0.85, "bf16": 0.85, "int8": 0.75}
COMPILE = {"385m": 10, "385m, link": 10, "385m, embed": 10, "7b": 15}


def memory_ways(model):
    """Embedded weights are a copy on the disk and in the page cache for each dtype, so only
    the smallest model has them."""
    return ("link", "embed", "random") if model == "385m" else ("link", "random")


def lengths_of(quick):
    """Of long prompts: up to what the targets ask for."""
    return [4096] if quick else [4096, 16384, 65536]


def times(value):
    return f"{value:.2f}x"


def percent(value):
    return f"{100 * value:.0f}%"


def between(found, show):
    """Median and quartiles."""
    return f"{show(found['median'])} ({show(found['low'])} to {show(found['high'])})"


def missing(what, limit, why=""):
    return Target(what, "", limit, None, why)


def judge(what, found, limit, show, above=False, note="", within=False):
    """A spread against its limit, which is above it or below it: by the median, with the
    number of turns on the wrong side, and whether a quartile is on another side than it."""
    keeps = (lambda v: v > limit or within and v == limit) if above else (lambda v: v < limit or within and v == limit)
    sign = (">" if above else "<") + ("=" if within else "")
    wrong = [v for v in found["values"] if not keeps(v)]
    met = keeps(found["median"])
    noise = keeps(found["low"]) != met or keeps(found["high"]) != met
    notes = [note] if note else []
    if wrong:
        notes.insert(0, f"{len(wrong)} of {len(found['values'])} turns lost" + (", within noise" if noise else ""))
    return Target(what, between(found, show), f"{sign} {show(limit)}", met, "; ".join(notes))


def fixed(what, measured, limit, met, note=""):
    return Target(what, measured, limit, met, note)


def best_peer(row):
    """The name and the spread of the peer that tnllm is ahead of by least; of those that stayed
    for all turns, where there are such."""
    against = {n: s for n, s in row.get("against", {}).items() if s and n in KINDS}
    seconds = row.get("seconds_per_step") or row.get("seconds") or {}
    stayed = {n: s for n, s in against.items() if "sat_out" not in seconds.get(n, {})} or against
    name = min(stayed, key=lambda n: stayed[n]["median"]) if stayed else None
    return name, stayed.get(name)


def failed_peers(found, row, label):
    """What is said of peers that raised."""
    names = set(row.get("errors", {})) & set(KINDS)
    names |= {k[len(label) + 1:] for k in found.get("torch_errors", {}) if k.startswith(label + " ")}
    return f"{', '.join(sorted(names))} did not run" if names else ""


class Expected:
    """What the results were to hold: rows, models, dtypes and whether PyTorch took part."""

    def __init__(self, results):
        self.results, plan = results, results["expected"]
        self.rows, self.models, self.dtypes, self.torch = plan["rows"], plan["models"], plan["dtypes"], plan["torch"]
        self.tokens, self.quick = plan["tokens"], results.get("quick", False)

    def pairs(self, row):
        if row in self.rows:
            yield from ((m, d, self.results["models"].get(m, {}).get(d, {})) for m in self.models for d in self.dtypes)

    def single(self, row, model, dtype):
        return self.results.get(row, {}).get(model, {}).get(dtype)

    def why(self, label):
        return self.results.get("errors", {}).get(label, "")


def verify_targets(e):
    for dtype in e.dtypes if "verify" in e.rows and e.torch else ():
        what, found = f"logits of PyTorch, {dtype}, of the largest", e.results.get("verify", {}).get(dtype, {})
        done = {k: v for k, v in found.items() if "difference" in v}
        failed = [k for k, v in found.items() if "error" in v]
        if not done:
            yield missing(what, "", e.why("verify"))
            continue
        worst, limit = max(v["difference"] for v in done.values()), next(iter(done.values()))["limit"]
        note = f"{', '.join(failed)} did not run" if failed else ""
        yield fixed(what, f"{worst:.1g}", f"<= {limit:g}", worst <= limit, note)


def decode_targets(e):
    for model, dtype, found in e.pairs("decode"):
        what, row = f"decode, {model} {dtype}, batch 1, of the meter", found.get("decode", {}).get("1")
        if not row:
            yield missing(what, f">= {percent(SHARES[dtype])}", e.why(f"decode 1, {model} {dtype}"))
            continue
        share, turn = row["of_read_bandwidth"], row["of_read_bandwidth"]["turn"]
        note = f"{turn['rate'] / 1e9:.1f} of {turn['meter'] / 1e9:.1f} GB/s in the median turn"
        if share["unsteady"]:
            note += f"; {share['unsteady']} of {len(row['turns'])} turns unsteady"
            note += ", left out" if share["used"] < len(row["turns"]) else ", all kept"
        yield judge(what, share, SHARES[dtype], percent, above=True, within=True, note=note)
    for model, dtype, found in e.pairs("decode"):
        what = f"batch 8 against batch 1, {model} {dtype}"
        ratio = found.get("batch", {}).get("ratio")
        yield judge(what, ratio, 1.6, times) if ratio else missing(what, "< 1.60x", e.why(f"batch, {model} {dtype}"))


def prefill_targets(e):
    for model, dtype, found in e.pairs("prefill"):
        for tokens in e.tokens if dtype != "int8" else ():
            row = found.get("prefill", {}).get(tokens, {})
            if dtype == "f32":
                what = f"prefill, {model} f32, {tokens} tokens, of the best product"
                best = found.get("products", {}).get(tokens, {}).get("best_flops_per_second")
                rates = row.get("flops_per_second")
                share = rates and best and scaled(rates, 1 / best)
                yield judge(what, share, 0.8, percent, above=True, within=True) if share else missing(what, ">= 80%")
            else:
                what = f"prefill, {model}, {tokens} tokens, bf16 against f32"
                ratio = row.get("of_f32")
                yield judge(what, ratio, 1.4, times, above=True, within=True) if ratio else missing(what, ">= 1.40x")


def scaled(found, factor):
    return {**{k: found[k] * factor for k in ("median", "low", "high")}, "values": [v * factor for v in found["values"]]}


def peer_targets(e):
    if not e.torch:
        return
    for kind, keys in (("decode", ("1", "8")), ("prefill", e.tokens)):
        for model, dtype, found in e.pairs(kind):
            for key in keys:
                row = found.get(kind, {}).get(key, {})
                name, ratio = best_peer(row)
                what = f"{kind}, {model} {dtype}, {key}, against "
                note = failed_peers(found, row, f"{kind} {key}")
                yield (judge(what + name, ratio, 1, times, above=True, note=note) if ratio else
                       missing(what + "PyTorch", "> 1.00x", note or e.why(f"{kind} {key}, {model} {dtype}")))


def linearity_targets(e):
    for model, dtype, _ in e.pairs("linearity"):
        longest = str(lengths_of(e.quick)[-1])
        what = f"prefill time a token, {model} {dtype}, {longest} against 1024 tokens"
        found = e.single("linearity", model, dtype) or {}
        row = found.get("lengths", {}).get(longest)
        why = found.get("left_out", {}).get(longest) or e.why(f"linearity, {model} {dtype}")
        if row and not row.get("steady", True):
            row, why = None, f"the runs of 1024 tokens around it differ: {row['before'] * 1e6:.0f} and {row['after'] * 1e6:.0f} us a token"
        yield (fixed(what, times(row["ratio"]), "<= 1.10x", row["ratio"] <= 1.1, "between two runs of 1024") if row else
               missing(what, "<= 1.10x", why))


def position_targets(e):
    for model, dtype, _ in e.pairs("position"):
        what = f"decode at position 100,000 against 10, {model} {dtype}"
        found = e.single("position", model, dtype)
        yield (judge(what, found["ratio"], 1.1, times, within=True) if found else
               missing(what, "<= 1.10x", e.why(f"position, {model} {dtype}")))


def memory_targets(e):
    for model, dtype, _ in e.pairs("memory"):
        for way in memory_ways(model):
            what = f"peak memory, {model} {dtype}, weights {way}"
            m = (e.single("memory", model, dtype) or {}).get(way)
            if m:
                yield fixed(what, f"{m['peak_bytes'] / 2**20:.0f} MiB", f"<= {m['limit_bytes'] / 2**20:.0f} MiB",
                            m["peak_bytes"] <= m["limit_bytes"])
            else:
                yield missing(what, "<= weights + 10% + 64 MiB", e.why(f"memory, {model} {dtype}"))


def start_targets(e):
    for model, dtype, _ in e.pairs("start"):
        for way in ("link", "embed") if model == "385m" else ():
            what = f"start to first token, {model} {dtype}, {way}"
            found = (e.single("start", model, dtype) or {}).get(f"tnllm {way}")
            if not found:
                yield missing(what, "< 0.5 s", e.why(f"start, {model} {dtype}"))
                continue
            lost = sum(s >= 0.5 for s in found["samples"])
            yield fixed(what + ", memory freed by a run before", f"{found['median']:.2f} s", "< 0.5 s", found["median"] < 0.5,
                        (f"{lost} of {len(found['samples'])} runs lost; " if lost else "") +
                        f"{found['min']:.2f} to {found['max']:.2f} s")
            yield fixed(what + ", first run, memory new to the guest", f"{found['first']:.2f} s", "", True, "no target")


def compile_targets(e):
    for model, limit in COMPILE.items() if "compile" in e.rows else ():
        found = e.results.get("compile", {}).get(model)
        yield (fixed(f"compile {model}", f"{found['median']:.2f} s", f"< {limit} s", found["median"] < limit) if found else
               missing(f"compile {model}", f"< {limit} s", e.why(f"compile {model}")))


def perplexity_targets(e):
    if "perplexity" not in e.rows:
        return
    values = (e.results.get("perplexity") or {}).get("perplexity", {})
    what = "perplexity of a trained model, int8 against f32"
    if "int8" not in values or "f32" not in values:
        yield missing(what, "within 0.5%", e.why("perplexity"))
        return
    change = values["int8"] / values["f32"] - 1
    yield fixed(what, f"{100 * change:+.3f}%", "within 0.5%", abs(change) <= 0.005, f"{values['int8']:.5f} and {values['f32']:.5f}")


KINDS_OF_TARGET = (verify_targets, decode_targets, prefill_targets, peer_targets, linearity_targets, position_targets,
                   memory_targets, start_targets, compile_targets, perplexity_targets)


def targets(results):
    e = Expected(results)
    return [target for kind in KINDS_OF_TARGET for target in kind(e)]


def verdict(target):
    """The last cell of a target's line."""
    if target.met is None:
        return "**not measured**" + (f": {target.note}" if target.note else "")
    if not target.limit:
        return target.note
    return ("met" if target.met else "**missed**") + (f", {target.note}" if target.note else "")


def is_kept(results):
    """Whether every target that the run was to measure is met."""
    return all(t.met for t in targets(results))
