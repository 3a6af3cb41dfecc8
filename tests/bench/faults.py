#!/usr/bin/env python3
"""What gossip and the loss of workers cost, against its bars, by `grapevine run` on this machine.

  tests/bench/faults.py gossip   2 workers with one exchange a step against the same ones with none: the median of
                                 the ratios of samples/s >= 0.95
  tests/bench/faults.py slow     one of 2 workers ten times slower: samples/s >= 0.52 of the undisturbed job's (0.55
                                 is the ceiling); the other's trainer waits <= 1 % of its steps for store and gossip
  tests/bench/faults.py kill     kill -9 of one of 4 workers: noticed <= 1 s, new views out <= 50 ms later, no other
                                 active member without a completed exchange for more than the longest deadline (10 s);
                                 its replacement has copied the state and exchanged <= 3 s after its process started
  tests/bench/faults.py pause    one of 4 workers stopped for 20 s: out of the roster <= 6 s, back as a new member by
                                 itself; each other one at >= 0.9 of its samples/s before, with at most one exchange
                                 timed out
  tests/bench/faults.py all

ResNet-20, batches of 32, one thread a worker, on made-up images of 3 x 32 x 32 or on CIFAR-10. A job has no end of its
own: it is ended once it has been watched for long enough, so start-up, the last consensus and evaluations are in no
figure. Samples are read from each worker's Prometheus metrics ten times a second; a rate is
counted from the end of one step to the end of another. What was noticed when, the time that trainers waited and the
longest exchange come from the run's own report.

`slow` pins all threads of worker k to core k, in the undisturbed runs too, so that each has a core of its own; the
operator and this script run where the kernel puts them. Nothing else is pinned: with fewer than 4 cores the workers of
`kill` and `pause` compete for them, and those that are left get faster while one stands still.

Each finished run leaves its figures in --results; a second call goes on where the first one stopped. Let nothing else
run beside it.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 60
START_UP_SECONDS = 3  # from the first step of the last worker: caches and the first exchanges
COMPLETED = 'exchanges_total{result="completed"}'
TIMED_OUT = 'exchanges_total{result="timed_out"}'


def stat_of(pid):
    """The fields of /proc/PID/stat from the third on; none when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def children_of(parent):
    pids = [int(path.name) for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if stat_of(pid)[1:2] == [str(parent)]]


class Worker:
    """One worker process, seen from outside: its pod's name, and its metrics over time."""

    def __init__(self, pid, folder):
        self.pid = pid
        variables = pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0")
        self.pod = next(v.partition("=")[2] for v in variables if v.startswith("GRAPEVINE_POD="))
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(stat_of(pid)[19]) / os.sysconf("SC_CLK_TCK")
        self.started = time.monotonic() - age
        self.folder = folder
        self.connection = None
        self.seen = []  # (time, metrics)

    def poll(self):
        """Reads the metrics once; nothing while the worker does not answer."""
        if self.connection is None:
            logs = list(self.folder.glob(f"*/logs/{self.pod}.log"))
            port = re.search(r"metrics on port (\d+)", logs[0].read_text()) if logs else None
            if port is None:
                return
            self.connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=POLL_SECONDS)
        try:
            self.connection.request("GET", "/metrics")
            text = self.connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return
        found = re.findall(r"^grapevine_worker_(\w+(?:\{result=\"\w+\"\})?) ([-+\de.]+)$", text, re.MULTILINE)
        self.seen.append((time.monotonic(), {name: float(value) for name, value in found}))

    def latest(self, name):
        return self.seen[-1][1][name] if self.seen else 0

    def changes(self, name, begin, end):
        """When `name` was first seen to have a new value, and the value, between two moments."""
        changes = []
        last = None
        for at, metrics in self.seen:
            if last is not None and metrics[name] != last and begin <= at <= end:
                changes.append((at, metrics[name]))
            last = metrics[name]
        return changes

    def rate(self, begin, end):
        """Samples/s from the end of the first step to the end of the last one between two moments."""
        steps = self.changes("samples_total", begin, end)
        if len(steps) < 2:
            return 0
        return (steps[-1][1] - steps[0][1]) / (steps[-1][0] - steps[0][0])


