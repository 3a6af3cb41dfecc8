#!/usr/bin/env python3
"""Accuracy of gossip against its bars, one `grapevine run` after the other.

  tests/bench/accuracy.py mnist   --dataset-path DIR    LeNet-5, 4 workers, 3 data epochs, undisturbed and with
                                                        members joining, killed and slowed; each >= 98.5 %
  tests/bench/accuracy.py cifar10 --dataset-path DIR    ResNet-20, 3 data epochs, 2 workers against 1; the means at
                                                        most 2 points apart, each run >= 60 %
  tests/bench/accuracy.py digits-rosters                examples/digits.yaml with each number of workers from its
                                                        minReplicas to its maxReplicas, and far beyond, with
                                                        12 and 40; each >= 97 %
  tests/bench/accuracy.py mnist-rosters --dataset-path DIR
                                                        examples/mnist-lenet5.yaml likewise, from its minReplicas to
                                                        its maxReplicas, >= 98.5 %

Each with three seeds. Each finished run leaves its report in --results; a second call goes on where the first one
stopped. Let nothing else run beside it.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SEEDS = (1, 2, 3)
FAULTS = "30%:scale=6,50%:kill=1,60%:slow=1x10"

MNIST = {
    "file": "examples/mnist-lenet5.yaml",
    "set": ["training.epochs=3"],
    "variants": {
        "4-workers": ["--workers", "4"],
        "4-workers-faults": ["--workers", "4", "--events", FAULTS],
    },
}
DIGITS_WORKERS = (*range(2, 9), 12, 40)
DIGITS_ROSTERS = {
    "file": "examples/digits.yaml",
    "set": [],
    "variants": {f"{n}-workers": ["--workers", str(n)] for n in DIGITS_WORKERS},
    "bars": {f"{n}-workers": 0.97 for n in DIGITS_WORKERS},
}
MNIST_ROSTERS = {
    "file": "examples/mnist-lenet5.yaml",
    "set": [],
    "variants": {f"{n}-workers": ["--workers", str(n)] for n in range(2, 9)},
    "bars": {f"{n}-workers": 0.985 for n in range(2, 9)},
}
CIFAR10 = {
    "file": "examples/cifar10-resnet20.yaml",
    "set": [
        "training.epochs=3",
        "training.batchSize=32",
        "training.learningRate=0.025",
        "training.learningRateSchedule.warmupEpochs=0.5",
        "training.learningRateSchedule.milestones=[2]",
    ],
    "variants": {"2-workers": ["--workers", "2"], "1-worker": ["--workers", "1"]},
}
JOBS = {"mnist": MNIST, "cifar10": CIFAR10, "digits-rosters": DIGITS_ROSTERS, "mnist-rosters": MNIST_ROSTERS}


def run(job, name, variant, seed, options):
    """The report of one run, from an earlier call where there is one."""
    report = options.results / f"{name}-{variant}-seed{seed}.json"
    if not report.exists():
        unfinished = report.with_suffix(".part")
        command = [str(options.grapevine), "run", str(ROOT / job["file"])]
        if options.dataset_path:
            command += ["--dataset-path", str(options.dataset_path)]
        command += job["variants"][variant]
        for override in job["set"] + [f"training.seed={seed}"]:
            command += ["--set", override]
        command += ["--report", str(unfinished)]
        log = report.with_suffix(".log")
        with open(log, "w") as output:
            status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL).returncode
        if status != 0:
            sys.exit(f"{name} {variant} seed {seed}: exit status {status}, see {log}")
        unfinished.rename(report)
    result = json.loads(report.read_text())
    members = result["members"]
    print(
        f"{name:14} {variant:18} seed {seed}: accuracy {100 * result['accuracy']:.2f} %  {result['seconds']:.0f} s  "
        f"{result['samples_per_second']:.0f} samples/s  joined {members['joined']} left {members['left']} "
        f"lost {members['lost']}  exchanges {result['exchanges']['completed']}",
        flush=True,
    )
    return result["accuracy"]


def judge(text, holds):
    print(f"{'holds ' if holds else 'MISSED'}  {text}")
    return holds


def judge_rosters(job, found):
    return all([
        judge(f"{variant}: worst run {100 * min(found[variant]):.2f} %, bar {100 * job['bars'][variant]:g} %",
              min(found[variant]) >= job["bars"][variant])
        for variant in found
    ])


def judge_mnist(found):
    worst = min(min(values) for values in found.values())
    return judge(f"worst run {100 * worst:.2f} %, bar 98.5 %", worst >= 0.985)


def judge_cifar10(found):
    means = {variant: sum(values) / len(values) for variant, values in found.items()}
    worst = min(min(values) for values in found.values())
    gap = 100 * (means["1-worker"] - means["2-workers"])
    holds = judge(f"mean of 2 workers {gap:+.2f} points below the mean of 1, bar 2", gap <= 2)
    return judge(f"worst run {100 * worst:.2f} %, bar 60 %", worst >= 0.60) and holds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--dataset-path", type=pathlib.Path, help="folder with the files of mnist or cifar10")
    parser.add_argument("--grapevine", type=pathlib.Path, default=ROOT / "build/release/grapevine")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/accuracy")
    options = parser.parse_args()
    job = JOBS[options.job]
    if options.job != "digits-rosters" and options.dataset_path is None:
        parser.error(f"{options.job} needs --dataset-path")
    options.results.mkdir(parents=True, exist_ok=True)

    found = {
        variant: [run(job, options.job, variant, seed, options) for seed in SEEDS] for variant in job["variants"]
    }
    if "bars" in job:
        holds = judge_rosters(job, found)
    else:
        holds = (judge_mnist if options.job == "mnist" else judge_cifar10)(found)
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
