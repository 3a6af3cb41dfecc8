#!/usr/bin/env python3
"""Checks the dashboards against Grafana's published types, the package grafana-foundation-sdk.

Each file is read into the package's classes. What these do not know, they drop; what they know, they take as it is. So
a dashboard is right if it comes out again whole, and if each value is of the type that its field declares.

Exit status: 0 right, 1 findings, 77 without the package.
"""

import argparse
import enum
import json
import pathlib
import sys
import types
import typing

from programs import SKIPPED


def lost(ours, theirs, place):
    """What of `ours` is not in `theirs`, which may have more: defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{place}.{key}")
            else:
                yield f"{place}.{key}: Grafana knows no such field"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs)):
            yield from lost(*pair, f"{place}[{number}]")
    elif ours != theirs:
        yield f"{place}: {ours!r} becomes {theirs!r}"


def is_class(value):
    return hasattr(value, "to_json")


def conforms(value, hint):
    """Whether `value` is of the type `hint`; the fields of classes are looked at by themselves."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (typing.Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(conforms(value, one) for one in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(conforms(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(conforms(one, arguments[1]) for one in value.values())
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if issubclass(hint, enum.Enum):
        return value in [member.value for member in hint]
    if isinstance(value, dict) and hasattr(hint, "from_json"):  # some lists are left as they are
        return not [*lost(value, hint.from_json(value).to_json(), ""), *mistyped(hint.from_json(value), "")]
    return isinstance(value, hint)


def mistyped(value, place):
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from mistyped(one, f"{place}[{number}]")
    elif is_class(value):
        for field, hint in typing.get_type_hints(type(value)).items():
            found = getattr(value, field)
            name = f"{place}.{field.removesuffix('_val')}"
            if not conforms(found, hint):
                shown = type(found).__name__ if is_class(found) or isinstance(found, list) else repr(found)
                yield f"{name}: found {shown}, allowed is {hint}"
            yield from mistyped(found, name)


def findings(board, grafana_dashboard, encoder):
    try:
        model = grafana_dashboard.from_json(board)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return [f": cannot be read: {error!r}"]
    return [*lost(board, json.loads(json.dumps(model, cls=encoder)), ""), *mistyped(model, "")]


def broken(board):
    """The dashboard with one fault each, and what must be found: a check that finds nothing proves nothing."""

    def with_fault(change):
        copy = json.loads(json.dumps(board))
        change(copy, next(panel for panel in copy["panels"] if panel["type"] == "timeseries"))
        return copy

    yield with_fault(lambda b, p: b.update(refersh="15s")), "refersh"
    yield with_fault(lambda b, p: b.update(graphTooltip=7)), "graph_tooltip"
    yield with_fault(lambda b, p: p["targets"][0].update(exper="up")), "exper"
    yield with_fault(lambda b, p: p["options"]["legend"].update(placement="left")), "placement"
    yield with_fault(lambda b, p: p["fieldConfig"]["defaults"].update(unit=7)), "unit"
    yield with_fault(lambda b, p: p["fieldConfig"]["defaults"]["custom"].update(lineWidth="wide")), "line_width"
    yield with_fault(lambda b, p: p["gridPos"].update(w="8")), "w"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--package", type=pathlib.Path, required=True, help="the folder that it was unpacked into")
    parser.add_argument("dashboards", type=pathlib.Path, nargs="+")
    options = parser.parse_args()
    sys.path.insert(0, str(options.package))
    try:
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard
    except ImportError as error:
        print(f"no Grafana types: ./dev tools ({error})")
        return SKIPPED
    register_default_plugins()
    found = []
    for path in options.dashboards:
        board = json.loads(path.read_text())
        found += [f"{path}{finding}" for finding in findings(board, Dashboard, JSONEncoder)]
        for wrong, field in broken(board):
            if not any(field in finding for finding in findings(wrong, Dashboard, JSONEncoder)):
                found.append(f"{path}: this check would not find a wrong {field}")
    print("\n".join(found) or f"{len(options.dashboards)} dashboards are of Grafana's types")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
