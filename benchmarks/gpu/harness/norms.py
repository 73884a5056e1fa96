#!/usr/bin/env python3
"""Checks and times SRMSNorm beside other implementations.

norms.py build TNLLM_OPT FOLDER
norms.py run FOLDER

x / sqrt(mean(x^2) + 1e-6) of 16384 rows of 1024, 2048 and 4096 columns. `build` writes the
kernels that tnllm-opt makes of tn.norm as cubins into FOLDER and needs ptxas but no GPU.
`run` needs python3 with torch; the peers are the same in torch.compile (max-autotune) and the
norm of lightning-attn, where that can be imported, which takes and gives one type. A row a
line of JSON: microseconds, medians between events with an empty second cache, and how much
of it a copy would take that reads and writes as many bytes, timed in the same way.
"""
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, COLUMNS, EPSILON = 16384, (1024, 2048, 4096), 1e-6
RESULTS = ("f32", "bf16")  # of x in f32, as the residual stream is


def attention_script():
    loader = importlib.machinery.SourceFileLoader("attention", os.path.join(HERE, "..", "attention"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("attention", loader))
    loader.exec_module(module)
    return module


def norm_text(columns, result):
    x, y = f"tensor<?x?x{columns}xf32>", f"tensor<?x?x{columns}x{result}>"
    norm = f"tn.norm <srms> %x {{epsilon = 1.0e-06 : f32}} : {x} -> {x}"
    body = f"  %y = {norm}\n"
    if result != "f32":
        body = (f"  %y = tn.fused -> {y} {{\n    %0 = {norm}\n    %1 = tn.cast %0 : {x} -> {y}\n"
                f"    tn.yield %1 : {y}\n  }}\n")
    return f"func.func @f(%x: {x}) -> {y}\n    attributes {{tn.rows = {ROWS} : i64}} {{\n{body}  return %y : {y}\n}}\n"


def build(tnllm_opt, folder):
    os.makedirs(folder, exist_ok=True)
    kernels = {}
    for columns in COLUMNS:
        for result in RESULTS:
            name = f"norm-{columns}-{result}"
            lowered = subprocess.run(
                [tnllm_opt, "--convert-tn-to-tnk=gpu-threads=256", "--canonicalize", "--cse",
                 f"--tnk-to-ptx=format=cubin output={os.path.join(folder, name + '.cubin')}"],
                input=norm_text(columns, result), text=True, stdout=subprocess.PIPE, check=True).stdout
            kernels[name] = attention_script().launches_of(lowered)
    with open(os.path.join(folder, "norms.json"), "w", encoding="utf-8") as file:
        json.dump(kernels, file, indent=1)


def peers(torch):
    """Name to a function of x and the wanted type."""

    def norm(x, dtype):
        y = x.float()
        return (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + EPSILON)).to(dtype)

    found = {"torch.compile": torch.compile(norm, mode="max-autotune-no-cudagraphs", dynamic=False)}
    try:
        from lightning_attn.ops.triton.srmsnorm import SimpleRMSNorm

        module = SimpleRMSNorm(1)
        found["lightning-attn"] = lambda x, dtype: module(x) if dtype == x.dtype else None
    except ImportError as reason:
        print(f"lightning-attn is left out: {reason}", file=sys.stderr)
    return found


def run(folder):
    import torch

    attention = attention_script()
    torch.manual_seed(1)
    torch.set_grad_enabled(False)
    torch.zeros(1, device="cuda")
    with open(os.path.join(folder, "norms.json"), encoding="utf-8") as file:
        kernels = json.load(file)
    cuda, timer = attention.Cuda(), attention.Timer(torch)
    others = peers(torch)
    wrong = []
    for name, launches in kernels.items():
        _, columns, result = name.split("-")
        dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[result]
        x = 3 * torch.randn(ROWS, int(columns), device="cuda")
        out = torch.full((ROWS, int(columns)), float("nan"), device="cuda", dtype=dtype)
        function = next(iter(cuda.load(os.path.join(folder, name + ".cubin"), launches).values()))
        arguments = [attention.Word(value) for value in (x, out, ROWS)]
        stream = torch.cuda.current_stream().cuda_stream

        def ours():
            cuda.launch(function, ROWS, stream, arguments, overlaps=False)

        expected = x.double() * (x.double().pow(2).mean(-1, keepdim=True) + EPSILON).rsqrt()
        bytes_moved = x.nbytes + out.nbytes
        source, target = torch.zeros(2, bytes_moved // 2, dtype=torch.uint8, device="cuda").unbind()
        copy = 1e3 * timer(lambda: target.copy_(source))
        row = {"columns": int(columns), "result": result, "copy_us": copy, "us": {}, "of_copy": {}, "error": {}}
        bodies = {"tnllm": ours, **{n: (lambda f=f: f(x, dtype)) for n, f in others.items()}}
        for who, body in bodies.items():
            y = body()
            torch.cuda.synchronize()
            y = out if who == "tnllm" else y
            if y is None:
                continue
            row["error"][who] = attention.error(y, expected)
            row["us"][who] = 1e3 * timer(body)
            row["of_copy"][who] = copy / row["us"][who]
        print(json.dumps(row), flush=True)
        if row["error"]["tnllm"] > 4e-3:
            wrong.append(name)
    if wrong:
        sys.exit("wrong: " + ", ".join(wrong))


if __name__ == "__main__":
    if sys.argv[1:2] == ["build"] and len(sys.argv) == 4:
        build(*sys.argv[2:])
    elif sys.argv[1:2] == ["run"] and len(sys.argv) == 3:
        run(sys.argv[2])
    else:
        sys.exit(__doc__)
