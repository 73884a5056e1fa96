"""The ways to run the PyTorch peer."""

# A worker with these options computes it, "compiled" being told with each command.
KINDS = {
    "torch eager": {},
    "torch compiled": {"compiled": True},
    "torch onednn": {"packed": True},
    "torch onednn compiled": {"packed": True, "compiled": True},
    "torch frozen": {"compiled": True, "frozen": True},
}
TITLES = {
    "torch eager": "PyTorch eager",
    "torch compiled": "compiled",
    "torch onednn": "packed weights",
    "torch onednn compiled": "packed, compiled",
    "torch frozen": "compiled, frozen",
}


def applies(kind, dtype):
    """The products of bytes take their weights as they are: freezing packs none of them."""
    return not (KINDS[kind].get("frozen") and dtype == "int8")


def is_compiled(kind):
    return bool(KINDS[kind].get("compiled"))


def worker_options(kind):
    """Those that a worker is started with; kinds that share them share a worker."""
    return {key: KINDS[kind].get(key, False) for key in ("packed", "frozen")}
