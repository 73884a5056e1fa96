"""Checks GPU programs against the golden cases and against their CPU programs.

run_suite.py FOLDER [--device N] [--jobs N] [--only programs|trainers]

FOLDER is what build_programs.py made. Needs python3 with numpy, and a GPU: without one
it prints the reason and ends with status 0. Errors are relative to the largest golden
value: 2e-3 for f32, 3e-2 for bf16, 5e-3 for gradients. A line for each check; exit
status 1 when one fails.
"""

import argparse
import concurrent.futures
import json
import os
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True  # the source tree stays clean
sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), path)
                for path in (".", "..")]
import safetensors_io
import training
from program import Check, Program, run_relay

TOLERANCE = {"f32": 2e-3, "bf16": 3e-2}
# k, p, minP, temperature: the default cuts, none, and each alone or with one other.
SAMPLING = (("40", "0.95", "0.05", "0.8"), ("0", "1", "0", "1"), ("0", "0.6", "0", "0.9"),
            ("3", "1", "0", "2"), ("0", "1", "0.3", "1.5"), ("200", "0.2", "0", "0.5"))
PROMPTS = ("Once upon a time", "The", "A longer prompt, so that rows of a batch "
           "stand at positions that differ by more than a chunk of the attention")


def check_whole(check, gpu, cpu):
    everything = gpu.run(check.golden["input_ids"])
    check.close("logits", ["logits"], everything)
    if check.is_f32:
        check.close("hidden", check.names("hidden."), everything)
        check.close("state", check.states, everything)
    check.check_wide_states(gpu)


def check_greedy(check, gpu, cpu):
    if check.is_f32:
        check.check_greedy(gpu, gpu.run(check.golden["input_ids"]))


def check_rows(check, gpu, cpu):
    ids = check.golden["input_ids"]
    whole = gpu.run(ids)
    check.check_packed(gpu, ids, whole)
    for row in range(ids.shape[0]):
        check.close(f"row {row} alone", check.everything, gpu.run(ids[row:row + 1]),
                    {name: whole[name][row:row + 1] for name in check.everything})


