"""Tests of the CPU benchmark's functions that need no machine: cpu_report_test.py HARNESS"""
import copy
import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))

import report  # noqa: E402
from peers import choose_threads  # noqa: E402
from rows import best_products, shares, turn_of_meter  # noqa: E402
from targets import best_peer, is_kept, judge, targets, times, verdict  # noqa: E402
from turns import Turns, paired, quartiles, spread, summary  # noqa: E402


def player(values, log=None, name=""):
    values = iter(values)

    def play():
        if log is not None:
            log.append(name)
        value = next(values)
        if isinstance(value, Exception):
            raise value
        return value

    return play


class TurnsTest(unittest.TestCase):
    def test_programs_take_turns(self):
        log = []
        found = Turns({n: player([1, 2, 3], log, n) for n in "abc"}).run(3)
        self.assertEqual("".join(log), "abcabcabc")
        self.assertEqual(found["b"]["samples"], [1, 2, 3])

    def test_who_raises_leaves_and_is_named(self):
        turns = Turns({"a": player([1, 1, 1]), "b": player([1, RuntimeError("no memory")])})
        found = turns.run(3)
        self.assertEqual(turns.errors, {"b": "no memory"})
        self.assertEqual(len(found["a"]["samples"]), 3)
        self.assertEqual(found["b"]["samples"], [1])

    def test_who_never_had_a_turn_has_no_times(self):
        turns = Turns({"a": player([RuntimeError("x")])})
        self.assertEqual(turns.run(2), {})

    def test_a_slow_peer_sits_out_after_two_turns(self):
        people = {"tnllm": player([9] * 5), "slow": player([4, 4]), "once": player([4, 1.4, 1, 1, 1]), "fast": player([1] * 5)}
        found = Turns(people, peers=("slow", "once", "fast")).run(5)
        self.assertEqual(len(found["slow"]["samples"]), 2)
        self.assertIn("1.5 times", found["slow"]["sat_out"])
        self.assertEqual(len(found["once"]["samples"]), 5)  # in one of the two turns only
        self.assertEqual(len(found["tnllm"]["samples"]), 5)  # no peer

    def test_a_budget_leaves_three_turns(self):
        found = Turns({"a": player([1] * 9)}, budget=-1).run(9)
        self.assertEqual(len(found["a"]["samples"]), 3)

    def test_ratios_are_of_turns(self):
        found = {"a": summary([2, 20, 3]), "b": summary([1, 10, 3, 7])}
        self.assertEqual(paired(found, "a", "b")["values"], [2, 2, 1])
        self.assertEqual(paired(found, "a", "b")["median"], 2)
        self.assertIsNone(paired(found, "a", "nobody"))

    def test_quartiles(self):
        self.assertEqual(quartiles([1, 2, 3, 4, 5]), (2, 4))
        self.assertEqual(quartiles([7]), (7, 7))


class ThreadsTest(unittest.TestCase):
    def test_a_clear_choice_needs_a_pair(self):
        count, samples = choose_threads(lambda t: {1: 2.0, 2: 1.0}[t], [2, 1])
        self.assertEqual((count, samples), (2, {2: [1.0], 1: [2.0]}))

    def test_a_first_sample_does_not_decide(self):
        values = {2: iter([9.0, 1.0, 1.0]), 1: iter([8.9, 2.0, 1.1])}
        count, samples = choose_threads(lambda t: next(values[t]), [2, 1])
        self.assertEqual(count, 2)
        self.assertEqual(len(samples[1]), 3)

    def test_one_core(self):
        self.assertEqual(choose_threads(lambda t: 1.0, [1])[0], 1)


class MeterTest(unittest.TestCase):
    def turn(self, rate, before, after):
        return turn_of_meter(rate, 1, [before] * 3, [after, 0, after])

    def test_a_turn_is_measured_by_its_better_reading(self):
        turn = self.turn(90, 100, 95)
        self.assertEqual((turn["meter"], turn["share"], turn["steady"]), (100, 0.9, True))
        self.assertFalse(self.turn(90, 100, 90)["steady"])

    def test_unsteady_turns_are_left_out_and_counted(self):
        turns = [self.turn(90, 100, 100), self.turn(50, 100, 60), self.turn(80, 100, 100), self.turn(95, 100, 100)]
        found = shares(turns)
        self.assertEqual((found["values"], found["unsteady"], found["used"]), ([0.9, 0.8, 0.95], 1, 3))
        self.assertEqual(found["turn"]["rate"], 90)
        self.assertEqual(shares(turns[1:2])["used"], 1)  # none is steady: all are kept

    def test_the_printed_turn_agrees_with_the_share(self):
        turn = shares([self.turn(r, 100, 100) for r in (80, 60, 70, 90)])["turn"]
        self.assertEqual(turn["share"], turn["rate"] / turn["meter"])


