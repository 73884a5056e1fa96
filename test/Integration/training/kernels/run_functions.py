"""Runs functions of tn natively and compares them with the f64 interpreter.

run_functions.py MODULE DIR [--words V] [--shapes 1x1,2x65] [--convert OPTIONS]

Compiles every public function of MODULE for the CPU at hand, calls it with random
arguments for each shape (batch x length), and compares each result with tn-interpret's.
Further, for each: the order of a launch's tasks and the number of threads change no bit;
rows beyond those of the call stay untouched; results of static shape (gradients of
parameters) are added to what was there, but for those of one element, which are written;
the arena's bytes are NaN before. Arguments are drawn by their names: ids and labels are
words (labels may be -1), positions, starts (small ones), slopes and theta are what a
model has, others are normal. Prints a line for each function; exit code 1 where one is wrong.
"""
import argparse
import ctypes
import os
import re
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", "..", "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", ".."))
import safetensors_io  # noqa: E402

TYPES = {"f32": np.float32, "i32": np.int32, "i64": np.int64}
IN_ORDER, REVERSED, THREADED = range(3)
GUARD = 1 << 6  # elements around a result


class Tensor:
    def __init__(self, text):
        *dims, element = text.split("x")
        self.dims = [None if dim == "?" else int(dim) for dim in dims]
        self.type = TYPES[element]

    def is_static(self):
        return None not in self.dims

    def shape(self, batch, length):
        return [given if dim is None else dim
                for dim, given in zip(self.dims, [batch, length] + self.dims[2:])]

    def rows(self):
        """Of a call: of the sizes that are not known, how many."""
        return self.dims.count(None)


class Function:
    def __init__(self, name, arguments, results, rows):
        self.name, self.rows = name, rows
        self.arguments = [(n, Tensor(t)) for n, t in
                          re.findall(r"%(\w+): tensor<([^>]+)>", arguments)]
        self.results = [Tensor(t) for t in re.findall(r"tensor<([^>]+)>", results)]


def functions_of(text):
    pattern = (r"func\.func @(\w+)\((.*?)\)\s*->\s*(.*?)\s*attributes\s*"
               r"\{[^}]*tn\.rows = (\d+)")
    return [Function(*match[:3], int(match[3]))
            for match in re.findall(pattern, text, re.DOTALL)]


