#!/usr/bin/env python3
"""Compiles what flash-linear-attention chooses among, so that a choice later finds it compiled.

warm.py SHARE COUNT SHAPE...

Its kernels time 48 configurations before the first call and compile them one after the other,
which takes minutes for each number of heads and each form. COUNT of these processes at a time
compile a share each, into Triton's cache, and time nothing. With COUNT 1 the choice is made, and
kept there. A SHAPE is heads x width, with `s` where the final state is wanted, as
prefill wants it: 8x128s.
"""
import sys


def main(share, count, shapes):
    import torch
    from triton.runtime.autotuner import Autotuner

    prune = Autotuner.prune_configs

    def mine(self, *args, **kwargs):
        configs = prune(self, *args, **kwargs)
        self.__dict__["do_bench"] = lambda call, quantiles: (call(), [0.0] * len(quantiles))[1]
        return configs[share % len(configs)::count]

    if count > 1:
        Autotuner.prune_configs = mine
    from fla.ops.simple_gla import chunk_simple_gla

    for shape in shapes:
        heads, width = (int(number) for number in shape.rstrip("s").split("x"))
        q, k, v = torch.randn(3, 1, 2048, heads, width, device="cuda").to(torch.bfloat16)
        with torch.no_grad():
            chunk_simple_gla(q, k, v, g_gamma=-torch.rand(heads, device="cuda"), scale=1.0,
                             output_final_state=shape.endswith("s"))
    torch.cuda.synchronize()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
