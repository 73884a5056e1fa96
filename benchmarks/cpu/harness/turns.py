"""Turns of programs that are compared (A B C A B C ...), and what is said of them.

A turn's programs follow each other at once, so that they share what the machine's
memory gives then; hence a comparison is the median of the turns' ratios, never a ratio
of medians. A participant leaves only for good: the n-th sample of each is of turn n.
"""
import statistics
import time


def summary(samples):
    """Median with the extremes; every sample is kept."""
    if not samples:
        return {"median": None, "min": None, "max": None, "samples": []}
    return {"median": statistics.median(samples), "min": min(samples), "max": max(samples), "samples": samples}


def quartiles(values):
    """The lower and the upper quartile, between the values that enclose them."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def spread(values):
    """What the table shows of the turns' ratios or shares."""
    low, high = quartiles(values)
    return {"median": statistics.median(values), "low": low, "high": high, "values": list(values)}


def paired(times, above, below):
    """The spread of the turns' ratios of two participants, or None without a common turn."""
    pairs = list(zip(times.get(above, {}).get("samples", []), times.get(below, {}).get("samples", [])))
    return spread([a / b for a, b in pairs]) if pairs else None


class Turns:
    """Participants by name, each a function that gives seconds.

    One that raises leaves, and its error is kept. Of those in `peers`, one that took more
    than `slower` times the fastest peer in both of the first two turns sits out the rest.
    One that has used up `budget` seconds of the clock sits out the turns after the third.
    """

    def __init__(self, participants, peers=(), slower=1.5, budget=float("inf"), say=lambda text: None):
        self.active = dict(participants)
        self.peers, self.slower, self.budget, self.say = set(peers), slower, budget, say
        self.samples = {name: [] for name in participants}
        self.used = dict.fromkeys(participants, 0.0)
        self.errors, self.sat_out = {}, {}

    def run(self, count, label=""):
        for turn in range(1, count + 1):
            for name in list(self.active):
                self.measure(name, turn)
            self.leave(turn)
            medians = (f"{n} {statistics.median(s):.4g}" for n, s in self.samples.items() if s)
            self.say(f"  {label} turn {turn}/{count}: {', '.join(medians)}")
        return self.result()

    def measure(self, name, turn):
        if turn > 3 and self.used[name] > self.budget:
            self.sat_out[name] = f"used up its {self.budget:.0f} s in {turn - 1} turns"
            del self.active[name]
            return
        begin = time.perf_counter()
        try:
            self.samples[name].append(self.active[name]())
        except RuntimeError as error:
            self.errors[name] = str(error)
            self.say(f"  {name}: {error}")
            del self.active[name]
        self.used[name] += time.perf_counter() - begin

    def leave(self, turn):
        """After the second turn: the peers that are clearly not the fastest."""
        if turn != 2:
            return
        there = [n for n in self.active if n in self.peers]
        fastest = [min((self.samples[n][t] for n in there), default=0) for t in range(2)]
        for name in there:
            if all(s > self.slower * f for s, f in zip(self.samples[name], fastest)):
                self.sat_out[name] = f"more than {self.slower} times the fastest peer in the first 2 turns"
                del self.active[name]

    def result(self):
        """Summaries by name, a name for every participant that has a sample."""
        times = {name: summary(samples) for name, samples in self.samples.items() if samples}
        for name, why in self.sat_out.items():
            times[name]["sat_out"] = why
        return times
