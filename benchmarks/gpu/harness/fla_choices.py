"""flash-linear-attention's choices among its kernels' configurations, made in little time.

Each kernel has some 48 of them, of which Triton times each for an eighth of a second when a kernel
is called for the first time in a form: a minute for one attention, forward and backward. A kernel
of less than a millisecond is known as well after a tenth of that, and that is what it gets here;
the choice, its candidates and what is compared (medians) stay the same.
"""

import gc

WARM_MS, MEASURED_MS = 3, 12


def shorten():
    from triton import testing
    from triton.runtime.autotuner import Autotuner

    def measure(call, quantiles):
        return testing.do_bench(call, warmup=WARM_MS, rep=MEASURED_MS, quantiles=quantiles)

    Autotuner.do_bench = property(lambda self: measure)


def forget():
    """Kernels choose anew at their next call. They look at widths and types alone, so that a choice made
    for many heads would stay for few."""
    from triton.runtime.autotuner import Autotuner

    for each in gc.get_objects():
        if issubclass(type(each), Autotuner):
            each.cache.clear()
