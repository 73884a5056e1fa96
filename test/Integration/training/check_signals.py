"""Ends a trainer by signals and by closing its output; compares with a run that was not.

check_signals.py TRAINER SHARD RUN
"""
import signal
import subprocess
import sys

import kill_and_resume


def main():
    trainer, shard, run = sys.argv[1:]
    common = [trainer, "train", "--data", shard, "--seq", "32", "--batch-tokens", "512",
              "--steps", "1500", "--save-every", "500", "--lr", "0.01", "--resume"]
    command = common + ["--out", run]
    for what in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, "closed output"):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        for _ in range(20):
            line = process.stdout.readline()
        step = int(line.split()[1].split("/")[0])
        if what == "closed output":
            process.stdout.close()
            error = process.stderr.read()
            process.wait()
            name = what
        else:
            process.send_signal(what)
            error = process.communicate()[1]
            name = what.name
        last = kill_and_resume.steps_of(run)[-1]
        saved = int(last[5:]) >= step and f"saved {run}/checkpoints/{last}" in error
        print(f"{name}: status {process.returncode}, {'saved' if saved else error}")
    beside = run + "-beside"
    for folder in (run, beside):
        subprocess.run(common + ["--out", folder, "--log-every", "1500"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kill_and_resume.compare(beside, run)
    print("the same to the last bit")


if __name__ == "__main__":
    main()