class JudgeTest(unittest.TestCase):
    def text(self, values, limit=1, **more):
        return verdict(judge("x", spread(values), limit, times, **more))

    def test_all_turns_won(self):
        self.assertEqual(self.text([1.1, 1.2, 1.3], above=True), "met")

    def test_lost_turns_are_named(self):
        self.assertEqual(self.text([0.9, 1.1, 1.2, 1.2, 1.3], above=True), "met, 1 of 5 turns lost")
        self.assertEqual(self.text([0.9, 0.9, 1.1, 1.2, 1.3], above=True), "met, 2 of 5 turns lost, within noise")
        self.assertEqual(self.text([0.9, 0.9, 0.9, 1.2], above=True), "**missed**, 3 of 4 turns lost")
        self.assertEqual(self.text([0.9, 0.9, 1.2, 0.8, 1.2], above=True), "**missed**, 3 of 5 turns lost, within noise")

    def test_equal_is_not_ahead(self):
        self.assertTrue(self.text([1, 1, 1], above=True).startswith("**missed**"))
        self.assertEqual(self.text([1, 1, 1], above=True, within=True), "met")

    def test_below_a_limit(self):
        self.assertEqual(self.text([1.5, 1.4, 1.5, 1.7], 1.6), "met, 1 of 4 turns lost")
        self.assertTrue(self.text([1.7, 1.7, 1.5], 1.6).startswith("**missed**"))


def made_up():
    """A whole run of one model and dtype in which everything is met."""
    share = shares([turn_of_meter(90, 1, [100], [100])] * 3)
    ahead = {"torch eager": spread([2, 2, 2]), "torch onednn": spread([1.2, 1.1, 1.3])}
    steps = {"tnllm": summary([1, 1, 1]), "torch onednn": summary([1.2, 1.1, 1.3]),
             "torch eager": {**summary([2, 2]), "sat_out": "slow"}}
    decode = {"seconds_per_step": steps, "bytes_per_step": 90, "batch": 1, "turns": [1, 2, 3],
              "of_read_bandwidth": share, "errors": {}, "against": ahead}
    prefill = {"seconds": steps, "flops": 9, "tokens": 512, "errors": {}, "of_f32": None, "against": ahead,
               "flops_per_second": spread([90, 90, 90])}
    products = best_products(512, [(2, 3)], {"lib": {"2x3": [6144 / 100]}})
    model = {"decode": {"1": decode, "8": {**decode, "batch": 8}}, "batch": {"ratio": spread([1.2, 1.2])},
             "prefill": {"512": prefill}, "products": {"512": products}}
    memory = {w: {"peak_bytes": 100 << 20, "limit_bytes": 120 << 20, "weights_bytes": 50 << 20, "linear_bytes": 40 << 20,
                  "embedding_bytes": 10 << 20} for w in ("link", "embed", "random")}
    start = {f"tnllm {w}": {"first": 2.0, **summary([0.1, 0.2])} for w in ("link", "embed")}
    return {
        "expected": {"rows": ["verify", "decode", "prefill", "linearity", "position", "memory", "start", "compile", "perplexity"],
                     "models": ["385m"], "dtypes": ["f32"], "torch": True, "tokens": ["512"]},
        "errors": {}, "rows": {"decode 1, 385m f32": {"seconds": 9, "other_cores": 0.25, "run": 0},
                               "perplexity": {"seconds": 9, "other_cores": 0.0, "run": 1}},
        "runs": [{"machine": {"cpu": "C", "cpu_family": "1", "cpu_model": "2", "cores": 2, "memory_kib": 1 << 20, "date": date},
                  "versions": {"compiler": "tnllm", "commit": "abc", "dirty": True}, "busy_cores_before": 0.0, **ended}
                 for date, ended in (("today", {}), ("later", {"busy_cores_after": 1.5, "minutes": 2.0}))],
        "models": {"385m": {"f32": model}},
        "verify": {"f32": {"torch eager": {"limit": 1e-4, "difference": 1e-5}}},
        "linearity": {"385m": {"f32": {"short": 1024, "lengths": {"65536": {**summary([1e-3]), "ratio": 1.01}}, "left_out": {}}}},
        "position": {"385m": {"f32": {"seconds_per_step": {"10": summary([1.0]), "100000": summary([1.0])}, "ratio": spread([1.0])}}},
        "memory": {"385m": {"f32": memory}},
        "start": {"385m": {"f32": {**start, "touch": {"bytes": 1, "again": 0.1, "first": 0.2}}}},
        "compile": {m: {**summary([1.0]), "phases": {"Link": 0.1}} for m in ("385m", "385m, link", "385m, embed", "7b")},
        "perplexity": {"texts": 1, "tokens": 2, "bytes": 3, "perplexity": {"f32": 4.0, "int8": 4.001},
                       "bits_per_byte": {"f32": 1.0, "int8": 1.0}},
    }


