"""Checks benchmarks/gpu/harness on made-up results; see gpu-compare.test."""
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import types
import unittest
import xml.dom.minidom

sys.dont_write_bytecode = True
FOLDER = sys.argv.pop(1)
sys.path[:0] = [os.path.join(FOLDER, "harness"), os.path.join(FOLDER, "..", "cpu")]

import energy  # noqa: E402
import norms  # noqa: E402
import report  # noqa: E402
import torch_peer  # noqa: E402
import warm  # noqa: E402


def results():
    peers = [{"phase": "decode", "form": "compiled", "batch": 8, "seconds": 0.002, "joules_per_token": 0.03},
             {"phase": "prefill", "form": "eager, fla", "tokens": 2048, "seconds": 0.02, "joules_per_token": 0.005},
             {"phase": "prefill", "form": "compiled, fla", "tokens": 2048, "seconds": 0.006,
              "joules_per_token": 0.002},
             {"phase": "prefill", "form": "compiled, fla", "tokens": 32768, "error": "OutOfMemoryError: no"}]
    ours = [{"prompt": 2048, "gen": 64, "batch": 1, "prefill_seconds": 0.004, "decode_seconds": 0.032,
             "decode_bytes_per_step": 3e8, "prefill_joules_per_token": 0.001, "decode_joules_per_token": 0.1,
             "device_memory_bytes": 1_234_000_000},
            {"prompt": 0, "gen": 64, "batch": 8, "prefill_seconds": 0, "decode_seconds": 0.064,
             "decode_bytes_per_step": 6e8, "prefill_joules_per_token": None, "decode_joules_per_token": None,
             "energy_error": "no counter"},
            {"prompt": 32768, "gen": 0, "batch": 1, "prefill_seconds": 0.05, "decode_seconds": 0,
             "decode_bytes_per_step": 3e8, "prefill_joules_per_token": 0.001, "decode_joules_per_token": None}]
    shape = {"shape": "b1h8n8192d128", "tnllm_ms": 0.05, "floor_ms": 0.025, "fla_ms": 0.1,
             "tnllm_scratch_bytes": 8 << 20, "fla_scratch_bytes": 32 << 20, "clean_us": {"tnllm": 45.0, "fla": 95.0},
             "output_error": 2.67551e-3, "fla_output_error": 2.67552e-3}
    return {"device": "GPU", "date": "today", "torch": "2", "triton": "3",
            "attention": {"copy_mb_per_second": 3e6, "attention": [shape]},
            "norms": [{"columns": 1024, "result": "bf16", "copy_us": 38.0, "us": {"tnllm": 40.0, "torch.compile": 50.0},
                       "of_copy": {"tnllm": 0.95, "torch.compile": 0.76}}],
            "models": {"385m": {"tnllm": ours, "torch": peers}}, "errors": {"7b, PyTorch": "took more than 9 s"}}


