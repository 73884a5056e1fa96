"""Trainers for a GPU: made by build_programs.py, checked by run_suite.py.

A case's trainers are CASE-trainer-MODE, of each way to recompute, CASE-trainer-amp and
CASE-trainer-amp-MODE, whose products are of bf16, and CASE-trainer-cpu;
CASE.weights.safetensors is what they start from, and CASE.gradients.safetensors what the
published PyTorch code computed, where it did.
"""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), path)
                for path in ("..", "../training")]
import check_trainer
import safetensors_io
from program import Check

MODES = ("none", "selective", "full")
AMP_MODES = ("amp", "amp-selective", "amp-full")  # the first keeps all
STEPS = 30
# Of the largest value of each gradient: the published code's, the CPU program's.
GOLDEN_TOLERANCE, CPU_TOLERANCE = 5e-3, 1e-3
LOSS_TOLERANCE = 1e-3
# In bf16: the norm of a gradient's error over its own, the worst and in the middle.
AMP_TOLERANCE, AMP_MEDIAN, AMP_LOSS_TOLERANCE = 0.15, 0.04, 5e-2


def build(tnllmc, path, case, folder, target, options):
    """The trainers of a model; `options` give it weights."""
    def compile_as(name, *more):
        subprocess.run([tnllmc, path, "--train", "--quiet", "-o",
                        os.path.join(folder, f"{case}-trainer-{name}"), *options, *more],
                       check=True)

    for mode in MODES:
        compile_as(mode, f"--target={target}", f"--recompute={mode}")
    for mode, amp in zip(MODES, AMP_MODES):
        compile_as(amp, f"--target={target}", "--amp=bf16", f"--recompute={mode}")
    compile_as("cpu", "--march=x86-64-v3")
    for name, kept in (("model", "weights"), ("gradients", "gradients")):
        source = os.path.join(path, name + ".safetensors")
        if os.path.isfile(source):
            shutil.copyfile(source, os.path.join(folder, f"{case}.{kept}.safetensors"))


def find(folder):
    suffix = "-trainer-none"
    return [name[:-len(suffix)] for name in sorted(os.listdir(folder))
            if name.endswith(suffix)]


