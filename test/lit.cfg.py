# The lit suite: .mlir and .test files, run by bash with `set -o pipefail`.
#
# On PATH: the build's programs (tnllm-opt, tnllmc) and LLVM's (FileCheck, not,
# count, split-file, llvm-objdump, ...). Substitutions: %tnllmc, %tnllm-opt,
# %python (with numpy), %root (the source tree), %build, %examples, beside lit's own.
# Features: avx2, avx512, avx512bf16, avx512vnni (this CPU), asan (a sanitized build), root
# (permissions do not bind), mount (a private tmpfs can be mounted), ptxas (NVIDIA's
# assembler, where tnllmc looks for it), qemu (QEMU's user mode runs this CPU's programs
# on a CPU of another name), x86_64, mkdocs (make site has run).

import os
import platform
import shutil
import subprocess
import sys

# lit's workers are forked, so a module that is loaded here is theirs too.
sys.dont_write_bytecode = True
sys.path.append(os.path.dirname(__file__))
import tidy_format  # noqa: E402

config.name = "tnllm"
config.test_format = tidy_format.TidyShTest(execute_external=True)
config.suffixes = [".mlir", ".test"]
config.excludes = ["Inputs", "fuzz", "unittests", "CMakeLists.txt"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.tnllm_build_dir, "test")

bin_dir = os.path.join(config.tnllm_build_dir, "bin")
config.environment["PATH"] = os.pathsep.join(
    [bin_dir, config.llvm_tools_dir, os.environ.get("PATH", "")])
config.environment["LC_ALL"] = "C.UTF-8"
# Tests import modules of the source tree, which must stay as it is.
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
# A test must not wait for a keyboard, nor see a user's settings.
for name in ("ASAN_OPTIONS", "CUDA_HOME", "UBSAN_OPTIONS", "HOME", "TMPDIR"):
    if name in os.environ:
        config.environment[name] = os.environ[name]

config.substitutions += [
    ("%tnllmc", os.path.join(bin_dir, "tnllmc")),
    ("%tnllm-opt", os.path.join(bin_dir, "tnllm-opt")),
    ("%python", config.python),
    ("%root", config.tnllm_source_dir),
    ("%build", config.tnllm_build_dir),
    ("%examples", os.path.join(config.tnllm_source_dir, "examples")),
]

if config.sanitized:
    config.available_features.add("asan")
    config.environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")

# `make site` has fetched what it needs.
if os.path.isdir(os.path.join(config.tnllm_source_dir, "build", "site-packages")):
    config.available_features.add("mkdocs")
if platform.machine() == "x86_64":
    config.available_features.add("x86_64")
if shutil.which("ptxas", path=os.pathsep.join(
        [os.path.join(os.environ.get("CUDA_HOME", "/"), "bin"), os.environ.get("PATH", ""),
         "/usr/local/cuda/bin"])):
    config.available_features.add("ptxas")
if os.geteuid() == 0:
    config.available_features.add("root")
if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                  capture_output=True).returncode == 0:
    config.available_features.add("mount")

if shutil.which("qemu-x86_64"):
    config.available_features.add("qemu")

try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        flags = next((line.split(":", 1)[1].split() for line in file
                      if line.startswith("flags")), [])
except OSError:
    flags = []
if "avx2" in flags and "fma" in flags:
    config.available_features.add("avx2")
if all(f"avx512{part}" in flags for part in ("f", "bw", "cd", "dq", "vl")):
    config.available_features.add("avx512")
if "avx512_bf16" in flags:
    config.available_features.add("avx512bf16")
if "avx512_vnni" in flags:
    config.available_features.add("avx512vnni")
