"""Runs each pass over each test file: every_pass.py ROOT [TNLLM_OPT]

Most of them are not what the pass is for, so that it must refuse them or leave them alone: the
exit status is 0 or 1. A signal, an assertion or 30 seconds without an end is a failure. The passes
are those with a page (test/Docs/Inputs/passes), which is all of them.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys

ROOT = sys.argv[1]
OPT = sys.argv[2] if len(sys.argv) > 2 else "tnllm-opt"


def crash_of(name, path):
    """What went wrong, or None."""
    command = [OPT, path, "--split-input-file", f"--{name}", "-o", os.devnull]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        return f"no end after 30 s: --{name} {path}"
    if done.returncode in (0, 1):
        return None
    return f"exit {done.returncode}: --{name} {path}"


def main():
    passes = sorted(os.path.basename(p)[:-len(".mlir")] for p in glob.glob(f"{ROOT}/test/Docs/Inputs/passes/*.mlir"))
    files = sorted(path for folder in ("Dialect", "Transforms", "Conversion", "Reference")
                   for path in glob.glob(f"{ROOT}/test/{folder}/**/*.mlir", recursive=True))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [problem for problem in pool.map(lambda pair: crash_of(*pair), [(n, f) for n in passes for f in files])
                 if problem]
    for problem in found:
        print(problem)
    print(f"{len(passes)} passes ran over {len(files)} files, {len(found)} crashes")
    return 1 if found or len(passes) < 20 or len(files) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
