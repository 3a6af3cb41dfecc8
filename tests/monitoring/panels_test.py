#!/usr/bin/env python3
"""Asks a Prometheus that scrapes a running job what every panel and every alert asks.

Without --operator it runs a job: examples/digits.yaml for some seconds, with members that join and one that is killed,
or what is given instead. No panel may be empty, but those about an API server, which such a run has not; no alert may
hold while all is well.

Exit status: 0 right, 1 findings, 77 without Prometheus.
"""

import argparse
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import dashboards
from programs import SKIPPED, find_program
from prometheus import INTERVAL, Prometheus, end_with_parent

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = [ROOT / "examples" / "digits.yaml", "--set", "training.epochs=100000", "--events", "8s:scale=6,14s:kill=1"]
# Prometheus looks for new targets every five seconds, in two places: it may need ten to find the first.
ENOUGH = 15  # seconds of training to look at, of a job that does not end by itself
LONGEST = 120  # seconds that it may take
OPERATOR = {
    "namespace": "grapevine-system",
    "pod_name": "grapevine",
    "pod_label_app_kubernetes_io_name": "grapevine",
    "pod_label_app_kubernetes_io_component": "operator",
    "pod_container_port_name": "metrics",
}


class Job:
    """A job whose operator says where its metrics are, and whose workers say it in their logs."""

    def __init__(self, operator, logs, name_space, name):
        self.operator, self.logs, self.name_space, self.name = operator, logs, name_space, name
        self.pods = set()
        self.stopped = False

    def found_pods(self):
        """What Kubernetes would list, and what must not be scraped of it."""
        pods = [(self.operator, OPERATOR)]
        for log in sorted(self.logs().glob(f"{self.name}-*.log")):
            port = re.search(r"metrics on port (\d+)", log.read_text())
            if port is None:
                continue
            self.pods.add(log.stem)
            labels = {
                "namespace": self.name_space,
                "pod_name": log.stem,
                "pod_label_grapevine_dev_job_name": self.name,
                "pod_container_port_name": "metrics",
            }
            pods.append((f"127.0.0.1:{port[1]}", labels))
        pods.append(("127.0.0.1:1", {**OPERATOR, "pod_name": "other", "pod_container_port_name": "topology"}))
        pods.append(("127.0.0.1:1", {"namespace": "other", "pod_name": "other", "pod_container_port_name": "metrics"}))
        return pods


class OwnRun(Job):
    """A `grapevine run`, stopped in order once it was looked at for long enough; not at all where `enough` is None."""

    def __init__(self, grapevine, arguments, enough, folder):
        self.enough = enough
        self.folder = folder
        self.said = folder / "run.log"
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [grapevine, "run", *arguments, "--metrics", "127.0.0.1:0"],
                cwd=folder,
                stdout=said,
                stderr=said,
                preexec_fn=end_with_parent,
            )
        address = None
        while address is None and self.process.poll() is None:
            time.sleep(0.02)
            address = re.search(r"metrics at http://(\S+)/metrics", self.said.read_text())
        if address is None:
            raise RuntimeError(f"the run did not start:\n{self.said.read_text()}")
        job = None
        while job is None:
            with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=LONGEST) as metrics:
                job = re.search(r'grapevine_job_members{namespace="(.*?)",name="(.*?)"}', metrics.read().decode())
        super().__init__(address[1], lambda: next(folder.glob("checkpoints/*/logs"), folder), *job.groups())

    def going_on(self, _, seconds):
        if self.enough is not None and seconds >= self.enough and not self.stopped:
            self.stopped = True
            self.process.send_signal(signal.SIGINT)
        status = self.process.poll()
        if status not in (None, 130 if self.stopped else 0):
            raise RuntimeError(f"the run ended with {status}:\n{self.said.read_text()}")
        return status is None

    def end(self):
        self.process.kill()
        self.process.wait()


class ForeignJob(Job):
    """Somebody else's."""

    def __init__(self, options):
        super().__init__(options.operator, lambda: options.logs, options.namespace, options.job)

    def going_on(self, done, seconds):
        return done < 1 and seconds < ENOUGH

    def end(self):
        pass


def job_of(options, folder):
    if options.operator:
        return ForeignJob(options)
    # It runs in a folder of its own.
    given = [pathlib.Path(one).resolve() if pathlib.Path(one).exists() else one for one in options.run]
    return OwnRun(options.grapevine.resolve(), given or DIGITS, None if given else ENOUGH, folder)


