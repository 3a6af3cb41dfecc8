#!/usr/bin/env python3
"""Tests on the cluster that $KUBECONFIG names: the cluster itself first, then Grapevine as a user installs it."""

import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMESPACE = "grapevine-system"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def run(*command, given=None, timeout=120):
    """Prints and returns what the command says; fails with that if the command does."""
    ended = subprocess.run(command, input=given, text=True, timeout=timeout, cwd=ROOT,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if ended.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit status {ended.returncode}\n{ended.stdout}")
    return ended.stdout


def kubectl(*arguments, **options):
    return run("kubectl", *arguments, **options)


def get(*arguments):
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def apply(*objects):
    kubectl("apply", "-f", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def eventually(seconds, say):
    """Until the function `say` raises nothing; what it returns."""
    end = time.monotonic() + seconds
    while True:
        try:
            return say()
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.2)


def pod(name, node, *command, **spec):
    """A pod of busybox, as Pod Security wants it where it is strictest."""
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name.rsplit("-", 1)[0], "pod": name}},
        "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532,
                                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "busybox", "image": "localhost/busybox:1", "command": ["/busybox", *command],
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                    "capabilities": {"drop": ["ALL"]}},
                **spec.pop("container", {}),
            }],
            **spec,
        },
    }


class ClusterTest(unittest.TestCase):
    """What a user's cluster does is done here too, or no test on it means anything."""

    namespace = "cluster-test"

    @classmethod
    def setUpClass(cls):
        apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cls.namespace, "labels": RESTRICTED}})
        cls.nodes = [node["metadata"]["name"] for node in get("nodes")["items"]]
        kubectl("-n", cls.namespace, "wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        page = {"name": "page", "emptyDir": {}}
        cls.create(*[
            pod(f"web-{node}", node, "sh", "-c",
                "/busybox hostname >/page/index.html && exec /busybox httpd -f -v -p 8080 -h /page", volumes=[page],
                container={"volumeMounts": [{"name": "page", "mountPath": "/page"}],
                           "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}})
            for node in cls.nodes
        ], {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web-node"}, "ports": [{"port": 80, "targetPort": 8080}]},
        })
        cls.create(*[pod(f"client-{node}", node, "sleep", "infinity") for node in cls.nodes])
        kubectl("-n", cls.namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")

    @classmethod
    def tearDownClass(cls):
        kubectl("delete", "namespace", cls.namespace)

    @classmethod
    def create(cls, *objects):
        for each in objects:
            each["metadata"]["namespace"] = cls.namespace
        apply(*objects)

    @classmethod
    def fetch(cls, node, address, times=1):
        fetch = f"timeout 3 /busybox wget -q -O - http://{address}/"
        return kubectl("-n", cls.namespace, "exec", f"client-{node}", "--", "/busybox", "sh", "-ec",
                       f"for i in $(/busybox seq {times}); do /busybox {fetch}; done").splitlines()

    def test_there_are_two_nodes(self):
        self.assertEqual(self.nodes, ["node-0", "node-1"])

    def test_pods_reach_each_other_within_and_across_nodes(self):
        for client in self.nodes:
            for web in self.nodes:
                address = get("-n", self.namespace, "pod", f"web-{web}")["status"]["podIP"]
                self.assertEqual(self.fetch(client, f"{address}:8080"), [f"web-{web}"])

    def test_a_service_reaches_all_its_pods_from_all_nodes_by_name(self):
        for client in self.nodes:
            seen = self.fetch(client, f"web.{self.namespace}.svc.cluster.local", times=50)
            self.assertEqual(set(seen), {f"web-{node}" for node in self.nodes})

    def test_a_name_outside_of_the_cluster_is_unknown(self):
        with self.assertRaisesRegex(AssertionError, "NXDOMAIN"):
            kubectl("-n", self.namespace, "exec", "client-node-0", "--", "/busybox", "nslookup", "example.org.")

    def test_a_pod_asks_the_api_server(self):
        for node in self.nodes:
            kubectl("-n", self.namespace, "exec", f"client-{node}", "--",
                    "/busybox", "nc", "-w", "2", "kubernetes.default.svc.cluster.local", "443", given="")

    def test_logs(self):
        for node in self.nodes:
            address = get("-n", self.namespace, "pod", f"web-{node}")["status"]["podIP"]
            self.fetch(node, f"{address}:8080")
            self.assertIn("response:200", kubectl("-n", self.namespace, "logs", f"web-{node}"))

    def test_processes_in_pods_have_what_was_asked_for(self):
        status = kubectl("-n", self.namespace, "exec", "client-node-0", "--", "/busybox", "cat", "/proc/1/status")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        self.assertEqual(fields["Uid"].split()[0], "65532")
        self.assertEqual(fields["Seccomp"].strip(), "2")  # a filter
        self.assertEqual(int(fields["CapEff"], 16), 0)
        with self.assertRaises(AssertionError):
            kubectl("-n", self.namespace, "exec", "client-node-0", "--", "/busybox", "touch", "/here")

    def test_a_volume_is_the_same_on_both_nodes(self):
        volume = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
        apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": self.namespace},
               "spec": {**volume, "capacity": {"storage": "1Gi"}, "persistentVolumeReclaimPolicy": "Retain",
                        "hostPath": {"path": "/run/cluster/volumes", "type": "Directory"}}})
        self.addCleanup(kubectl, "delete", "persistentvolume", self.namespace)
        self.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "shared"},
                     "spec": {**volume, "volumeName": self.namespace, "resources": {"requests": {"storage": "1Gi"}}}})
        mounted = {"volumes": [{"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}}],
                   "container": {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}}
        self.create(pod("writer", "node-0", "sh", "-c", "echo seen >/shared/file", restartPolicy="Never", **mounted),
                    pod("reader", "node-1", "sh", "-c", "until /busybox cat /shared/file; do /busybox sleep 0.2; done",
                        restartPolicy="Never", **mounted))
        kubectl("-n", self.namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/reader",
                "--timeout=30s")
        self.assertIn("seen", kubectl("-n", self.namespace, "logs", "reader"))
        kubectl("-n", self.namespace, "delete", "pod/writer", "pod/reader", "pvc/shared")

    def test_a_network_policy_lets_in_whom_it_names_alone(self):
        webs = [get("-n", self.namespace, "pod", f"web-{node}")["status"]["podIP"] + ":8080" for node in self.nodes]
        self.create({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "one-client"},
            "spec": {"podSelector": {"matchLabels": {"app": "web-node"}}, "policyTypes": ["Ingress"],
                     "ingress": [{"from": [{"podSelector": {"matchLabels": {"pod": "client-node-0"}}}],
                                  "ports": [{"port": 8080}]}]},
        })

        def kept_out():
            for web in webs:
                with self.assertRaises(AssertionError):
                    self.fetch("node-1", web)

        eventually(20, kept_out)
        for web in webs:
            self.fetch("node-0", web)
        kubectl("-n", self.namespace, "delete", "networkpolicy", "one-client")
        for web in webs:
            eventually(20, lambda: self.fetch("node-1", web))

    def test_an_old_pod_makes_room(self):
        kubectl("-n", self.namespace, "run", "short", "--image=localhost/busybox:1", "--overrides=" + json.dumps(
            pod("short-lived", "node-1", "sleep", "infinity")), "--restart=Never")
        kubectl("-n", self.namespace, "delete", "pod", "short-lived", "--wait")


class GrapevineTest(unittest.TestCase):
    """The chart with the real images."""

    @classmethod
    def setUpClass(cls):
        start = time.monotonic()
        run("helm", "install", "grapevine", "charts/grapevine", "--namespace", NAMESPACE, "--create-namespace",
            "--wait", "--timeout", "60s", timeout=90)
        print(f"from `helm install` to the operator ready: {time.monotonic() - start:.1f} s", flush=True)

    @classmethod
    def tearDownClass(cls):
        run("helm", "uninstall", "grapevine", "--namespace", NAMESPACE, "--wait")

    def test_digits(self):
        start = time.monotonic()
        kubectl("apply", "-f", "examples/digits.yaml")
        kubectl("wait", "trainingjob/digits", "--for=condition=Succeeded", "--timeout=180s", timeout=200)
        print(f"from `kubectl apply` of the digits to Succeeded: {time.monotonic() - start:.1f} s", flush=True)
        kubectl("delete", "-f", "examples/digits.yaml")

    def test_helm_test(self):
        run("helm", "test", "grapevine", "--namespace", NAMESPACE, timeout=400)


def show(*command):
    """As a person would have asked; whether it can be answered or not."""
    print("\n==", *command)
    print(subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout, flush=True)


def show_what_happened():
    """What one wants to see of a cluster that is gone soon."""
    show("kubectl", "get", "nodes,pods", "-A", "-o", "wide")
    show("kubectl", "get", "trainingjobs", "-A", "-o", "yaml")
    show("kubectl", "get", "events", "-A", "--sort-by=.lastTimestamp")
    for each in get("pods", "-A")["items"]:
        logs = ["kubectl", "logs", "--all-containers", "--prefix", "--tail=100",
                "-n", each["metadata"]["namespace"], each["metadata"]["name"]]
        show(*logs)
        if any(status["restartCount"] for status in each["status"].get("containerStatuses", [])):
            show(*logs, "--previous")


class Result(unittest.TextTestResult):
    """Shows the cluster's state at the first failure, before the tests' own tidying up."""

    shown = False

    def show_once(self):
        if not Result.shown:
            Result.shown = True
            show_what_happened()

    def addError(self, test, error):
        super().addError(test, error)
        self.show_once()

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.show_once()


if __name__ == "__main__":
    if "KUBECONFIG" not in os.environ:
        sys.exit("KUBECONFIG names no cluster to try this on")
    unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=Result))
