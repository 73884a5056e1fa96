"""What the results must say about the machine and the software."""
import datetime
import hashlib
import os
import re
import subprocess
import sys
import time


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
    return " ".join(["benchmarks/cpu/run", *shown])


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


def busy_seconds():
    """Of all cores since the start, the time that the host took from them included."""
    with open("/proc/stat") as file:
        parts = [int(x) for x in file.readline().split()[1:9]]
    return (sum(parts) - parts[3] - parts[4]) / os.sysconf("SC_CLK_TCK")


def descendants(root):
    """Processes below `root`, as their fields of /proc/PID/stat after the name."""
    table = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                table[int(pid)] = file.read().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
    below, grown = {root}, True
    while grown:
        more = {pid for pid, fields in table.items() if int(fields[1]) in below} - below
        below |= more
        grown = bool(more)
    return [table[pid] for pid in below if pid in table]


def own_seconds():
    """Of this process and all below it, those that have ended included."""
    ticks = sum(int(x) for fields in descendants(os.getpid()) for x in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


class OtherLoad:
    """Cores that other programs kept busy since it was made."""

    def __init__(self):
        self.time, self.busy, self.own = time.monotonic(), busy_seconds(), own_seconds()

    def cores(self):
        busy, own = busy_seconds() - self.busy, own_seconds() - self.own
        return max(0.0, busy - own) / max(time.monotonic() - self.time, 1e-9)


def other_load():
    """Cores that other processes keep busy now, over a second without work of ours."""
    load = OtherLoad()
    time.sleep(1.0)
    return load.cores()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def checkout(root, program):
    """What the compiler is built of, as far as that can be told: the checkout's commit, whether
    tracked files differ from it, and the program itself."""
    committed = first_line(["git", "-C", root, "log", "-1", "--format=%ct"])
    return {"commit": first_line(["git", "-C", root, "rev-parse", "HEAD"]),
            "dirty": bool(first_line(["git", "-C", root, "status", "--porcelain", "--untracked-files=no"])),
            "tnllmc": first_line([program, "--version"]), "tnllmc_sha256": digest(program),
            "tnllmc_older_than_commit": committed.isdigit() and os.path.getmtime(program) < int(committed)}
