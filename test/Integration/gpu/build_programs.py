"""Compiles the golden cases for a GPU, and for the CPU to compare with, into one folder.

build_programs.py TNLLMC FOLDER [CASE...] [--target=sm_90a] [--dtypes=f32,bf16]

FOLDER then holds, for each case, CASE-f32, CASE-bf16 (GPU programs), CASE-cpu (f32, for
any x86-64-v3 CPU) and CASE.safetensors (what is expected), all self-contained: it can
be carried to a GPU machine without a compiler, where run_suite.py checks it.
"""

import argparse
import os
import shutil
import subprocess

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "../../Inputs/golden")


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
    for path in cases:
        case = os.path.basename(os.path.normpath(path))

        def compile_as(name, *options):
            output = os.path.join(args.folder, f"{case}-{name}")
            subprocess.run([args.tnllmc, path, "-o", output, "--quiet",
                            "--weights=embed", *options], check=True)

        for dtype in args.dtypes.split(","):
            compile_as(dtype, f"--target={args.target}", f"--dtype={dtype}")
        compile_as("cpu", "--march=x86-64-v3")
        shutil.copyfile(os.path.join(path, "golden.safetensors"),
                        os.path.join(args.folder, f"{case}.safetensors"))


if __name__ == "__main__":
    main()