def compile_module(options):
    """The library, and the bytes of the arena."""
    convert = f"--convert-tn-to-tnk=training=1 {options.convert}"
    schedule = subprocess.run(
        ["tnllm-opt", options.module, convert, "--canonicalize", "--cse",
         "--tnrt-pipeline"], check=True, stdout=subprocess.PIPE, text=True).stdout
    llvm = subprocess.run(["tnllm-opt", "-", "--llvm-pipeline"], input=schedule,
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    source, library = (os.path.join(options.dir, "functions" + end)
                       for end in (".ll", ".so"))
    subprocess.run(["mlir-translate", "--mlir-to-llvmir", "-o", source], input=llvm,
                   check=True, text=True)
    subprocess.run(
        ["clang", f"-O{options.optimize}", "-march=native", "-shared", "-fPIC",
         "-Wno-override-module", "-I", os.path.join(ROOT, "runtime", "include"), source,
         os.path.join(HERE, "Inputs", "launch.c"), "-lpthread", "-lm", "-o", library],
        check=True)
    arena = re.search(r"tnrt\.arena_bytes = (\d+)", schedule)
    return ctypes.CDLL(library), int(arena.group(1)) if arena else 0


def draw(random, name, tensor, shape, words):
    if name == "ids":
        return random.integers(0, words, shape).astype(tensor.type)
    if name == "labels":
        return random.integers(-1, words, shape).astype(tensor.type)
    if name == "positions":
        return random.integers(0, 3000, shape).astype(tensor.type)
    if name == "starts":  # of sequences that have an end
        return random.integers(0, 40, shape).astype(tensor.type)
    if name == "slopes":  # from fast to hardly any decay
        return np.logspace(0, -5, shape[0]).astype(tensor.type)
    if name == "theta":
        return random.uniform(0, 1, shape).astype(tensor.type)
    return random.standard_normal(shape).astype(tensor.type)


def aligned(count, dtype, fill):
    """An array at a multiple of 64 bytes."""
    item = np.dtype(dtype).itemsize
    memory = np.empty(count * item + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    array = memory[begin:begin + count * item].view(dtype)
    array[:] = fill
    return array


def expected_results(options, function, values):
    inputs, outputs = (os.path.join(options.dir, name + ".safetensors")
                       for name in ("in", "out"))
    safetensors_io.save(inputs, {f"arg{i}": value for i, value in enumerate(values)})
    subprocess.run(["tnllm-opt", options.module, "-o", os.devnull,
                    f"--tn-interpret=function={function.name} inputs={inputs} "
                    f"outputs={outputs} print=1"],
                   check=True, stdout=subprocess.DEVNULL)
    results = safetensors_io.load(outputs)
    return [results[f"result{i}"] for i in range(len(function.results))]


class Call:
    """A function with its arguments at a shape."""

    def __init__(self, library, arena, function, values, batch, length, before):
        self.library, self.arena, self.function = library, arena, function
        self.values, self.before = values, before
        self.batch, self.length = batch, length
        # With room for as many rows as the function takes.
        self.inputs = []
        for (_, tensor), value in zip(function.arguments, values):
            room = aligned(self.capacity(tensor), tensor.type, 0)
            room[:value.size] = value.ravel()
            self.inputs.append(room)

    def capacity(self, tensor):
        if tensor.is_static():
            return int(np.prod(tensor.dims))
        return self.function.rows * int(np.prod([d for d in tensor.dims if d] or [1]))

    def run(self, order):
        self.arena[:] = 0xFF
        ctypes.c_int.in_dll(self.library, "order").value = order
        ctypes.c_void_p.in_dll(self.library, "arena").value = self.arena.ctypes.data
        results = []
        for tensor, before in zip(self.function.results, self.before):
            room = aligned(self.capacity(tensor) + 2 * GUARD, np.float32, np.nan)
            if tensor.is_static():
                room[GUARD:GUARD + before.size] = before.ravel()
            results.append(room)
        pointers = [a.ctypes.data for a in self.inputs]
        pointers += [r.ctypes.data + 4 * GUARD for r in results]
        getattr(self.library, self.function.name)(
            ctypes.c_void_p(0), ctypes.c_int64(self.batch), ctypes.c_int64(self.length),
            *[ctypes.c_void_p(p) for p in pointers])
        return results


def check(options, library, arena, function, batch, length, random):
    """What is wrong, as a list of lines, and the largest relative error."""
    values = [draw(random, name, tensor, tensor.shape(batch, length), options.words)
              for name, tensor in function.arguments]
    before = [random.standard_normal(tensor.dims).astype(np.float32)
              if tensor.is_static() else None for tensor in function.results]
    expected = expected_results(options, function, values)
    call = Call(library, arena, function, values, batch, length, before)
    results = call.run(IN_ORDER)
    wrong, worst = [], 0.0
    for order in (REVERSED, THREADED):
        for i, again in enumerate(call.run(order)):
            if results[i].tobytes() != again.tobytes():
                wrong.append(f"result {i} depends on the order of the tasks")
    for i, (tensor, want) in enumerate(zip(function.results, expected)):
        want = np.asarray(want, np.float64)
        got = results[i][GUARD:GUARD + want.size].astype(np.float64)
        outside = np.concatenate([results[i][:GUARD], results[i][GUARD + want.size:]])
        if not np.isnan(outside).all():
            wrong.append(f"result {i}: wrote outside of the call's rows")
        if tensor.is_static() and want.size > 1:
            got -= before[i].ravel().astype(np.float64)
        largest = max(np.abs(want).max(), 1.0 if tensor.is_static() else 1e-30)
        error = np.abs(got - want.ravel()).max() / largest
        if not error < options.tolerance:
            place = int(np.nanargmax(np.abs(got - want.ravel()))) \
                if not np.isnan(got).all() else 0
            wrong.append(f"result {i}: error {error:.1e} of its maximum, element {place}: "
                         f"{got[place]:.8g} for {want.ravel()[place]:.8g}")
        worst = max(worst, error)
    return wrong, worst


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("dir")
    parser.add_argument("--words", type=int, default=37)
    parser.add_argument("--shapes", default="1x1,1x7,3x5,2x65,1x200")
    parser.add_argument("--convert", default="", help="options of convert-tn-to-tnk")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--optimize", default="1", help="as of clang -O")
    options = parser.parse_args()
    os.makedirs(options.dir, exist_ok=True)

    with open(options.module) as file:
        functions = functions_of(file.read())
    library, arena_bytes = compile_module(options)
    arena = aligned(arena_bytes + 1, np.uint8, 0xFF)
    random = np.random.default_rng(1)
    failed = False
    for function in functions:
        wrong, worst = [], 0.0
        for shape in options.shapes.split(","):
            batch, length = (int(size) for size in shape.split("x"))
            if batch * length > function.rows:
                continue
            found, error = check(options, library, arena, function, batch, length, random)
            wrong += [f"{function.name} of {shape}: {line}" for line in found]
            worst = max(worst, error)
        print("\n".join(wrong) if wrong else
              f"{function.name}: agrees ({worst:.1e})", flush=True)
        failed |= bool(wrong)
    return 1 if failed or not functions else 0


if __name__ == "__main__":
    sys.exit(main())
