#!/usr/bin/env python3
"""Runs Prometheus's own tests of the alerts: each fires when it should and is silent where all is well.

Exit status: promtool's; 77 without it.
"""

import argparse
import pathlib
import subprocess
import sys

from programs import SKIPPED, find_program


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True, help="the folder with promtool")
    parser.add_argument("--rules", type=pathlib.Path, required=True, help="the folder with the alerts")
    options = parser.parse_args()
    promtool = find_program(options.programs, "promtool")
    if promtool is None:
        print("no promtool: ./dev tools")
        return SKIPPED
    rules = sorted(options.rules.glob("*.yaml"))
    tests = sorted((pathlib.Path(__file__).parent / "alerts").glob("*_test.yaml"))
    for command in (["check", "rules", *rules], ["test", "rules", *tests]):
        status = subprocess.run([promtool, *command], check=False).returncode
        if status != 0:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
