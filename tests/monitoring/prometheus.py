"""A Prometheus of one's own, for as long as a `with` lasts, and what it is asked."""

import ctypes
import json
import math
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

INTERVAL = 1  # seconds between two scrapes
PATIENCE = 20  # seconds for it to start
PR_SET_PDEATHSIG = 1


def end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Prometheus:
    """Scrapes what `pods` lists, by the very configuration that is for clusters: only where the pods are found differs.

    Debian's package knows no Kubernetes, so pods come from a file, with the labels that Kubernetes would give them.
    """

    def __init__(self, program, configuration, folder):
        self.program = program
        self.folder = folder
        self.pods_file = folder / "pods.json"
        self.set_pods([])
        text = configuration.read_text()
        found = "kubernetes_sd_configs: [{role: pod}]"
        if text.count(found) != 2:
            raise ValueError(f"{configuration}: expected '{found}' twice")
        text = text.replace(found, f"file_sd_configs: [{{files: [{json.dumps(str(self.pods_file))}]}}]")
        text = re.sub(r"(scrape|evaluation)_interval: \S+", rf"\1_interval: {INTERVAL}s", text)
        text = text.replace("- alerts/", f"- {configuration.parent.resolve()}/alerts/")
        self.configuration = folder / "prometheus.yaml"
        self.configuration.write_text(text)

    def set_pods(self, pods):
        """`pods`: (address, {meta label of Kubernetes: value})."""
        groups = [
            {"targets": [address], "labels": {f"__meta_kubernetes_{name}": value for name, value in labels.items()}}
            for address, labels in pods
        ]
        new = self.pods_file.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.rename(self.pods_file)

    def __enter__(self):
        self.log = self.folder / "prometheus.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    f"--config.file={self.configuration}",
                    f"--storage.tsdb.path={self.folder / 'series'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                stderr=log,
                stdout=log,
                preexec_fn=end_with_parent,
            )
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            said = self.log.read_text()
            listening = re.search(r'msg="Listening on" address=(\S+)', said)
            if listening and "ready to receive" in said:
                self.url = f"http://{listening[1]}"
                return self
            time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"Prometheus did not start:\n{self.log.read_text()}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, path, **parameters):
        """The data of its answer; ValueError with what it says is wrong."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from error

    def over(self, query, begin, end):
        """[(labels, [(time, value)])] of each series, what is no finite number left out."""
        found = self.ask("query_range", query=query, start=begin, end=end, step=INTERVAL)["result"]
        series = []
        for one in found:
            points = [(float(when), float(value)) for when, value in one["values"]]
            series.append((one["metric"], [point for point in points if math.isfinite(point[1])]))
        return [one for one in series if one[1]]

    def at(self, query, when):
        return self.ask("query", query=query, time=when)["result"]

    def targets(self):
        return self.ask("targets", state="active")["activeTargets"]