class Run:
    """A `grapevine run` that is watched and then ended."""

    def __init__(self, options, folder, workers, per_step=1, events=None, pinned=False, seed=1):
        self.folder = folder
        self.pinned = pinned
        self.workers = []
        dataset = {"name": "synthetic", "shape": [3, 32, 32], "samples": 50000}
        if options.dataset_path:
            dataset = {"name": "cifar10", "path": str(options.dataset_path)}
        job = {
            "apiVersion": "grapevine.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": "faults"},
            "spec": {
                "training": {
                    "model": "resnet20",
                    "dataset": dataset,
                    "epochs": 1000,
                    "batchSize": 32,
                    "learningRate": "0.025",
                    "seed": seed,
                },
                "exchange": {"perStep": per_step},
                "workers": {"replicas": workers, "minReplicas": min(workers, 2), "maxReplicas": workers},
                "checkpoint": {"path": str(folder)},
            },
        }
        file = folder / "job.yaml"
        file.write_text(json.dumps(job))
        command = [str(options.grapevine), "run", str(file), "--report", str(folder / "report.json")]
        command += ["--events", events] if events else []
        self.log = folder / "log"
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"GRAPEVINE_THREADS": "1"},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()  # its workers end with it
            self.process.wait()

    def poll(self):
        if self.process.poll() is not None:
            sys.exit(f"grapevine run ended with {self.process.returncode}:\n{self.log.read_text()}")
        known = {worker.pid for worker in self.workers}
        for pid in children_of(self.process.pid):
            if pid not in known and stat_of(pid)[:1] not in ([], ["Z"]):
                try:
                    self.workers.append(Worker(pid, self.folder))
                except (OSError, StopIteration):
                    continue  # not a worker yet: before its exec
                if self.pinned:
                    pin(pid, (len(self.workers) - 1) % os.cpu_count())
        for worker in self.workers:
            worker.poll()

    def watch(self, seconds=PATIENCE_SECONDS, until=lambda: False, every=POLL_SECONDS):
        """Polls for so long, or until something is so; returns the moment."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            begun = time.monotonic()
            self.poll()
            time.sleep(max(0, every - (time.monotonic() - begun)))
        return time.monotonic()

    def expect(self, what, until, every=POLL_SECONDS):
        now = self.watch(until=until, every=every)
        if not until():
            sys.exit(f"waited {PATIENCE_SECONDS} s for {what}:\n{self.log.read_text()}")
        return now

    def said(self, pattern):
        return re.search(pattern, self.log.read_text(), re.MULTILINE)

    def start_up(self, workers):
        """Until all train; returns the moment from which figures count."""
        self.expect(
            "the first steps",
            lambda: len(self.workers) == workers and all(worker.latest("steps_total") for worker in self.workers),
        )
        for worker in self.workers if self.pinned else []:
            pin(worker.pid, self.workers.index(worker) % os.cpu_count())  # threads made meanwhile
        return self.watch(START_UP_SECONDS)

    def hit(self):
        """Waits for the scripted event; returns the moment and the worker that it hit."""
        pattern = r"s  (?:kill|slow|pause)=\S+: (\S+)$"
        now = self.expect("the event", lambda: self.said(pattern))
        pod = self.said(pattern)[1]
        return now, next(worker for worker in self.workers if worker.pod == pod)

    def end(self):
        """Ends the run at once, as two signals do, and returns its report."""
        self.process.send_signal(signal.SIGINT)
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=PATIENCE_SECONDS)
        if status != 130:
            sys.exit(f"grapevine run ended with {status}:\n{self.log.read_text()}")
        return json.loads((self.folder / "report.json").read_text())


def pin(pid, core):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def measure_gossip(options, folder, seed, per_step):
    with Run(options, folder, workers=2, per_step=per_step, seed=seed) as run:
        begin = run.start_up(2)
        end = run.watch(25)
        report = run.end()
    rate = sum(worker.rate(begin, end) for worker in run.workers)
    return {"rate": rate, "text": f"{rate:.1f} samples/s  {exchanges(report)}"}


def measure_slow(options, folder, seed, slowed):
    events = "0s:slow=1x10" if slowed else None
    with Run(options, folder, workers=2, events=events, pinned=True, seed=seed) as run:
        victim = run.hit()[1] if slowed else None
        begin = run.start_up(2)
        end = run.watch(35)
        report = run.end()
    rate = sum(worker.rate(begin, end) for worker in run.workers)
    waits = max(
        member["blocked_seconds"] / member["trainer_seconds"]
        for member in report["per_member"]
        if victim is None or member["pod"] != victim.pod
    )
    text = f"{rate:.1f} samples/s  trainer waits {100 * waits:.3f} %  {exchanges(report)}"
    return {"rate": rate, "waits": waits, "text": text}


def measure_kill(options, folder, seed, _):
    with Run(options, folder, workers=4, events="15s:kill=1", seed=seed) as run:
        run.start_up(4)
        killed, victim = run.hit()
        run.expect("the replacement", lambda: len(run.workers) > 4)
        new = run.workers[4]
        exchanged = run.expect("its first exchange", lambda: new.latest("peer_distance") > 0, every=0.05)
        end = run.watch(12)
        report = run.end()
        log = next(folder.glob(f"*/logs/{new.pod}.log")).read_text()
    lull = report["exchanges"]["seconds_max"]
    for worker in run.workers[:4]:
        times = [at for at, _ in worker.changes(COMPLETED, killed, end)]
        if times and worker is not victim:  # a passive member begins none
            lull = max(lull, *(after - before for before, after in zip([killed] + times, times + [end])))
    event = report["events"][0]
    noticed, published = event["noticed_after"], event["published_after"]
    replaced = exchanged - new.started if "copy of a donor's state: done" in log else float("inf")
    text = (
        f"noticed {1000 * noticed:.0f} ms  views {1000 * published:.1f} ms  longest lull {lull:.2f} s  "
        f"replacement exchanged after {replaced:.2f} s  {exchanges(report)}"
    )
    return {"noticed": noticed, "published": published, "lull": lull, "replaced": replaced, "text": text}


def measure_pause(options, folder, seed, _):
    with Run(options, folder, workers=4, events="20s:pause=1x20", seed=seed) as run:
        begin = run.start_up(4)
        paused, victim = run.hit()
        end = run.watch(20)
        joined = rf"\({victim.pod}\) joined"
        back = run.expect("its return", lambda: len(re.findall(joined, run.log.read_text())) > 1)
        run.watch(5)
        report = run.end()
    others = [worker for worker in run.workers if worker is not victim]
    kept = [share(worker.rate(paused, end), worker.rate(begin, paused)) for worker in others]
    timed_out = [worker.latest(TIMED_OUT) for worker in others]
    left = report["events"][0]["noticed_after"]
    text = (
        f"left after {left:.2f} s  back {back - end:.1f} s after the pause  "
        f"others at {', '.join(f'{ratio:.2f}' for ratio in kept)} on {os.cpu_count()} cores  "
        f"timed out {', '.join(f'{count:.0f}' for count in timed_out)}"
    )
    return {"left": left, "back": back - end, "kept": min(kept), "timed_out": max(timed_out), "text": text}


def exchanges(report):
    counts = report["exchanges"]
    return (
        f"exchanges {counts['completed']}, timed out {counts['timed_out']}, torn {counts['torn']}, "
        f"longest {counts['seconds_max']:.2f} s"
    )


def figures_of(measure, name, variants, options):
    """Per variant the figures of all repeats, the variants taking turns."""
    found = {variant: [] for variant in variants}
    for seed in range(1, options.repeats + 1):
        for variant in variants:
            file = options.results / f"{name}-{variant}-{seed}.json"
            if not file.exists():
                with tempfile.TemporaryDirectory(prefix="grapevine-faults-") as folder:
                    figures = measure(options, pathlib.Path(folder), seed, variants[variant])
                file.write_text(json.dumps(figures))
            found[variant].append(json.loads(file.read_text()))
            print(f"{name:6} {variant:11} run {seed}: {found[variant][-1]['text']}", flush=True)
    return found


def judge(text, holds):
    print(f"{'holds ' if holds else 'MISSED'}  {text}")
    return holds


def share(part, whole):
    return part / whole if whole > 0 else 0.0  # nothing of nothing keeps no bar


def worst(found, key, pick=max):
    return pick(figures[key] for figures in found)


def judge_gossip(options):
    found = figures_of(measure_gossip, "gossip", {"with": 1, "without": 0}, options)
    ratios = [share(a["rate"], b["rate"]) for a, b in zip(found["with"], found["without"])]
    median = statistics.median(ratios)
    each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    return [judge(f"gossip keeps {median:.3f} of the samples/s (median of {each}), bar 0.95", median >= 0.95)]


def judge_slow(options):
    found = figures_of(measure_slow, "slow", {"undisturbed": False, "slowed": True}, options)
    ratios = [share(a["rate"], b["rate"]) for a, b in zip(found["slowed"], found["undisturbed"])]
    waits = worst(found["slowed"], "waits")
    each = ", ".join(f"{ratio:.3f}" for ratio in ratios)
    return [
        judge(f"slowed job at {min(ratios):.3f} of its samples/s (worst of {each}), bar 0.52", min(ratios) >= 0.52),
        judge(f"the other's trainer waits {100 * waits:.3f} % of its steps, bar 1 %", waits <= 0.01),
    ]


def judge_kill(options):
    found = figures_of(measure_kill, "kill", {"one": None}, options)["one"]
    noticed, published = worst(found, "noticed"), worst(found, "published")
    lull, replaced = worst(found, "lull"), worst(found, "replaced")
    return [
        judge(f"kill -9 noticed after {1000 * noticed:.0f} ms, bar 1 s", noticed <= 1),
        judge(f"new views out {1000 * published:.1f} ms after that, bar 50 ms", published <= 0.05),
        judge(f"longest time without an exchange {lull:.2f} s, bar 10 s", lull <= 10),
        judge(f"replacement exchanged {replaced:.2f} s after its start, bar 3 s", replaced <= 3),
    ]


def judge_pause(options):
    found = figures_of(measure_pause, "pause", {"one": None}, options)["one"]
    back = worst(found, "back")
    left, kept, timed_out = worst(found, "left"), worst(found, "kept", min), worst(found, "timed_out")
    return [
        judge(f"paused worker left the roster after {left:.2f} s, bar 6 s", left <= 6),
        judge(f"came back {back:.1f} s after the pause by itself, bar 10 s", back <= 10),
        judge(f"each other one kept {kept:.2f} of its samples/s, bar 0.9", kept >= 0.9),
        judge(f"exchanges timed out with one neighbour: {timed_out:.0f}, bar 1", timed_out <= 1),
    ]


BARS = {"gossip": judge_gossip, "slow": judge_slow, "kill": judge_kill, "pause": judge_pause}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bar", choices=(*BARS, "all"))
    parser.add_argument("--dataset-path", type=pathlib.Path, help="folder of CIFAR-10; made-up images without")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--grapevine", type=pathlib.Path, default=ROOT / "build/release/grapevine")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/faults")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of Run.__exit__
    names = BARS if options.bar == "all" else (options.bar,)
    held = [bar for name in names for bar in BARS[name](options)]
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
