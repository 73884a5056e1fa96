"""Compiles the golden cases for a GPU, and for the CPU to compare with, into one folder.

build_programs.py TNLLMC FOLDER [CASE...] [--target=sm_90a] [--dtypes=f32,bf16]

FOLDER then holds, for each case, CASE-f32, CASE-bf16 (GPU programs), CASE-cpu (f32, for
any x86-64-v3 CPU), CASE.safetensors (what is expected) and the trainers that training.py
names, all self-contained: it can be carried to a GPU machine without a compiler, where
run_suite.py checks it.

Each case is traced too: CASE-trace is a folder with the f32 program that shows every value
(--trace-tensors), its input and, in expected.safetensors, what tnllm-opt, which must be
beside tnllmc, interprets in f64.

The golden cases are narrow. The case `wide` has random weights, activations in bf16 and
tensor cores; what is expected of it, in wide-f32.safetensors and wide-bf16.safetensors,
is what CPU programs of that type compute, which keep f32 between their linear maps.

The cases narrow_int8, narrow_fp8 and narrow_int4 have quantised weights (quantised.py).
The cases of BASELINES have trainers alone.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../Inputs/golden")

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), path)
                for path in (".", "..")]
import quantised
import safetensors_io
import training
from program import Program

WIDE = """vocab_size: 300
decoder_embed_dim: 256
decoder_layers: 2
decoder_attention_heads: 4
hidden_dim: 256
glu_dim: 320
linear_use_lrpe_list: [1, 0]
init_std: 0.1
pad_token_id: null
bos_token_id: null
eos_token_id: null
tokenizer: bytes
"""
WIDE_SHAPE = (2, 200)

# What ablations are trained with besides: softmax attention, whole and in blocks, RoPE, learned
# positions and the other norms. There are trainers alone. Heads of 24 and of 20 columns; blocks
# that end inside of a sequence.
BASELINE = """vocab_size: 260
decoder_layers: 2
pad_token_id: null
bos_token_id: null
eos_token_id: null
tokenizer: bytes
init_std: 0.05
gate: false
glu_act_fun: silu
max_position_embeddings: 160
"""
BASELINES = {
    "softmax": BASELINE + """decoder_embed_dim: 72
decoder_attention_heads: 3
hidden_dim: 72
glu_dim: 100
attention: softmax
position_encoding: rope
norm_type: rmsnorm
no_scale_embedding: true
""",
    "blocks": BASELINE + """decoder_embed_dim: 128
decoder_attention_heads: 4
hidden_dim: 80
glu_dim: 128
attention: [diag, linear]
attention_block: 48
linear_act_fun: 1+elu
position_encoding: absolute
norm_type: layernorm
""",
}


def expect(executable, folder):
    """What golden cases hold, computed by a CPU program."""
    program = Program(executable, folder)
    ids = np.random.RandomState(0).randint(0, 256, WIDE_SHAPE).astype(np.int64)
    result = program.run(ids)
    golden = {"input_ids": ids, "logits": result["logits"],
              "greedy": program.greedy(result, 24)}
    golden.update((name, tensor) for name, tensor in result.items()
                  if name.startswith(("hidden.", "state.")))
    return golden


def build_wide(tnllmc, folder, target, dtypes):
    with tempfile.TemporaryDirectory() as work:
        spec = os.path.join(work, "wide.yaml")
        with open(spec, "w", encoding="utf-8") as file:
            file.write(WIDE)

        def compile_as(output, *options):
            subprocess.run([tnllmc, spec, "-o", output, "--quiet", "--random-weights=1",
                            *options], check=True)

        compile_as(os.path.join(folder, "wide-cpu"), "--march=x86-64-v3")
        training.build(tnllmc, spec, "wide", folder, target, ["--random-weights=1"])
        for dtype in dtypes:
            compile_as(os.path.join(folder, f"wide-{dtype}"), f"--target={target}",
                       f"--dtype={dtype}")
            compile_as(os.path.join(work, dtype), f"--dtype={dtype}",
                       "--march=x86-64-v3")
            safetensors_io.save(os.path.join(folder, f"wide-{dtype}.safetensors"),
                                  expect(os.path.join(work, dtype), work))


def build_baselines(tnllmc, folder, target):
    with tempfile.TemporaryDirectory() as work:
        for case, text in BASELINES.items():
            spec = os.path.join(work, case + ".yaml")
            with open(spec, "w", encoding="utf-8") as file:
                file.write(text)
            training.build(tnllmc, spec, case, folder, target, ["--random-weights=1"])


def build_trace(tnllmc, path, folder, target):
    """A traced program, and what the interpreter shows of the same module."""
    arguments = [tnllmc, path, f"--target={target}", f"--trace-tensors={folder}",
                 "--weights=embed", "--quiet"]
    # The program runs where there is a GPU; elsewhere tnllmc fails after all is written.
    done = subprocess.run(arguments, capture_output=True, text=True)
    module = os.path.join(folder, "model.tn.mlir")
    if done.returncode != 0 and "the run of" not in done.stderr:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    beside = os.path.dirname(shutil.which(tnllmc) or tnllmc)
    subprocess.run([os.path.join(beside, "tnllm-opt"), module, "-o", os.devnull,
                    "--tn-interpret=function=prefill print=0 "
                    f"inputs={os.path.join(folder, 'input.safetensors')} "
                    f"outputs={os.path.join(folder, 'expected.safetensors')} "
                    f"parameters={path}"], check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tnllmc")
    parser.add_argument("folder")
    parser.add_argument("case", nargs="*")
    parser.add_argument("--target", default="sm_90a")
    parser.add_argument("--dtypes", default="f32,bf16")
    args = parser.parse_args()
    os.makedirs(args.folder, exist_ok=True)
    cases = args.case or [os.path.join(GOLDEN, name) for name in sorted(os.listdir(GOLDEN))
                          if os.path.isdir(os.path.join(GOLDEN, name))]
    if not args.case:
        build_wide(args.tnllmc, args.folder, args.target, args.dtypes.split(","))
        quantised.build(args.tnllmc, args.folder, args.target, expect)
        build_baselines(args.tnllmc, args.folder, args.target)
    for path in cases:
        case = os.path.basename(os.path.normpath(path))

        def compile_as(name, *options):
            output = os.path.join(args.folder, f"{case}-{name}")
            subprocess.run([args.tnllmc, path, "-o", output, "--quiet",
                            "--weights=embed", *options], check=True)

        build_trace(args.tnllmc, path, os.path.join(args.folder, f"{case}-trace"),
                    args.target)
        for dtype in args.dtypes.split(","):
            compile_as(dtype, f"--target={args.target}", f"--dtype={dtype}")
        compile_as("cpu", "--march=x86-64-v3")
        training.build(args.tnllmc, path, case, args.folder, args.target, [])
        shutil.copyfile(os.path.join(path, "golden.safetensors"),
                        os.path.join(args.folder, f"{case}.safetensors"))


if __name__ == "__main__":
    main()
