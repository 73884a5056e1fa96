"""Runs each pass over each test file: every_pass.py ROOT [TNLLM_OPT] [PASS...]

Each pass that a Passes.td defines and each pipeline, as it is and with all options that a test
gives it, runs over the cases of all test files. Most of them are not what it is for, so that
it must refuse them or leave them alone: the exit status is 0 or 1. A signal, an assertion or
30 seconds for a file without an end is a failure. All files go through one process; where that
fails, each goes through its own, so that the culprit has a name.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = sys.argv[1]
OPT = sys.argv[2] if len(sys.argv) > 2 else "tnllm-opt"
ONLY = set(sys.argv[3:])
sys.path.insert(0, os.path.join(ROOT, "tools", "dev"))
import definitions  # noqa: E402

PIPELINES = ["tn-pipeline", "tnk-pipeline", "tnrt-pipeline", "llvm-pipeline", "device-pipeline"]


def flags_of(names):
    """`--pass` of each, and `--pass=options` of each way in which a test runs it, but for options
    that name files."""
    flags = {"--" + name for name in names}
    for path in glob.glob(f"{ROOT}/test/**/*.*", recursive=True):
        if not path.endswith((".mlir", ".test")):
            continue
        with open(path, encoding="utf-8") as file:
            for line in re.findall(r"RUN:(.*)", file.read()):
                for name, _, quoted, bare in re.findall(
                        r"""--([\w-]+)=(?:(["'])(.*?)\2|([^\s"']+))""", line):
                    options = quoted or bare
                    if name in names and not re.search(r"%|puts?=|parameters=|ptxas=", options):
                        flags.add(f"--{name}={options}")
    return sorted(flags)


def status_of(flag, path, seconds):
    """The exit status, or None where it did not end."""
    try:
        return subprocess.run([OPT, path, "--split-input-file", "--allow-unregistered-dialect", flag,
                               "-o", os.devnull], capture_output=True, timeout=seconds).returncode
    except subprocess.TimeoutExpired:
        return None


def problems_of(flag, everything, files):
    if status_of(flag, everything, 30 * len(files)) in (0, 1):
        return []
    statuses = [(path, status_of(flag, path, 30)) for path in files]
    wrong = [f"{'no end after 30 s' if status is None else f'exit {status}'}: {flag} {path}"
             for path, status in statuses if status not in (0, 1)]
    return wrong or [f"a failure over all files together: {flag}"]


def main():
    arguments = argparse.Namespace(root=ROOT, tblgen=definitions.TBLGEN,
                                   mlir_include=definitions.MLIR_INCLUDE)
    passes = [record["argument"] for record, _, _ in definitions.passes(arguments)]
    files = sorted(path for folder in ("Dialect", "Transforms", "Conversion", "Reference")
                   for path in glob.glob(f"{ROOT}/test/{folder}/**/*.mlir", recursive=True))
    flags = [flag for flag in flags_of(set(passes + PIPELINES))
             if not ONLY or re.match(r"--([\w-]+)", flag).group(1) in ONLY]
    with tempfile.TemporaryDirectory() as folder:
        everything = os.path.join(folder, "all.mlir")
        with open(everything, "w", encoding="utf-8") as file:
            for path in files:
                with open(path, encoding="utf-8") as one:
                    file.write(one.read().rstrip("\n") + "\n\n// -----\n\n")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = [problem for problems in
                     pool.map(lambda flag: problems_of(flag, everything, files), flags)
                     for problem in problems]
    for problem in found:
        print(problem)
    print(f"{len(passes)} passes and {len(PIPELINES)} pipelines, in {len(flags)} ways, ran over "
          f"{len(files)} files, {len(found)} crashes")
    return 1 if found or len(files) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