class Tables(unittest.TestCase):
    def line(self, start):
        found = [line for line in report.tables(results()).splitlines() if line.startswith(start)]
        self.assertEqual(len(found), 1, f"{start} in {report.tables(results())}")
        return [cell.strip() for cell in found[0].strip("|").split("|")]

    def test_attention(self):
        cells = self.line("| b1h8n8192d128")
        self.assertEqual(cells[1:6], ["0.050", "0.025", "50%", "0.100", "2.00"])
        self.assertEqual(cells[6:10], ["", "", "", ""], "peers that were not there")
        self.assertEqual(cells[10:], ["45.0", "95.0", "8", "32", "2.6755", "2.6755"])

    def test_backward(self):
        """What the peers' matmuls have no memory for is left empty."""
        row = {"shape": "b4h32n8192d128", "tnllm_ms": 1.0, "floor_ms": 0.625, "fla_ms": 3.5, "tnllm_both_ms": 1.4,
               "tnllm_mb": 1073.7, "fla_mb": 3221.2, "dq_error": 2.1e-3, "dk_error": 2.3e-3, "dv_error": 2.2e-3}
        text = report.tables({**results(), "attention_backward": {"attention_backward": [row]}})
        self.assertIn("| b4h32n8192d128 | 1.000 | 0.625 | 62% | 3.500 | 3.50 | 1.400 |  |  | 1074 | 3221 | 3.00 |  "
                      "| 2.3000 |\n", text)
        self.assertNotIn("backward", report.tables(results()))

    def test_norm(self):
        self.assertEqual(self.line("| 1024")[1:], ["bf16", "38.0", "40.0", "95%", "50.0", "76%", "", ""])

    def test_decode(self):
        """The floor of 3e8 bytes at 3 TB/s; no peer ran one sequence, nobody counted eight's energy."""
        self.assertEqual(self.line("| 385m | 1 ")[2:], ["0.500", "0.100", "", "", "100.000", "", "", "1.23"])
        self.assertEqual(self.line("| 385m | 8 ")[2:], ["1.000", "0.200", "2.000", "2.00", "", "30.000", "", ""])

    def test_narrow(self):
        """Beside the bf16 form of the same model, if that was measured."""
        step = {"prompt": 0, "gen": 10, "batch": 1, "prefill_seconds": 0, "decode_seconds": 0.02,
                "decode_bytes_per_step": 3e9}
        peer = {"phase": "decode", "form": "compiled", "batch": 1, "seconds": 0.005}
        given = {**results(), "narrow": {"int4": [step]}}
        self.assertIn("| 7b, int4 | 1 | 2.000 | 1.000 |  |  |", report.tables(given))
        given["models"]["7b"] = {"torch": [peer]}
        self.assertIn("| 7b, int4 | 1 | 2.000 | 1.000 | 5.000 | 2.50 |", report.tables(given))

    def test_prefill(self):
        """The peer's fastest form is the peer."""
        self.assertEqual(self.line("| 385m | 2048 ")[2:], ["4.00", "512,000", "6.00", "1.50", "20.00", "1.000", "2.000",
                                                           "2.00"])
        self.assertEqual(self.line("| 385m | 32768 ")[4:7], ["", "", ""])

    def test_what_is_missing_is_said(self):
        text = report.tables(results())
        self.assertIn("- Not measured: 7b, PyTorch: took more than 9 s.\n", text)
        self.assertIn("- PyTorch, 385m, prefill, 32768 tokens, compiled, fla: OutOfMemoryError: no.\n", text)
        self.assertIn("- Energy of 385m: no counter.\n", text)

    def test_page_and_picture(self):
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, "docs", "images"))
            page = os.path.join(root, "docs", "Benchmarks-GPU.md")
            with open(page, "w", encoding="utf-8") as file:
                file.write("before\n" + report.BEGIN + "old\n" + report.END + "after\n")
            report.write_docs(root, results())
            with open(page, encoding="utf-8") as file:
                text = file.read()
            self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
            self.assertNotIn("old", text)
            self.assertIn(report.tables(results()), text)
            picture = xml.dom.minidom.parse(os.path.join(root, "docs", "images", "benchmarks-gpu.svg"))
            # tnllm and fla; two times tnllm and once PyTorch; the same.
            self.assertEqual(len(picture.getElementsByTagName("rect")), 1 + 2 + 3 + 3)
            with open(page, "w", encoding="utf-8") as file:
                file.write("no place\n")
            with self.assertRaises(SystemExit):
                report.write_docs(root, results())


