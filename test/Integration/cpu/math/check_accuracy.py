"""Compares the functions of a library with those of f64.

check_accuracy.py LIBRARY

The library's test_<f>(const float x[65536], float y[65536]) are sampled on several
ranges. Prints a line for each range; exit status 1 when an error is over its bound.
"""

import ctypes
import math
import sys

import numpy as np

COUNT = 65536
_generator = np.random.default_rng(7)


def uniform(low, high):
    return _generator.uniform(low, high, COUNT).astype(np.float32)


def decades(low, high):
    """Magnitudes of every size from low to high, of both signs."""
    size = np.exp(_generator.uniform(math.log(low), math.log(high), COUNT))
    return (size * _generator.choice([-1, 1], COUNT)).astype(np.float32)


def near_multiples():
    """The f32 next to multiples of pi/2: where a sine or cosine nearly vanishes."""
    multiples = np.exp(_generator.uniform(0, math.log(2**29), COUNT)).round()
    return (multiples * (math.pi / 2)).astype(np.float32)


def special(*values):
    return np.resize(np.array(values, np.float32), COUNT)


def absolute(got, want, _):
    return np.abs(got - want)


def relative(got, want, _):
    # Under the smallest normal number f32 has no relative accuracy to give.
    return np.abs(got - want) / np.maximum(np.abs(want), np.finfo(np.float32).tiny)


_erf = np.vectorize(math.erf, otypes=[np.float64])
_trigonometric = [("[-pi, pi]", lambda: uniform(-math.pi, math.pi)),
                  ("1e-30..2^30", lambda: decades(1e-30, 2**30)),
                  ("near k pi/2", near_multiples)]

# function, exact one, error, bound, ranges
CASES = [
    ("sin", np.sin, absolute, 2.5e-7, _trigonometric),
    ("cos", np.cos, absolute, 2.5e-7, _trigonometric),
    ("exp", np.exp, relative, 3e-7,
     [("[-87, 88]", lambda: uniform(-87, 88)), ("[-1, 1]", lambda: uniform(-1, 1)),
      ("1e-30..80", lambda: decades(1e-30, 80))]),
    ("expm1", np.expm1, relative, 1e-6,
     [("[-20, 80]", lambda: uniform(-20, 80)), ("1e-6..1", lambda: decades(1e-6, 1))]),
    ("erf", _erf, absolute, 5e-7,
     [("[-6, 6]", lambda: uniform(-6, 6)), ("1e-30..30", lambda: decades(1e-30, 30))]),
]

# function, argument, value: what must come out exactly
EXACT = [("exp", 0.0, 1.0), ("exp", -100.0, 0.0), ("exp", 100.0, math.inf),
         ("exp", -math.inf, 0.0), ("exp", math.inf, math.inf), ("exp", math.nan, math.nan),
         ("sin", 0.0, 0.0), ("cos", 0.0, 1.0), ("sin", math.nan, math.nan),
         ("expm1", 0.0, 0.0), ("expm1", -100.0, -1.0),
         ("erf", 0.0, 0.0), ("erf", 30.0, 1.0), ("erf", -30.0, -1.0)]


def call(library, name, x):
    y = np.empty(COUNT, np.float32)
    pointer = ctypes.POINTER(ctypes.c_float)
    getattr(library, "test_" + name)(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer))
    return y


def main():
    library = ctypes.CDLL(sys.argv[1])
    failed = False
    for name, exact, error, bound, ranges in CASES:
        for label, sample in ranges:
            x = sample()
            got = call(library, name, x).astype(np.float64)
            want = exact(x.astype(np.float64))
            errors = error(got, want, x)
            worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
            good = bool(errors[worst] <= bound)
            failed |= not good
            print(f"{name} {label}: {error.__name__} error {errors[worst]:.2e} at "
                  f"{x[worst]!r}, bound {bound:.1e} {'ok' if good else 'FAIL'}")
    for name, x, want in EXACT:
        got = float(call(library, name, special(x))[0])
        good = got == want or (math.isnan(got) and math.isnan(want))
        failed |= not good
        print(f"{name}({x}) = {got}, expected {want} {'ok' if good else 'FAIL'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
