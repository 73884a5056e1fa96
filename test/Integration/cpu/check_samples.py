"""Runs the commands of a page that show what the demo's model writes, and compares.

check_samples.py DEMO PAGE...

A sample is an indented `$ build/demo/demo generate ...` and the indented lines after it. Another CPU
rounds differently and parts from it after some words, so the first 60 characters count.
"""
import re
import shlex
import subprocess
import sys

SAMPLE = re.compile(r"^    \$ build/demo/demo (generate .*)\n((?:    .*\n)+)", re.M)
COUNTED = 60


def main():
    demo, pages = sys.argv[1], sys.argv[2:]
    compared = 0
    for page in pages:
        with open(page, encoding="utf-8") as file:
            for command, shown in SAMPLE.findall(file.read()):
                shown = "\n".join(line[4:] for line in shown.splitlines())
                written = subprocess.run([demo, *shlex.split(command), "--quiet"], check=True,
                                         capture_output=True, text=True).stdout
                if written[:COUNTED] != shown[:COUNTED]:
                    sys.exit(f"{page}: {command}\nwrites {written[:COUNTED]!r}\n"
                             f"shown  {shown[:COUNTED]!r}")
                compared += 1
    print(f"{compared} samples are what the model writes")


if __name__ == "__main__":
    main()
