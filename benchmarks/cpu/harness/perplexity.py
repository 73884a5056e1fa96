"""What bf16 and int8 weights cost in perplexity: the model of examples/demo, which was trained
on real text, over the documents that its training held out (examples/demo/prepare)."""
import json
import os
import subprocess
import sys

DTYPES = ("f32", "bf16", "int8")
# Pieces of about as many tokens as a sequence of its training had.
PIECE = 2048


def held_out(demo, folder):
    """The held-out documents, one after another in files of whole lines, about PIECE bytes each."""
    documents = os.path.join(folder, "val.jsonl")
    if not os.path.exists(documents):
        subprocess.run([sys.executable, os.path.join(demo, "prepare"), folder, "--pieces", "0"], check=True,
                       stdout=sys.stderr)
    with open(documents, encoding="ascii") as file:
        lines = [line for document in file for line in json.loads(document)["text"].splitlines(keepends=True)]
    pieces = [""]
    for line in lines:
        if len(pieces[-1]) + len(line) > PIECE and pieces[-1]:
            pieces.append("")
        pieces[-1] += line
    paths = [os.path.join(folder, f"held-out-{i:04}.txt") for i in range(len(pieces))]
    for path, piece in zip(paths, pieces):
        with open(path, "w", encoding="ascii") as file:
            file.write(piece)
    return paths


def perplexity(compiler, root, work):
    demo = os.path.join(root, "examples", "demo")
    paths = held_out(demo, os.path.join(work, "demo-text"))
    found = {}
    for dtype in DTYPES:
        exe = os.path.join(work, f"demo-{dtype}")
        subprocess.run([compiler, demo, "-o", exe, f"--dtype={dtype}", "--quiet"], check=True)
        out = subprocess.run([exe, "score", *paths, "--json", "--summary"], capture_output=True, text=True, check=True).stdout
        found[dtype] = json.loads(out)
    return {"texts": len(paths), "tokens": found["f32"]["token_count"], "bytes": found["f32"]["byte_count"],
            "perplexity": {dtype: score["perplexity"] for dtype, score in found.items()},
            "bits_per_byte": {dtype: score["bits_per_byte"] for dtype, score in found.items()}}
