"""What the images hold, what their lists say, and that their programs run as a pod would run them.

usage: tests/images/images_test.py FOLDER     where grapevine.tar and grapevine-worker.tar are

Needs root: the programs run in the images' own files, read-only, as their own user, in namespaces
of their own. `./dev images` runs it.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(SOURCE / "images"))
from archive import Archive  # noqa: E402

VERSION = re.search(r"project\(grapevine VERSION (\S+)",
                    (SOURCE / "CMakeLists.txt").read_text())[1]
MEGABYTE = 1_000_000
LIBRARY = re.compile(r"lib64/ld-linux-x86-64\.so\.2"
                     r"|usr/lib/x86_64-linux-gnu/lib[\w.+-]+\.so[\d.]*")
LICENCE = re.compile(r"usr/share/doc/[\w.+-]+/(copyright|LICENSE|THIRD-PARTY-PROGRAMS)"
                     r"|usr/share/common-licenses/[\w.+-]+")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
PATIENCE = 30  # seconds
PORT = 7070  # of a network of this test's own
WORKER = {"GRAPEVINE_NAMESPACE": "default", "GRAPEVINE_JOB": "job", "GRAPEVINE_POD": "job-0-0"}
KUBECONFIG = f"""
apiVersion: v1
kind: Config
current-context: there
contexts: [{{name: there, context: {{cluster: there, user: nobody}}}}]
clusters: [{{name: there, cluster: {{server: "http://kubernetes.default.svc:{PORT}"}}}}]
users: [{{name: nobody, user: {{}}}}]
"""


class Names(threading.Thread):
    """A name server that says 127.0.0.1 to every question and keeps the names."""

    def __init__(self):
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self.asked = set()

    def run(self):
        while True:
            question, peer = self._socket.recvfrom(512)
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            self.asked.add(".".join(labels))
            has_address = question[at + 1:at + 3] == b"\0\1"
            answer = question[:2] + b"\x81\x80\0\1" + struct.pack(">HHH", has_address, 0, 0)
            answer += question[12:at + 5]
            if has_address:
                answer += b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton("127.0.0.1")
            self._socket.sendto(answer, peer)


def bring_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP


def readelf(*arguments):
    return subprocess.run(["readelf", *arguments], check=True, stdout=subprocess.PIPE,
                          text=True).stdout


class ImageTest:
    """The tests of either image."""

    program = None
    most_megabytes = None
    arguments = None

    @classmethod
    def setUpClass(cls):
        cls.archive = Archive(folder / f"{cls.program}.tar")
        cls.members = {}
        cls.root = scratch / cls.program
        cls.root.mkdir()
        for layer in cls.archive.layers():
            for member in layer:
                cls.members[member.name.removeprefix("./").strip("/")] = member
            layer.extractall(cls.root, numeric_owner=True)
        cls.members.pop("", None)
        cls.files = {name for name, member in cls.members.items() if member.isreg()}
        cls.sbom = json.loads((folder / f"{cls.program}.spdx.json").read_text())
        # What a cluster puts into a container before its root becomes read-only.
        (cls.root / "proc").mkdir()
        (cls.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        (cls.root / "etc/kubeconfig").write_text(KUBECONFIG)
        subprocess.run(["mount", "--bind", cls.root, cls.root], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", cls.root / "proc"], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", cls.root], check=True)

    def start(self, *arguments, **environment):
        return subprocess.Popen(
            ["/usr/bin/setpriv", "--no-new-privs", "/usr/sbin/chroot", "--userspec=65532:65532",
             "--groups=", self.root, f"/usr/bin/{self.program}", *arguments],
            env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def outcome(self, *arguments, **environment):
        process = self.start(*arguments, **environment)
        said, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, said

    # --- what is in it

    def test_config(self):
        config = self.archive.config["config"]
        self.assertEqual(config["User"], "65532:65532")
        self.assertEqual(config["Entrypoint"], [f"/usr/bin/{self.program}"])
        self.assertEqual(config.get("Cmd") or [], self.arguments)
        self.assertIn(self.archive.tags, ([f"docker.io/library/{self.program}:{VERSION}"],
                                          [f"{self.program}:{VERSION}"]))
        self.assertEqual(self.archive.config["architecture"], "amd64")

    def test_labels(self):
        labels = dict(self.archive.config["config"]["Labels"])
        prefix = "org.opencontainers.image."
        self.assertEqual(labels.pop(prefix + "version"), VERSION)
        self.assertEqual(labels.pop(prefix + "licenses"), "Apache-2.0")
        self.assertRegex(labels.pop(prefix + "revision"), r"^([0-9a-f]{40}(-dirty)?|unknown)$")
        self.assertTrue(labels.pop(prefix + "title"))
        self.assertTrue(labels.pop(prefix + "description"))
        self.assertEqual(labels, {})

    def test_files(self):
        expected = {f"usr/bin/{self.program}", f"usr/share/sbom/{self.program}.spdx.json",
                    CERTIFICATES, "etc/passwd", "etc/group", "etc/nsswitch.conf"}
        self.assertEqual(expected - self.files, set())
        others = {name for name in self.files - expected
                  if not LIBRARY.fullmatch(name) and not LICENCE.fullmatch(name)}
        self.assertEqual(others, set())
        links = {name: member.linkname for name, member in self.members.items()
                 if not member.isreg() and not member.isdir()}
        self.assertEqual(links, {"usr/lib/ssl/cert.pem": "/" + CERTIFICATES})

    def test_modes(self):
        for name, member in self.members.items():
            with self.subTest(name):
                self.assertEqual((member.uid, member.gid), (0, 0))
                runs = member.isdir() or name.startswith("usr/bin/") or LIBRARY.fullmatch(name)
                expected = 0o777 if member.issym() else 0o755 if runs else 0o644
                self.assertEqual(stat.S_IMODE(member.mode), expected)  # nothing setuid either

    def test_size(self):
        size = sum(member.size for member in self.members.values()) / MEGABYTE
        print(f"{self.program}: {size:.1f} MB", file=sys.stderr)
        self.assertLessEqual(size, self.most_megabytes)

    def test_stripped(self):
        for name in self.files:
            if LIBRARY.fullmatch(name) or name.startswith("usr/bin/"):
                self.assertNotIn(".symtab", readelf("-SW", self.root / name), name)

    def test_no_path_of_the_build(self):
        dynamic = readelf("-dW", self.root / "usr/bin" / self.program)
        self.assertIn("NEEDED", dynamic)
        self.assertNotRegex(dynamic, "RPATH|RUNPATH")

    # --- what its list says

    def test_sbom_is_the_one_inside(self):
        inside = self.archive.read(f"usr/share/sbom/{self.program}.spdx.json")
        self.assertEqual(json.loads(inside), self.sbom)

    def test_sbom_document(self):
        self.assertEqual(self.sbom["spdxVersion"], "SPDX-2.3")
        self.assertEqual(self.sbom["dataLicense"], "CC0-1.0")
        self.assertEqual(self.sbom["SPDXID"], "SPDXRef-DOCUMENT")
        self.assertEqual(self.sbom["name"], f"{self.program}-{VERSION}")
        self.assertRegex(self.sbom["documentNamespace"], r"^https://[\w./-]+$")
        self.assertRegex(self.sbom["creationInfo"]["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        for creator in self.sbom["creationInfo"]["creators"]:
            self.assertRegex(creator, r"^(Tool|Organization|Person): \S")

    def test_sbom_elements(self):
        ids = ["SPDXRef-DOCUMENT"]
        for package in self.sbom["packages"]:
            with self.subTest(package["name"]):
                ids.append(package["SPDXID"])
                self.assertTrue(package["versionInfo"])
                self.assertRegex(package["supplier"], r"^Organization: \S")
                self.assertIs(package["filesAnalyzed"], package["name"] == self.program)
                for field in ("downloadLocation", "licenseConcluded", "licenseDeclared",
                              "copyrightText"):
                    self.assertTrue(package[field], field)
                (reference,) = package["externalRefs"]
                self.assertEqual((reference["referenceCategory"], reference["referenceType"]),
                                 ("PACKAGE-MANAGER", "purl"))
                self.assertRegex(
                    reference["referenceLocator"],
                    r"^pkg:(deb/debian|pypi|generic)/[\w.%-]+@[\w.%-]+(\?[\w.=&-]+)?$")
                place = package["licenseComments"].removesuffix(" in the image")
                self.assertTrue(any(name.startswith(place + "/") for name in self.files), place)
        for file in self.sbom["files"]:
            ids.append(file["SPDXID"])
        self.assertEqual(len(ids), len(set(ids)))
        for name in ids:
            self.assertRegex(name, r"^SPDXRef-[A-Za-z0-9.-]+$")
        for relation in self.sbom["relationships"]:
            self.assertIn(relation["spdxElementId"], ids)
            self.assertIn(relation["relatedSpdxElement"], ids)
            self.assertIn(relation["relationshipType"],
                          {"DESCRIBES", "CONTAINS", "DEPENDS_ON", "BUILD_DEPENDENCY_OF",
                           "EXPANDED_FROM_ARCHIVE"})

    def test_sbom_files(self):
        listed = {file["fileName"].removeprefix("./"): file for file in self.sbom["files"]}
        of_packages = {name for name in self.files if LIBRARY.fullmatch(name)}
        of_packages.add(CERTIFICATES)
        self.assertEqual(set(listed), of_packages | {f"usr/bin/{self.program}"})
        archives = [relation["spdxElementId"] for relation in self.sbom["relationships"]
                    if relation["relationshipType"] == "EXPANDED_FROM_ARCHIVE"]
        self.assertEqual(sorted(archives), sorted(listed[name]["SPDXID"] for name in of_packages))
        hashes = sorted(file["checksums"][0]["checksumValue"] for file in listed.values())
        self.assertEqual(
            self.sbom["packages"][0]["packageVerificationCode"]["packageVerificationCodeValue"],
            hashlib.sha1("".join(hashes).encode()).hexdigest())
        for name, file in listed.items():
            content = (self.root / name).read_bytes()
            sums = {each["algorithm"]: each["checksumValue"] for each in file["checksums"]}
            self.assertEqual(sums, {"SHA1": hashlib.sha1(content).hexdigest(),
                                    "SHA256": hashlib.sha256(content).hexdigest()}, name)

    # --- how it runs

    def test_help(self):
        status, said = self.outcome("--help")
        self.assertEqual(status, 0, said)
        self.assertIn(self.program, said)

    def assert_connects(self, name, *arguments, **environment):
        """The program looks the name up in DNS and connects to what it is told there."""
        with socket.create_server(("127.0.0.1", PORT)) as listener:
            listener.settimeout(PATIENCE)
            process = self.start(*arguments, **environment)
            try:
                listener.accept()[0].close()
            except TimeoutError:
                process.kill()
                self.fail(process.communicate()[0])
            process.kill()
            said, _ = process.communicate()
        self.assertIn(name, names.asked, said)


class OperatorImageTest(ImageTest, unittest.TestCase):
    program = "grapevine"
    most_megabytes = 60
    arguments = ["operator"]

    def test_packages(self):
        named = {package["name"] for package in self.sbom["packages"]}
        self.assertLessEqual({"grapevine", "libc6", "libgrpc++1.51", "libcpprest2.10", "libssl3",
                              "ca-certificates", "nlohmann-json3-dev"}, named)
        self.assertNotIn("onednn", named)

    def test_says_what_is_missing(self):
        status, said = self.outcome("operator")
        self.assertEqual(status, 2, said)
        self.assertIn("no API server is known", said)

    def test_connects_to_an_api_server(self):
        self.assert_connects("kubernetes.default.svc",
                             "operator", "--kubeconfig", "/etc/kubeconfig",
                             POD_IP="127.0.0.1", POD_NAMESPACE="default")


class WorkerImageTest(ImageTest, unittest.TestCase):
    program = "grapevine-worker"
    most_megabytes = 120
    arguments = []

    def test_packages(self):
        named = {package["name"] for package in self.sbom["packages"]}
        self.assertLessEqual({"grapevine-worker", "libc6", "libgrpc++1.51", "onednn", "libgomp1",
                              "ca-certificates", "nlohmann-json3-dev"}, named)

    def test_says_what_is_missing(self):
        status, said = self.outcome()
        self.assertEqual(status, 2, said)
        self.assertIn("GRAPEVINE_HUB", said)

    def test_says_that_nobody_is_there(self):
        process = self.start(GRAPEVINE_HUB=f"127.0.0.1:{PORT}", **WORKER)
        line = ""
        for line in process.stdout:
            if "the hub is away" in line:
                break
        process.terminate()
        said, _ = process.communicate(timeout=PATIENCE)
        self.assertIn("Connection refused", line)
        self.assertEqual(process.returncode, 0, said)

    def test_connects_to_the_hub(self):
        name = "hub.grapevine-system.svc.cluster.local"
        self.assert_connects(name, GRAPEVINE_HUB=f"{name}:{PORT}", **WORKER)


def main():
    global folder, scratch, names
    if len(sys.argv) == 2:
        with tempfile.TemporaryDirectory(prefix="grapevine-images-") as made:
            os.chmod(made, 0o755)
            return subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                                   sys.executable, __file__, sys.argv[1], made]).returncode
    if len(sys.argv) != 3:
        sys.exit("usage: tests/images/images_test.py FOLDER")
    folder, scratch = map(pathlib.Path, sys.argv[1:])
    bring_loopback_up()
    names = Names()
    names.start()
    return not unittest.main(argv=sys.argv[:1], exit=False).result.wasSuccessful()


if __name__ == "__main__":
    sys.exit(main())