class Energy(unittest.TestCase):
    """A counter that moves every fourth run, by what these runs use: 3 J each."""

    def test_from_tick_to_tick(self):
        runs, now = 0, 0.0

        def work():
            nonlocal runs, now
            runs, now = runs + 1, now + 0.1

        joules = energy.joules_of_run(lambda: 7.0 + 3.0 * (runs // 4 * 4), work, seconds=2, clock=lambda: now)
        self.assertAlmostEqual(joules, 3.0)


def load_compare():
    loader = importlib.machinery.SourceFileLoader("compare", os.path.join(FOLDER, "compare"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compare", loader))
    loader.exec_module(module)
    return module


# In the place of torch_peer.py: one share fails while it is timed, one before.
PEER = """#!/usr/bin/env python3
import json, sys, time
share = sys.argv[sys.argv.index("--share") + 1]
print("a warning that is no row", flush=True)
if share == "2/3":
    sys.exit("no GPU")
print(json.dumps({"prepared": 0.1}), flush=True)
begun = time.time()
assert sys.stdin.readline() == "\\n"
print(json.dumps({"share": share}) + "\\n" + json.dumps({"waited": time.time() - begun}), flush=True)
if share == "1/3":
    sys.exit("no memory")
"""


class Peers(unittest.TestCase):
    def test_prepared_together_timed_one_by_one(self):
        compare = load_compare()
        compare.MODELS = {"385m": ([1], [2048], ["default"], 3)}
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, "peer.py")
            with open(script, "w", encoding="utf-8") as file:
                file.write(PEER)
            options = types.SimpleNamespace(seconds=600, who="tnllm,torch", only=["385m"])
            run = compare.Run(folder, os.path.join(folder, "out.json"), options)
            run.script = lambda *path: [sys.executable, script]
            run.peers(["385m"])
            self.assertEqual([row["share"] for row in run.results["models"]["385m"]["torch"] if "share" in row],
                             ["0/3", "1/3"])
            self.assertEqual(len(run.results["models"]["385m"]["torch"]), 4)
            self.assertEqual(run.results["errors"], {"385m, PyTorch, 1": "no memory",
                                                     "385m, PyTorch, 2": "no GPU"})
            again = compare.Run(folder, os.path.join(folder, "out.json"), options)
            self.assertEqual(again.results["models"], run.results["models"], "rows are kept as they come")

    def test_sizes(self):
        compare = load_compare()
        self.assertEqual(compare.sizes_of("7b"), [{"prompt": 2048, "batch": 1, "gen": 64}])
        self.assertEqual([(s["prompt"], s["batch"], s["gen"]) for s in compare.sizes_of("385m")],
                         [(2048, 1, 64), (0, 8, 64), (0, 64, 64), (32768, 1, 0)])


# In the place of benchmarks/gpu/attention: two rows, of which the second fails.
ATTENTION = """#!/usr/bin/env python3
import json, sys
assert "--backward" in sys.argv
with open(sys.argv[sys.argv.index("--output") + 1], "w") as file:
    json.dump({"attention_backward": [{"shape": "one"}]}, file)
sys.exit("no memory")
"""


class Kernels(unittest.TestCase):
    def test_rows_before_a_failure_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            script = os.path.join(folder, "attention")
            with open(script, "w", encoding="utf-8") as file:
                file.write(ATTENTION)
            options = types.SimpleNamespace(seconds=600, who="tnllm,torch", only=["backward"])
            run = load_compare().Run(folder, os.path.join(folder, "out.json"), options)
            run.script = lambda *path: [sys.executable, script]
            run.part("backward")
            self.assertEqual(run.results["attention_backward"], {"attention_backward": [{"shape": "one"}]})
            self.assertEqual(run.results["errors"], {"backward": "no memory"})

    def test_rows_of_another_run_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "rows.json")
            attention = norms.attention_script()
            self.assertEqual(attention.read_rows(file, "attention"), {"attention": []})
            attention.write(file, {"attention": [{"shape": "one"}]})
            self.assertEqual(attention.read_rows(file, "attention_backward"),
                             {"attention": [{"shape": "one"}], "attention_backward": []})
            self.assertEqual(attention.read_rows(None, "attention"), {"attention": []})

    def test_shapes_of_warming(self):
        self.assertEqual(warm.parse("8x128s"), (8, 128, 128, "s"))
        self.assertEqual(warm.parse("16x256x128b"), (16, 256, 128, "b"))
        spec = {"decoder_attention_heads": 16, "hidden_dim": 2048, "linear_use_lrpe_list": [1, 0]}
        self.assertEqual(warm.shapes_of(spec, "s"), ["16x128s", "16x256x128s"])
        self.assertEqual(warm.shapes_of({**spec, "linear_use_lrpe_list": []}, "b"), ["16x128b"])
        with self.assertRaises(SystemExit):
            warm.parse("8x")
        shares = [warm.own_share(list(range(7)), share, 3) for share in range(3)]
        self.assertEqual(sorted(sum((own for own, _ in shares), [])), list(range(7)))
        self.assertEqual(shares[1], ([1, 4], [0, 2, 3, 5, 6]))


class Specs(unittest.TestCase):
    def test_spec(self):
        spec = torch_peer.read_spec(os.path.join(FOLDER, "..", "..", "examples", "specs", "7b.yaml"))
        self.assertEqual((spec["decoder_layers"], spec["glu_dim"], spec["bias"]), (30, 11008, False))
        self.assertEqual(spec["linear_use_lrpe_list"], [1] + 29 * [0])
        self.assertEqual(spec["name"], "TransNormerLLM-7B")

    def test_norm_text(self):
        self.assertIn("tensor<?x?x2048xf32> -> tensor<?x?x2048xbf16>", norms.norm_text(2048, "bf16"))
        self.assertNotIn("tn.cast", norms.norm_text(2048, "f32"))


if __name__ == "__main__":
    unittest.main()
