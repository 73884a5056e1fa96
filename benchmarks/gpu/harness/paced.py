"""The energy of an executable's prefill or decoding: `bench --paced` does one run for each line
that it is sent, so that its model stays loaded while runs are counted."""
import json
import subprocess

from energy import Meter, joules_of_run


class Paced:
    """One running `bench --paced`; `run` is one prefill and one decoding."""

    def __init__(self, program, options):
        self.process = subprocess.Popen([program, "bench", "--paced", "--quiet", *options], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise OSError(f"bench --paced ended with status {self.process.returncode}")
        return json.loads(line)

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def joules_per_token(program, bus, phase, size):
    """Of the "prefill" or the "decode" of `size` alone: its prompt, gen and batch."""
    meter = Meter(bus)
    alone = {**size, "gen": 0} if phase == "prefill" else {**size, "prompt": 0}
    count = alone["prompt"] if phase == "prefill" else alone["gen"]
    if count == 0:
        return None
    paced = Paced(program, [f"--{key}={value}" for key, value in alone.items()])
    try:
        return joules_of_run(meter.joules, paced.run) / count / alone["batch"]
    finally:
        paced.close()
