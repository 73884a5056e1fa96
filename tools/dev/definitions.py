"""What TableGen's files define, from TableGen itself (llvm-tblgen --dump-json), for the
checks and pages in this folder."""
import glob
import json
import os
import subprocess

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
TBLGEN = "/usr/lib/llvm-22/bin/llvm-tblgen"
MLIR_INCLUDE = "/usr/lib/llvm-22/include"


def add_arguments(parser):
    """Where the tree and TableGen are: args.root, args.tblgen, args.mlir_include."""
    parser.add_argument("--tblgen", default=TBLGEN)
    parser.add_argument("--mlir-include", default=MLIR_INCLUDE)


def records_of(source, includes, args):
    """All records of a .td file."""
    folders = [word for folder in [args.mlir_include, *includes] for word in ("-I", folder)]
    return json.loads(subprocess.run([args.tblgen, "--dump-json", *folders, source],
                                     check=True, stdout=subprocess.PIPE).stdout)


def passes(args):
    """(record, all records, folder of its Passes.td) of each pass of any base class, in the
    order of their arguments."""
    found = []
    for source in sorted(glob.glob(os.path.join(args.root, "include/tnllm/*/Passes.td"))):
        records = records_of(source, [os.path.join(args.root, "include")], args)
        found += [(records[name], records, os.path.basename(os.path.dirname(source)))
                  for name in records["!instanceof"].get("PassBase", [])]
    return sorted(found, key=lambda one: one[0]["argument"])


def operations(dialect, args):
    """The records of a dialect's operations."""
    folders = [os.path.join(args.root, "dialects"), os.path.join(args.root, "dialects", dialect)]
    records = records_of(os.path.join(folders[1], dialect + "Ops.td"), folders, args)
    return [records[name] for name in records["!instanceof"].get("Op", [])
            if records[name]["opDialect"]["def"].startswith(dialect + "_")]
