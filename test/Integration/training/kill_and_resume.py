"""Kills a trainer at random instants, also within saves, and resumes it.

kill_and_resume.py TRAINER DIR [--kills N] [--seed S] [-- OPTIONS OF train]

An uninterrupted run comes first. A second one of the same options is killed (SIGKILL) N
times: half of the kills come at a random time after the start of the process, half as
soon as a checkpoint's folder stands aside, plus a random moment. After each, every
checkpoint that is visible must be whole. Its end must be the first run's, byte for byte:
parameters, moments, state, and the loss of each step. The text is words at random.
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

FILES = ("parameters.safetensors", "optimizer.safetensors", "trainer.json")


def steps_of(run):
    folder = os.path.join(run, "checkpoints")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(n for n in names if n.startswith("step-"))


def check_whole(run):
    """Every file of a visible checkpoint is there, with as many bytes as it says."""
    for name in steps_of(run):
        folder = os.path.join(run, "checkpoints", name)
        with open(os.path.join(folder, "trainer.json"), encoding="utf-8") as file:
            state = json.load(file)
        for part in state["files"]:
            with open(os.path.join(folder, part), "rb") as file:
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
                begin = file.tell()
                size = os.fstat(file.fileno()).st_size
            end = max(t["data_offsets"][1] for k, t in header.items() if k != "__metadata__")
            if begin + end != size:
                sys.exit(f"{folder}/{part} has {size} bytes, expected {begin + end}")


def is_saving(run):
    folder = os.path.join(run, "checkpoints")
    try:
        return any(name.startswith(".step-") for name in os.listdir(folder))
    except FileNotFoundError:
        return False


def kill_one(command, run, in_save, longest, rng):
    """Starts the trainer and kills it; false where it ended by itself."""
    # What an earlier kill left aside would look like a save.
    folder = os.path.join(run, "checkpoints")
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(".step-"):
            shutil.rmtree(os.path.join(folder, name))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if in_save:
        while process.poll() is None and not is_saving(run):
            time.sleep(0.0002)
        time.sleep(rng.uniform(0, 0.004))
    else:
        time.sleep(rng.uniform(0, longest))
    process.send_signal(signal.SIGKILL)
    error = process.communicate()[1].decode()
    if process.returncode not in (0, -signal.SIGKILL):
        sys.exit(f"the trainer failed with {process.returncode}: {error}")
    return process.returncode == -signal.SIGKILL


def losses_of(run):
    """What does not depend on time of each step's line, in the order of the file."""
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    return [[entry.get(key) for key in ("step", "loss", "grad_norm", "lr", "event")]
            for entry in entries if "loss" in entry]


def compare(expected, found):
    last = steps_of(expected)[-1]
    if steps_of(found)[-1] != last:
        sys.exit(f"ended at {steps_of(found)[-1]}, expected {last}")
    for name in FILES:
        contents = []
        for run in (expected, found):
            with open(os.path.join(run, "checkpoints", last, name), "rb") as file:
                contents.append(file.read())
        if name == "trainer.json":  # the metrics hold times, whose length differs
            contents = [dict(json.loads(c), metrics_bytes=0) for c in contents]
        if contents[0] != contents[1]:
            sys.exit(f"{name} differs from that of the uninterrupted run")
    if losses_of(expected) != losses_of(found):
        sys.exit("the recorded losses differ from those of the uninterrupted run")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trainer")
    parser.add_argument("dir")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(2 ** 32))
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:split])
    training = arguments[split + 1:]
    print("seed", options.seed, flush=True)
    rng = random.Random(options.seed)

    os.makedirs(options.dir, exist_ok=True)
    text, shard = (os.path.join(options.dir, name) for name in ("text", "text.bin"))
    words = "once upon a time there was a trainer that was killed and went on".split()
    with open(text, "w", encoding="utf-8") as file:
        file.write(" ".join(random.Random(1).choices(words, k=4000)))
    subprocess.run([options.trainer, "-q", "tokenize", text, "-o", shard], check=True,
                   stdout=subprocess.DEVNULL)
    runs = [os.path.join(options.dir, name) for name in ("whole", "killed")]
    commands = [[options.trainer, "-q", "train", "--data", shard, "--out", run, "--resume"]
                + training for run in runs]
    for run in runs:
        shutil.rmtree(run, ignore_errors=True)
    begin = time.monotonic()
    subprocess.run(commands[0], check=True, stdout=subprocess.DEVNULL)
    whole = time.monotonic() - begin

    kills, in_saves, starts = 0, 0, 0
    while kills < options.kills:
        starts += 1
        in_save = starts % 2 == 0
        # Short enough that the run does not reach its end before the last kill.
        if kill_one(commands[1], runs[1], in_save, whole / 4, rng):
            kills += 1
            in_saves += in_save and is_saving(runs[1])
        else:  # it reached its end: the rest is killed on the way through another one
            compare(*runs)
            shutil.rmtree(runs[1])
        check_whole(runs[1])
    subprocess.run(commands[1], check=True, stdout=subprocess.DEVNULL)
    compare(*runs)
    with open(os.path.join(runs[0], "checkpoints", steps_of(runs[0])[-1], FILES[2]),
              encoding="utf-8") as file:
        rollbacks = json.load(file)["rollbacks"]
    print(f"killed {kills} times, {in_saves} of them within a save, {rollbacks} rollbacks: "
          "the same to the last bit")


if __name__ == "__main__":
    main()