def watch(job, prometheus):
    """Scrapes while the job goes on. The begin and the end of the time in which it trained."""
    deadline = time.monotonic() + LONGEST
    begin = end = None
    done = 0.0
    of_job = f'{{namespace="{job.name_space}", name="{job.name}"}}'
    while job.going_on(done, (end or 0) - (begin or 0)):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the job did not end within {LONGEST} s")
        prometheus.set_pods(job.found_pods())
        time.sleep(0.2)
        now = time.time()
        found = prometheus.at(f"grapevine_job_progress_ratio{of_job}", now)
        done = float(found[0]["value"][1]) if found else done
        if 0 < done < 1 and not job.stopped:
            begin = begin or now
            end = now
    if begin is None:
        raise RuntimeError("no scrape saw the job train")
    return begin, end


def check_targets(job, prometheus, begin, end):
    """Whom it scraped, by which labels."""
    found = {
        (labels["job"], labels["namespace"], labels["pod"], labels.get("name"))
        for labels, _ in prometheus.over("up", begin, end)
    }
    of_operator = ("grapevine-operator", OPERATOR["namespace"], OPERATOR["pod_name"], None)
    allowed = {of_operator} | {("grapevine-worker", job.name_space, pod, job.name) for pod in job.pods}
    if of_operator not in found or len(found) < 3 or not found <= allowed:  # two members make an exchange
        yield f"scraped {sorted(map(str, found))}, expected are {sorted(map(str, allowed))}"


def check_panels(boards, prometheus, begin, end, in_cluster):
    """Every query of every panel has an answer."""
    for board in boards:
        for name, (series, label) in board.variables.items():
            if not prometheus.ask(f"label/{label}/values", **{"match[]": series}):
                yield f"{board.name}: variable {name} offers nothing"
        for panel in board.panels:
            for query, _ in panel.queries:
                answers = prometheus.over(query, begin, end)
                expected = in_cluster or "rest_client_" not in query
                if bool(answers) != expected:
                    yield f"{board.name}: {panel.title}: {'no' if expected else 'an'} answer to {query}"


def check_alerts(prometheus, when):
    """Each alert's query is understood, and holds for nothing."""
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    if not rules:
        yield "no alerts are loaded"
    for rule in rules:
        if rule["health"] != "ok":
            yield f"{rule['name']}: {rule.get('lastError', rule['health'])}"
        for sick in prometheus.at(rule["query"], when):
            yield f"{rule['name']} holds on a healthy job: {sick['metric']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="the folder with prometheus")
    parser.add_argument("--grapevine", type=pathlib.Path, help="the program that runs the job")
    parser.add_argument("--operator", help="HOST:PORT of the metrics of one that runs already")
    parser.add_argument("--logs", type=pathlib.Path, help="then: the folder with its workers' logs, POD.log")
    parser.add_argument("--namespace", help="then: the job's")
    parser.add_argument("--job", help="then: its name")
    parser.add_argument("run", nargs="*", help="after --: arguments of `grapevine run`, of a job that ends by itself")
    parser.add_argument("--pictures", type=pathlib.Path, help="draw the dashboards into this folder")
    options = parser.parse_args()
    program = find_program(options.programs, "prometheus")
    if program is None:
        print("no Prometheus: ./dev tools")
        return SKIPPED
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        configuration = ROOT / "monitoring" / "prometheus.yaml"
        with Prometheus(program, configuration, folder) as prometheus:
            job = job_of(options, folder)
            try:
                begin, end = watch(job, prometheus)
            finally:
                job.end()
            values = {"namespace": job.name_space, "job": job.name, "__rate_interval": f"{4 * INTERVAL}s"}
            files = sorted((ROOT / "monitoring" / "dashboards").glob("*.json"))
            boards = [dashboards.load(path, values) for path in files]
            found = [
                *check_targets(job, prometheus, begin, end),
                *check_panels(boards, prometheus, begin, end, in_cluster=bool(options.operator)),
                *check_alerts(prometheus, end),
            ]
            if options.pictures:
                import pictures  # which needs matplotlib, as nothing else does

                for board in boards:
                    pictures.draw(board, prometheus, begin, end, options.pictures / f"{board.name}.png")
    asked = sum(len(panel.queries) for board in boards for panel in board.panels)
    print("\n".join(found) or f"{asked} queries asked over {end - begin:.0f} s of training")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
