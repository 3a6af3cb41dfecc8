#!/usr/bin/env python3
"""Assembles the root of an image: one program, what it needs to run, and a list of it in SPDX.

usage: images/assemble.py PROGRAM FOLDER

Runs in the build stage of a Dockerfile, on Debian, after `./dev build programs`. What goes in:

  usr/bin/PROGRAM                     stripped
  lib64, usr/lib/x86_64-linux-gnu     the dynamic loader and the libraries that ldd names; nothing
                                      is loaded later: libc itself looks up users and hosts
  etc/passwd, group, nsswitch.conf    one user, without rights; hosts from /etc/hosts and DNS
  etc/ssl/certs/ca-certificates.crt   and usr/lib/ssl/cert.pem, where OpenSSL looks for it
  usr/share/doc, common-licenses      of each package that is in the image or compiled in
  usr/share/sbom/PROGRAM.spdx.json    those packages, and each of their files with its hashes

SOURCE_DATE_EPOCH is the time that the list says it was made at.
"""

import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BUILD = SOURCE / "build/programs"
ONEDNN = pathlib.Path.home() / ".cache/grapevine/onednn"
LIBRARIES = "usr/lib/x86_64-linux-gnu"  # where the loader looks by itself
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"

ETC = {
    "passwd": "grapevine:x:65532:65532::/:/nonexistent\n",
    "group": "grapevine:x:65532:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def place(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)  # what a link leads to, not the link


def libraries_of(program):
    """What the loader maps for the program: {name: path here}."""
    found = {}
    for line in output_of("ldd", program).splitlines():
        words = line.split()
        if "not found" in line:
            sys.exit(f"{program}: {line.strip()}")
        path = next((word for word in words if word.startswith("/")), None)
        if path:  # linux-vdso has none
            found[words[0]] = pathlib.Path(path)
    return found


def place_libraries(program, root):
    """Copies them; returns {path in the image: path here}."""
    placed = {}
    for name, path in libraries_of(program).items():
        target = name.lstrip("/") if name.startswith("/") else f"{LIBRARIES}/{name}"
        place(path, root / target)
        if path.is_relative_to(ONEDNN):
            subprocess.run(["strip", root / target], check=True)
        (root / target).chmod(0o755)
        placed[target] = path
    return placed


def headers_of(program):
    """The files outside the source that were compiled into the program."""
    needed = set(output_of("ninja", "-C", BUILD, "--quiet", "-t", "inputs", program).split())
    headers = set()
    output = None
    for line in output_of("ninja", "-C", BUILD, "--quiet", "-t", "deps").splitlines():
        if not line.startswith(" "):
            output = line.split(":")[0]
        elif output in needed and line.strip().startswith("/"):
            headers.add(pathlib.Path(line.strip()))
    return {header for header in headers if not header.is_relative_to(SOURCE)}


def packages_of(paths):
    """{path: name of the Debian package that owns it}."""
    spellings = {}  # a package may still have in /lib what is found in /usr/lib
    for path in paths:
        real = os.path.realpath(path)
        spellings[real] = spellings[real.removeprefix("/usr")] = path
    owners = {}
    names = sorted(spellings)
    for begin in range(0, len(names), 500):
        found = subprocess.run(["dpkg-query", "-S", *names[begin:begin + 500]], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for line in found.splitlines():
            package, name = line.split(": ", 1)
            if name in spellings:
                owners[spellings[name]] = package.split(",")[0].split(":")[0]
    unknown = sorted(str(path) for path in paths if path not in owners)
    if unknown:
        sys.exit(f"no package owns {', '.join(unknown)}")
    return owners


def spdx_id(kind, name):
    return f"SPDXRef-{kind}-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def package_entry(name, version, supplier, licence, locator, **more):
    return {
        "name": name,
        "SPDXID": spdx_id("Package", name),
        "versionInfo": version,
        "supplier": supplier,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": licence,
        "licenseComments": f"usr/share/doc/{name} in the image",
        "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                          "referenceLocator": locator}],
        **more,
    }


def debian_entry(name):
    version, architecture, homepage, maintainer, source = output_of(
        "dpkg-query", "-W", "-f",
        "${Version}\n${Architecture}\n${Homepage}\n${Maintainer}\n"
        "${source:Package} ${source:Version}\n", name).splitlines()[:5]
    email = re.search(r"^(.*?)\s*<(.*)>$", maintainer)
    supplier = f"{email[1]} ({email[2]})" if email else maintainer
    quoted = version.replace("+", "%2B").replace(":", "%3A").replace("~", "%7E")
    more = {"homepage": homepage} if homepage else {}
    return package_entry(
        name, version, f"Organization: {supplier}", "NOASSERTION",
        f"pkg:deb/debian/{name.replace('+', '%2B')}@{quoted}?arch={architecture}&distro=debian-12",
        sourceInfo=f"built from the Debian source package {source}", **more)


def onednn_entry():
    version = re.search(r'PACKAGE_VERSION "(.*?)"',
                        (ONEDNN / "lib/cmake/dnnl/dnnl-config-version.cmake").read_text())[1]
    wheel = re.search(r"onednn-cpu-gomp==(\S+) --hash=sha256:(\S+)", (SOURCE / "dev").read_text())
    return package_entry(
        "onednn", version, "Organization: Intel Corporation", "Apache-2.0",
        f"pkg:pypi/onednn-cpu-gomp@{wheel[1]}",
        homepage="https://github.com/oneapi-src/oneDNN",
        checksums=[{"algorithm": "SHA256", "checksumValue": wheel[2]}],
        sourceInfo="the wheel from PyPI with this hash; its library is stripped")


def place_licences(packages, root):
    doc = root / "usr/share/doc"
    place(SOURCE / "LICENSE", doc / "grapevine/copyright")
    for name in packages:
        if name == "onednn":
            for file in ("LICENSE", "THIRD-PARTY-PROGRAMS"):
                place(ONEDNN / "share/doc/onednn" / file, doc / name / file)
            continue
        copyright_file = pathlib.Path(f"/usr/share/doc/{name}/copyright")
        place(copyright_file, doc / name / "copyright")
        for licence in re.findall(r"common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])",
                                  copyright_file.read_text(errors="replace")):
            common = pathlib.Path("/usr/share/common-licenses") / licence
            if common.exists():
                place(common, root / "usr/share/common-licenses" / licence)


def file_entry(root, path):
    content = (root / path).read_bytes()
    return {
        "fileName": f"./{path}",
        "SPDXID": spdx_id("File", path),
        "fileTypes": ["TEXT" if path == CERTIFICATES else "BINARY"],
        "checksums": [{"algorithm": name, "checksumValue": hashlib.new(name, content).hexdigest()}
                      for name in ("SHA1", "SHA256")],
        "licenseConcluded": "NOASSERTION",
        "licenseInfoInFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
    }


def verification_code(files):
    """Of SPDX: the hash of the files' hashes."""
    hashes = sorted(file["checksums"][0]["checksumValue"] for file in files)
    return hashlib.sha1("".join(hashes).encode()).hexdigest()


def document(program, root, owners, compiled_in):
    """`owners` is {path in the image: package}; `compiled_in` the packages with the headers."""
    version = re.search(r"project\(grapevine VERSION (\S+)",
                        (SOURCE / "CMakeLists.txt").read_text())[1]
    files = [file_entry(root, path) for path in [f"usr/bin/{program}", *sorted(owners)]]
    own = package_entry(program, version, "Organization: Grapevine", "Apache-2.0",
                        f"pkg:generic/{program}@{version}",
                        licenseComments="usr/share/doc/grapevine in the image",
                        filesAnalyzed=True, licenseInfoFromFiles=["NOASSERTION"],
                        packageVerificationCode={
                            "packageVerificationCodeValue": verification_code(files)})
    packages = sorted(set(owners.values()) | compiled_in)
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"])]
    relations += [(own["SPDXID"], "CONTAINS", file["SPDXID"]) for file in files]
    for name in packages:
        if name in owners.values():
            relations.append((own["SPDXID"], "DEPENDS_ON", spdx_id("Package", name)))
        if name in compiled_in:
            relations.append((spdx_id("Package", name), "BUILD_DEPENDENCY_OF", own["SPDXID"]))
    for path, name in sorted(owners.items()):
        relations.append((spdx_id("File", path), "EXPANDED_FROM_ARCHIVE", spdx_id("Package", name)))
    content = {
        "packages": [own] + [onednn_entry() if name == "onednn" else debian_entry(name)
                             for name in packages],
        "files": files,
        "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                          for a, kind, b in relations],
    }
    made = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]),
                                           datetime.timezone.utc)
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{program}-{version}",
        "documentNamespace": f"https://grapevine.dev/spdx/{program}-{version}-{digest}",
        "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Tool: grapevine-images-assemble"]},
        **content,
    }


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: images/assemble.py PROGRAM FOLDER")
    program, root = sys.argv[1], pathlib.Path(sys.argv[2])
    os.umask(0o022)
    subprocess.run(["cmake", "--install", BUILD, "--component", program, "--strip",
                    "--prefix", root / "usr"], check=True, stdout=subprocess.DEVNULL)
    for name, text in ETC.items():
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / name).write_text(text)
    place("/" + CERTIFICATES, root / CERTIFICATES)
    (root / "usr/lib/ssl").mkdir(parents=True)
    (root / "usr/lib/ssl/cert.pem").symlink_to("/" + CERTIFICATES)

    libraries = place_libraries(BUILD / program, root)
    onednn = {target for target, path in libraries.items() if path.is_relative_to(ONEDNN)}
    debian = packages_of({path for target, path in libraries.items() if target not in onednn})
    owners = {target: "onednn" if target in onednn else debian[path]
              for target, path in libraries.items()}
    owners[CERTIFICATES] = "ca-certificates"

    headers = headers_of(program)
    compiled_in = set(packages_of({h for h in headers if not h.is_relative_to(ONEDNN)}).values())
    if any(header.is_relative_to(ONEDNN) for header in headers):
        compiled_in.add("onednn")

    place_licences(sorted(set(owners.values()) | compiled_in), root)
    sbom = root / f"usr/share/sbom/{program}.spdx.json"
    sbom.parent.mkdir(parents=True)
    sbom.write_text(json.dumps(document(program, root, owners, compiled_in), indent=1) + "\n")


main()