def verdicts(results):
    return {t.what: verdict(t) for t in targets(results)}


class TargetsTest(unittest.TestCase):
    def test_a_whole_run(self):
        found = made_up()
        self.assertEqual([t for t in targets(found) if not t.met], [])
        self.assertTrue(is_kept(found))
        self.assertEqual(verdicts(found)["decode, 385m f32, 1, against torch onednn"], "met")

    def test_whatever_is_missing_is_named_and_fails_the_run(self):
        whole = len(verdicts(made_up()))
        for place, key, why in (("verify", "f32", ""), ("models", "385m", ""), ("linearity", "385m", ""), ("memory", "385m", ""),
                                ("position", "385m", "it broke"), ("start", "385m", ""), ("compile", "7b", "")):
            found = made_up()
            del found[place][key]
            found["errors"] = {"position, 385m f32": why}
            missing = [t for t in targets(found) if t.met is None]
            self.assertTrue(missing, place)
            self.assertFalse(is_kept(found), place)
            if place == "position":
                self.assertIn("**not measured**: it broke", map(verdict, missing))
            if place != "start":  # which has a row without target for each
                self.assertEqual(len(verdicts(found)), whole, place)

    def test_a_peer_that_fails_is_named(self):
        found = made_up()
        found["models"]["385m"]["f32"]["torch_errors"] = {"decode 1 torch frozen": "no", "decode 8 torch frozen": "no"}
        self.assertEqual(verdicts(found)["decode, 385m f32, 1, against torch onednn"], "met, torch frozen did not run")

    def test_a_length_that_was_left_out_is_not_measured(self):
        found = made_up()
        row = found["linearity"]["385m"]["f32"]
        row["left_out"]["65536"], row["lengths"] = "too long", {}
        self.assertEqual(verdicts(found)["prefill time a token, 385m f32, 65536 against 1024 tokens"], "**not measured**: too long")

    def test_a_length_between_unlike_short_runs_is_not_measured(self):
        found = made_up()
        found["linearity"]["385m"]["f32"]["lengths"]["65536"].update(steady=False, before=1e-3, after=2e-3)
        self.assertEqual(verdicts(found)["prefill time a token, 385m f32, 65536 against 1024 tokens"],
                         "**not measured**: the runs of 1024 tokens around it differ: 1000 and 2000 us a token")

    def test_a_start_tells_how_many_runs_were_late(self):
        found = made_up()
        found["start"]["385m"]["f32"]["tnllm link"].update(summary([0.1, 0.2, 0.7]))
        self.assertEqual(verdicts(found)["start to first token, 385m f32, link, memory freed by a run before"],
                         "met, 1 of 3 runs lost; 0.10 to 0.70 s")

    def test_misses(self):
        for change in (lambda r: r["perplexity"]["perplexity"].update(int8=4.03),
                       lambda r: r["models"]["385m"]["f32"]["batch"].update(ratio=spread([1.7])),
                       lambda r: r["verify"]["f32"]["torch eager"].update(difference=1.0),
                       lambda r: r["memory"]["385m"]["f32"]["link"].update(peak_bytes=1 << 30),
                       lambda r: r["compile"]["7b"].update(median=16)):
            found = copy.deepcopy(made_up())
            change(found)
            self.assertEqual([t.met for t in targets(found)].count(False), 1)
            self.assertIn("**missed**", report.markdown(found))

    def test_the_best_peer_stayed_for_all_turns(self):
        row = made_up()["models"]["385m"]["f32"]["decode"]["1"]
        row["against"]["torch eager"] = spread([0.5])
        self.assertEqual(best_peer(row)[0], "torch onednn")
        del row["against"]["torch onednn"]
        self.assertEqual(best_peer(row)[0], "torch eager")
        self.assertEqual(best_peer({}), (None, None))

    def test_the_page(self):
        page = report.markdown(made_up())
        for text in ("checkout abc with changes", "(0.5)", "1.20x (1.15x to 1.25x)", "first run, memory new to the guest",
                     "above 0.1 in 1 of 2 rows", "- today: 1 rows; tnllm", "before, interrupted.",
                     "- later: 1 rows, perplexity; tnllm", "before, 1.5 after, 2 minutes.", "linear maps 40", "kept by link, embed, random"):
            self.assertIn(text, page)


if __name__ == "__main__":
    unittest.main()
