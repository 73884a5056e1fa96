#!/usr/bin/env python3
"""Trains in PyTorch what a trainer trained on a GPU: the same budget, compared on held-out text.

same_run.py RUN CONFIG --data SHARD... [--then SHARD... --after STEP] --val SHARD --bytes N
    [--output FILE]

RUN is a run of `trainer train` whose step 0 was kept; CONFIG the config.json of its model. The
peer begins with the weights of step 0 and takes the same batches in the same order, the same
learning rates, clipping and AdamW (decay of matrices alone), for as many steps. It is
beside_torch.py's model, compiled, under autocast to bf16, with fused AdamW; nothing is copied
to the host between steps but every fiftieth loss. --then names the shards of a run that was
resumed with others after a step.

Both are then scored on all windows of SHARD after --val; --bytes is the length of its text, by
which bits per byte are. The last line is JSON. Needs numpy and PyTorch with CUDA.
"""
import argparse
import json
import math
import os
import time

import numpy as np
import torch

import beside_torch


def read_safetensors(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()
    return {name: np.frombuffer(data[entry["data_offsets"][0]:entry["data_offsets"][1]],
                                "<f4").reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def permutation(size, key):
    """beside_torch.permuted() of all places of an epoch at once."""
    half = 1
    while 1 << (2 * half) < size:
        half += 1
    keys = [np.uint64(beside_torch.mix((key + r * 0xD1342543DE82EF95) & beside_torch.MASK64))
            for r in range(6)]
    low = np.uint64((1 << half) - 1)

    def mix(value):
        value = value + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ value >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ value >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return value ^ value >> np.uint64(31)

    index = np.arange(size, dtype=np.uint64)
    pending = np.ones(size, bool)
    with np.errstate(over="ignore"):
        while pending.any():
            left, right = index[pending] >> np.uint64(half), index[pending] & low
            for k in keys:
                left, right = right, left ^ (mix(right ^ k) & low)
            index[pending] = left << np.uint64(half) | right
            pending = index >= size
    return index.astype(np.int64)


class Windows:
    """Windows of shards on the GPU, in the order of docs/TrainingFormats.md."""

    def __init__(self, shards, length, seed=1):
        starts, tokens, base = [], [], 0
        for shard in shards:
            ids = np.fromfile(shard, dtype="<u2", offset=64).astype(np.int32)
            starts.append(base + np.arange((len(ids) - 1) // length) * length)
            tokens.append(ids)
            base += len(ids)
        self.starts, self.length, self.seed = np.concatenate(starts), length, seed
        self.tokens = torch.from_numpy(np.concatenate(tokens)).cuda()
        self.offsets = torch.arange(length + 1, device="cuda")
        self.epochs = {}

    def __len__(self):
        return len(self.starts)

    def at(self, starts):
        first = torch.from_numpy(starts).cuda()
        return self.tokens[first[:, None] + self.offsets].long()

    def place(self, sample):
        epoch, place = divmod(sample, len(self))
        if epoch not in self.epochs:
            key = beside_torch.mix(self.seed) ^ (epoch * 0x9FB21C651E98DF25
                                                 & beside_torch.MASK64)
            self.epochs = {epoch: self.starts[permutation(len(self), key)]}
        return self.epochs[epoch][place]

    def batch(self, rows, number):
        return self.at(np.array([self.place(s) for s in range(number * rows,
                                                              (number + 1) * rows)]))


class Model(torch.nn.Module):
    def __init__(self, weights, length):
        super().__init__()
        self.peer = beside_torch.Peer(weights, length, torch.float32, "cuda")
        self.listed = torch.nn.ParameterList(self.peer.w.values())

    def forward(self, ids):
        return self.peer.loss(ids)


def validation(run, windows, rows):
    total = 0.0
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        whole = len(windows) // rows * rows
        for start in range(0, whole, rows):
            total += run(windows.at(windows.starts[start:start + rows])).item() * rows
        for start in range(whole, len(windows)):
            total += run(windows.at(windows.starts[start:start + 1])).item()
    return total / len(windows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("config")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--then", nargs="+")
    parser.add_argument("--after", type=int)
    parser.add_argument("--val", required=True)
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--seq", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--output")
    options = parser.parse_args()
    with open(options.config, encoding="utf-8") as file:
        beside_torch.CONFIG = json.load(file)
    with open(os.path.join(options.run, "metrics.jsonl"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    steps = [line for line in lines if "lr" in line and "loss" in line]
    ours = [line["val_loss"] for line in lines if "val_loss" in line][-1]
    weights = read_safetensors(os.path.join(
        options.run, "checkpoints/step-00000000/parameters.safetensors"))
    model = Model(weights, options.seq)
    run = torch.compile(model)
    groups = [{"params": [p for p in model.peer.w.values() if (p.dim() == 2) == decays],
               "weight_decay": options.weight_decay if decays else 0.0}
              for decays in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), eps=1e-8, fused=True)
    data, rows = Windows(options.data, options.seq), options.batch_tokens // options.seq
    losses, began = [], None
    for number, step in enumerate(steps):
        if options.then and number == options.after:
            data = Windows(options.then, options.seq)
        if number == 10:  # compiled
            torch.cuda.synchronize()
            began = time.time()
        for group in optimizer.param_groups:
            group["lr"] = step["lr"]
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = run(data.batch(rows, number))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (number + 1) % 50 == 0:
            losses.append([number + 1, loss.item(), step["loss"]])
        if (number + 1) % 2000 == 0:
            print(f"step {number + 1}: {losses[-1][1]:.4f}, the trainer {losses[-1][2]:.4f}",
                  flush=True)
    torch.cuda.synchronize()
    seconds = (time.time() - began) / (len(steps) - 10)
    windows = Windows([options.val], options.seq)
    theirs = validation(run, windows, rows)
    scale = len(windows.tokens) / math.log(2) / options.bytes  # tokens of the whole text
    result = {"steps": len(steps), "tokens": len(steps) * options.batch_tokens,
              "torch": torch.__version__, "device": torch.cuda.get_device_name(),
              "ms_per_step": seconds * 1e3, "tokens_per_s": options.batch_tokens / seconds,
              "val_loss": {"trainer": ours, "torch": theirs},
              "bits_per_byte": {"trainer": ours * scale, "torch": theirs * scale},
              "memory_bytes": torch.cuda.max_memory_allocated()}
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump({**result, "losses": losses}, file)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
