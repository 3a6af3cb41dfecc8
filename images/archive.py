#!/usr/bin/env python3
"""Reads what `docker save` and buildah write: an archive of one image.

usage: images/archive.py ARCHIVE FILE     prints a file of the image
"""

import json
import sys
import tarfile


class Archive:
    def __init__(self, path):
        self._outer = tarfile.open(path)
        (manifest,) = json.load(self._outer.extractfile("manifest.json"))
        self.tags = manifest["RepoTags"]
        self.config = json.load(self._outer.extractfile(manifest["Config"]))
        self._layers = manifest["Layers"]

    def layers(self):
        """Each layer as an open tar file; may be compressed."""
        for name in self._layers:
            with tarfile.open(fileobj=self._outer.extractfile(name)) as layer:
                yield layer

    def read(self, path):
        content = None
        for layer in self.layers():
            for member in layer:
                if member.name.removeprefix("./").strip("/") == path:
                    content = layer.extractfile(member).read()
        if content is None:
            raise FileNotFoundError(path)
        return content


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: images/archive.py ARCHIVE FILE")
    sys.stdout.buffer.write(Archive(sys.argv[1]).read(sys.argv[2]))
