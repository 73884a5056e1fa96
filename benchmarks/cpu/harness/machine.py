"""What the results must say about the machine and the software."""
import datetime
import os
import re
import subprocess
import sys


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def cpu_fields():
    fields = {}
    with open("/proc/cpuinfo") as file:
        for line in file:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    return fields


def caches():
    found = {}
    base = "/sys/devices/system/cpu/cpu0/cache"
    for index in sorted(os.listdir(base)) if os.path.isdir(base) else []:
        if not index.startswith("index"):
            continue
        read = lambda name: open(os.path.join(base, index, name)).read().strip()
        found[f"L{read('level')} {read('type')}"] = read("size")
    return found


def cpu_slug():
    """A name for files, such as amd-epyc-family26-model2."""
    fields = cpu_fields()
    name = re.sub(r"[^a-z0-9]+", "-", fields.get("model name", "cpu").lower()).strip("-")
    return f"{name}-family{fields.get('cpu family', '')}-model{fields.get('model', '')}"


def command():
    """What was typed, with the paths of this machine shown from the repository's root."""
    shown = [os.path.relpath(a) if os.path.isabs(a) else a for a in sys.argv[1:]]
    extra = ["--perplexity"] if sys.argv[0].endswith("perplexity.py") else []
    return " ".join(["benchmarks/cpu/run", *extra, *shown])


def describe():
    fields = cpu_fields()
    wanted = ("avx2", "fma", "avx_vnni", "avx512", "amx")
    flags = [f for f in fields.get("flags", "").split() if f.startswith(wanted)]
    memory = next(l for l in open("/proc/meminfo") if l.startswith("MemTotal"))
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command(),
        "cpu": fields.get("model name", ""),
        "cpu_family": fields.get("cpu family", ""),
        "cpu_model": fields.get("model", ""),
        "cores": os.cpu_count(),
        "flags": flags,
        "caches": caches(),
        "memory_kib": int(memory.split()[1]),
        "kernel": os.uname().release,
        "huge_pages": first_line(["cat", "/sys/kernel/mm/transparent_hugepage/enabled"]),
        "load_before": os.getloadavg()[0],
    }


def other_load():
    """Cores that other processes keep busy now, over a second without work of ours."""
    import time

    def busy():
        parts = [int(x) for x in open("/proc/stat").readline().split()[1:9]]
        return sum(parts) - parts[3] - parts[4]

    before = busy()
    time.sleep(1.0)
    return (busy() - before) / os.sysconf("SC_CLK_TCK")