def check_splits(check, gpu, cpu):
    ids = check.golden["input_ids"]
    length = ids.shape[1]
    for cut in (1, 7, length // 2, length - 1):
        check.close(f"split at {cut}", check.everything, gpu.run_pieces(ids, [cut]))
    check.close("three pieces", check.everything, gpu.run_pieces(ids, [64, 129]))


def check_tokens(check, gpu, cpu):
    check.close("token by token over a chunk's border", check.everything,
                gpu.run_pieces(check.golden["input_ids"], range(50, 80)))


def check_relay(check, gpu, cpu):
    ids = check.golden["input_ids"]
    cut = ids.shape[1] // 3
    check.close("the CPU program's states continued on the GPU", check.everything,
                run_relay([cpu, gpu], ids, [cut]))
    check.close("the GPU program's states continued on the CPU", check.everything,
                run_relay([gpu, cpu], ids, [cut]))


def check_generate(check, gpu, cpu):
    """`generate`, which decodes by another way than `run`: as a CUDA graph."""
    prompts = [word for prompt in PROMPTS for word in ("-p", prompt)]
    state = os.path.join(gpu.folder, "state.safetensors")
    first = gpu.generate(*prompts, "-n", "12", "--save-state", state)
    rest = gpu.generate("--load-state", state, "-n", "12")
    whole = gpu.generate(*prompts, "-n", "24")
    joined = [a + b for a, b in zip(first, rest)]
    check.say("generate, saved and resumed", joined == whole, joined == whole)
    alone = [gpu.generate("-p", prompt, "-n", "24")[0] for prompt in PROMPTS]
    if check.is_f32:
        expected = cpu.generate(*prompts, "-n", "24")
        check.say("generate, the CPU program's tokens", whole == expected,
                  whole == expected)
        check.say("generate, each prompt alone", alone == whole, alone == whole)
        resumed = cpu.generate("--load-state", state, "-n", "12")
        check.say("generate, resumed on the CPU", resumed == rest, resumed == rest)
    else:
        counts = [len(tokens) for tokens in whole + alone]
        check.say("generate, tokens", set(counts) == {24}, counts)


def check_sampling(check, gpu, cpu):
    """What the GPU draws is what the CPU's sampler draws with the same seed."""
    if not check.is_f32:
        return
    prompts = [word for prompt in PROMPTS for word in ("-p", prompt)]
    compared = different = 0
    for seed, (top_k, top_p, min_p, temperature) in enumerate(SAMPLING):
        options = [*prompts, "--seed", str(seed), "--top-k", top_k, "--top-p", top_p,
                   "--min-p", min_p, "-n", "12"]
        pairs = zip(gpu.generate(*options, temperature=temperature),
                    cpu.generate(*options, temperature=temperature))
        for ours, theirs in pairs:
            compared += 1
            different += ours != theirs
    check.say("sampled sequences that differ from the CPU program's",
              different * 10 <= compared, f"{different} of {compared}")


def check_score(check, gpu, cpu):
    """The logarithms that the GPU sums itself beside those of the CPU program: one text,
    and two together, one of them longer than a step of the head."""
    texts = []
    for i, count in enumerate((1, 9)):
        texts.append(os.path.join(gpu.folder, f"text{i}"))
        with open(texts[-1], "w", encoding="utf-8") as file:
            file.write(" ".join(PROMPTS) * count)

    def scores(program, *files):
        found = json.loads(program.call("score", "--json", *files))
        return [np.array([token["logprob"] for token in text["tokens"]])
                for text in found.get("texts", [found])]

    ours, alone, theirs = scores(gpu, *texts), scores(gpu, texts[1]), scores(cpu, *texts)
    worst = max(check.difference(a, b, b) for a, b in zip(ours, theirs))
    check.say("scores, the CPU program's", worst <= check.tolerance, f"{worst:.2e}")
    worst = check.difference(ours[1], alone[0], alone[0])
    check.say("scores, each text alone", worst <= check.tolerance, f"{worst:.2e}")


# Those that take longest begin first.
PARTS = {"tokens": check_tokens, "greedy": check_greedy, "sampling": check_sampling,
         "splits": check_splits, "generate": check_generate, "score": check_score,
         "rows": check_rows, "relay": check_relay, "whole": check_whole}


def check_part(part, case, dtype, folder, temporary, options):
    expected = os.path.join(folder, f"{case}-{dtype}.safetensors")
    if not os.path.exists(expected):
        expected = os.path.join(folder, f"{case}.safetensors")
    check = Check(f"{case} {dtype}", safetensors_io.load(expected), TOLERANCE[dtype])
    check.is_f32 = dtype == "f32"
    check.everything = ["logits", *check.states] if check.is_f32 else ["logits"]
    work = os.path.join(temporary, f"{case}-{dtype}-{part}")
    gpu = Program(os.path.join(folder, f"{case}-{dtype}"), work, options)
    cpu = Program(os.path.join(folder, f"{case}-cpu"), os.path.join(work, "cpu"))
    try:
        PARTS[part](check, gpu, cpu)
    except Exception as error:  # whatever it is, the other parts go on
        check.say(f"{part} runs", False, f"{type(error).__name__}: {error}")
    return check


def check_trace(case, folder, temporary, options):
    """Every value of the traced program against the interpreter's of the same name."""
    traced = os.path.join(folder, f"{case}-trace")
    expected = safetensors_io.load(os.path.join(traced, "expected.safetensors"))
    check = Check(f"{case} trace", expected, TOLERANCE["f32"])
    gpu = Program(os.path.join(traced, "model"), os.path.join(temporary, f"{case}-trace"),
                  options)
    try:
        gpu.call("run", "--input", os.path.join(traced, "input.safetensors"), "--output",
                 gpu.output)
        actual = safetensors_io.load(gpu.output)
        names = [name for name in expected if name in actual]
        errors = {name: check.difference(actual[name].ravel(), expected[name].ravel(),
                                         expected[name]) for name in names}
        worst = max(errors, key=errors.get)
        check.say(f"{len(names)} values", len(names) > 20 and
                  errors[worst] <= check.tolerance, f"{errors[worst]:.2e} in {worst}")
    except (RuntimeError, OSError, ValueError) as error:
        check.say("runs", False, error)
    return check


def find_programs(folder):
    """(case, dtype) of every GPU program."""
    found = []
    for name in sorted(os.listdir(folder)):
        case, _, dtype = name.rpartition("-")
        if case and dtype in TOLERANCE:
            found.append((case, dtype))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--device", default="0")
    parser.add_argument("--jobs", type=int, default=4, help="parts checked at once")
    parser.add_argument("--only", choices=["programs", "trainers"])
    args = parser.parse_args()
    programs = find_programs(args.folder)
    if not programs:
        sys.exit(f"{args.folder}: no programs: make them with build_programs.py")
    options = ["--device", args.device]
    with tempfile.TemporaryDirectory() as temporary:
        probe = Program(os.path.join(args.folder, "-".join(programs[0])), temporary,
                        options)
        info = json.loads(probe.call("info", "--json"))
        if info["device"] is None:
            print(f"skipped: {info['device_error']}")
            return 0
        print(f"device {args.device}: {info['device']}", flush=True)
        failed = total = 0
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            checks = []
            if args.only != "programs":
                checks += [pool.submit(training.check_part, part, case, args.folder, temporary,
                                       options)
                           for part in training.PARTS for case in training.find(args.folder)]
            if args.only != "trainers":
                checks += [pool.submit(check_part, part, *program, args.folder, temporary,
                                       options) for part in PARTS for program in programs]
                checks += [pool.submit(check_trace, case, args.folder, temporary, options)
                           for case in sorted({case for case, _ in programs})
                           if os.path.isdir(os.path.join(args.folder, f"{case}-trace"))]
            for each in concurrent.futures.as_completed(checks):
                check = each.result()
                print("".join(line + "\n" for line in check.lines), end="", flush=True)
                failed += check.failed
                total += len(check.lines)
    print(f"{total - failed} of {total} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