class Trainers:
    def __init__(self, case, folder, temporary, options):
        self.case, self.folder, self.options = case, folder, options
        self.temporary = os.path.join(temporary, case + "-trainers")
        os.makedirs(self.temporary, exist_ok=True)
        self.check = Check(f"{case} trainer", {}, 0)
        weights = os.path.join(folder, f"{case}.weights.safetensors")
        self.weights = ["--weights", weights] if os.path.exists(weights) else []

    def path(self, name):
        return os.path.join(self.temporary, name)

    def command(self, mode, *arguments):
        device = [] if mode == "cpu" else self.options
        return [os.path.join(self.folder, f"{self.case}-trainer-{mode}"), *arguments, "-q",
                *device]

    def call(self, mode, *arguments, fails=False):
        done = subprocess.run(self.command(mode, *arguments), capture_output=True)
        if (done.returncode != 0) != fails:
            raise RuntimeError(f"{mode} {arguments[0]}: status {done.returncode}: "
                               f"{done.stderr.decode(errors='replace').strip()}")
        return done

    def grad(self, mode, ids):
        source, output = self.path("ids.safetensors"), self.path("gradients.safetensors")
        safetensors_io.save(source, {"train_ids": ids.astype("<i4")})
        self.call(mode, "grad", *self.weights, "--input", source, "--output", output)
        with open(output, "rb") as file:
            return safetensors_io.load(output), file.read()

    def train(self, mode, run, *options, fails=False):
        if "--weights" not in options:
            options = (*self.weights, *options)
        self.call(mode, "train", "--out", self.path(run), "--json", *options, fails=fails)
        with open(self.path(os.path.join(run, "metrics.jsonl")), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.validation = [line["val_loss"] for line in lines if "val_loss" in line]
        return [line for line in lines if "lr" in line]

    #----------------------------------------------------------------------------------

    def check_gradients(self):
        golden_path = os.path.join(self.folder, f"{self.case}.gradients.safetensors")
        golden = (safetensors_io.load(golden_path) if os.path.exists(golden_path) else None)
        ids = (golden["train_ids"] if golden else
               np.random.RandomState(0).randint(1, 200, (3, 150)))
        expected, _ = self.grad("cpu", ids)
        for mode in AMP_MODES:
            self.check_amp_gradients(mode, ids, expected)
        for mode in MODES:
            computed, contents = self.grad(mode, ids)
            again = self.grad(mode, ids)[1]
            self.check.say(f"{mode}: the same bits twice", contents == again,
                           contents == again)
            worst = max(np.abs(computed[name] - want).max() / np.abs(want).max()
                        for name, want in expected.items())
            self.check.say(f"{mode}: gradients beside the CPU's", worst <= CPU_TOLERANCE,
                           f"{worst:.1e}")
            if golden:
                names = check_trainer.expected_names(golden)
                worst = max(check_trainer.difference(golden, name, computed["grad." + name])
                            for name in names)
                self.check.say(f"{mode}: golden gradients", worst <= GOLDEN_TOLERANCE,
                               f"{worst:.1e} of {len(names)}")

    def check_amp_gradients(self, mode, ids, expected):
        computed, contents = self.grad(mode, ids)
        again = self.grad(mode, ids)[1]
        self.check.say(f"{mode}: the same bits twice", contents == again, contents == again)
        errors = [np.linalg.norm(computed[name] - want) / np.linalg.norm(want)
                  for name, want in expected.items() if name != "train_loss"]
        worst, middle = max(errors), float(np.median(errors))
        self.check.say(f"{mode}: gradients beside the CPU's in f32",
                       worst <= AMP_TOLERANCE and middle <= AMP_MEDIAN,
                       f"worst {worst:.1e}, in the middle {middle:.1e}")

    def check_training(self):
        shard = self.path("train.bin")
        text = self.path("text.txt")
        with open(text, "wb") as file:
            words = [b"one", b"two", b"three", b"of", b"many", b"words"]
            choice = np.random.RandomState(1).randint(0, len(words), 4000)
            file.write(b" ".join(words[i] for i in choice))
        self.call("cpu", "tokenize", text, "-o", shard)
        common = ["--data", shard, "--val", shard, "--seq", "64",
                  "--batch-tokens", "512", "--steps", str(STEPS), "--lr", "2e-3",
                  "--eval-every", "10", "--eval-tokens", "2048", "--save-every", "10",
                  "--keep", "9"]
        cpu = self.train("cpu", "cpu", *common)
        expected = self.validation
        gpu = self.train("none", "gpu", *common)
        self.compare("losses beside the CPU's", gpu, cpu, LOSS_TOLERANCE)
        worst = max(abs(a - b) for a, b in zip(self.validation, expected))
        self.check.say("validation losses beside the CPU's", worst <= LOSS_TOLERANCE
                       and len(self.validation) == len(expected) == 3,
                       f"{worst:.1e} of {len(expected)}")
        amp = self.train("amp", "amp", *common)
        self.compare("amp: losses beside those in f32", amp, gpu, AMP_LOSS_TOLERANCE)
        parts = self.train("full", "parts", *common, "--accumulate", "4")
        self.compare("losses of four parts a step", parts, gpu, LOSS_TOLERANCE)
        self.check_resume(common, gpu)
        self.check_interrupt(common)
        self.check_non_finite(common)

    def compare(self, what, ours, theirs, tolerance):
        worst = (max(abs(a["loss"] - b["loss"]) for a, b in zip(ours, theirs))
                 if len(ours) == len(theirs) == STEPS else float("inf"))
        self.check.say(what, worst <= tolerance, f"{worst:.1e}")

    def check_resume(self, common, whole):
        for step in (20, 30):
            shutil.rmtree(self.path(f"gpu/checkpoints/step-{step:08}"))
        resumed = self.train("none", "gpu", "--resume")
        self.compare("losses of a run that was cut at step 10", resumed, whole, 0)

    def check_interrupt(self, common):
        """SIGINT ends the run with a checkpoint, from which it goes on."""
        many = [option if option != str(STEPS) else "5000" for option in common]
        process = subprocess.Popen(
            self.command("none", "train", "--out", self.path("cut"), *self.weights, *many),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        error = process.communicate()[1]
        saved = int(sorted(os.listdir(self.path("cut/checkpoints")))[-1][-8:])
        self.check.say("SIGINT saves", 5 <= saved < 5000 and process.returncode != 0,
                       f"step {saved} {error}")
        steps = self.train("none", "cut", "--resume", "--change", "--warmup", "1",
                           "--decay-steps", "1", "--steps", str(saved + 3))
        numbers = [step["step"] for step in steps]
        self.check.say("goes on after SIGINT", numbers == list(range(1, saved + 4)),
                       f"{len(numbers)} steps")

    def check_non_finite(self, common):
        """Steps that would be no numbers are passed over, then the run stops."""
        if not self.weights:
            return
        weights = dict(safetensors_io.load(self.weights[1]))
        name = next(name for name in weights if "embed" in name)
        weights[name] = np.full_like(weights[name], np.nan)
        broken = self.path("broken.safetensors")
        safetensors_io.save(broken, weights)
        steps = self.train("none", "broken", *common, "--weights", broken,
                           "--max-non-finite", "3", fails=True)
        events = [step.get("event") for step in steps]
        self.check.say("steps that are not finite", events == ["not finite, skipped"] * 3,
                       events)


PARTS = {"training": Trainers.check_training, "gradients": Trainers.check_gradients}


def check_part(part, case, folder, temporary, options):
    trainers = Trainers(case, folder, os.path.join(temporary, part), options)
    try:
        PARTS[part](trainers)
    except Exception as error:  # whatever it is, the other parts go on
        trainers.check.say(f"{part} runs", False, f"{type(error).__name__}: {error}")
    return trainers.check
