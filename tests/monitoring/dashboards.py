"""The dashboards as Grafana would ask them."""

import dataclasses
import json
import re

VARIABLE = re.compile(r"label_values\((.*), (\w+)\)")


@dataclasses.dataclass
class Panel:
    dashboard: str
    title: str
    kind: str
    place: dict  # x, y, w, h
    unit: str
    custom: dict
    queries: list  # (query, legend)
    logarithmic: bool
    least: float | None
    most: float | None
    decimals: int | None
    dashed: list  # legends


@dataclasses.dataclass
class Dashboard:
    name: str
    title: str
    panels: list
    rows: list  # (title, y)
    variables: dict  # (query for the series, label) by name


def load(path, values):
    """`values`: of the variables, and of __rate_interval."""

    def filled(query):
        for name, value in values.items():
            query = query.replace(f"${name}", value)
        return query

    board = json.loads(path.read_text())
    panels, rows, variables = [], [], {}
    for panel in board["panels"]:
        if panel["type"] == "row":
            rows.append((panel["title"], panel["gridPos"]["y"]))
            continue
        defaults = panel["fieldConfig"]["defaults"]
        custom = defaults.get("custom", {})
        panels.append(
            Panel(
                dashboard=path.stem,
                title=panel["title"],
                kind=panel["type"],
                place=panel["gridPos"],
                unit=defaults["unit"],
                custom=custom,
                queries=[(filled(target["expr"]), target.get("legendFormat", "")) for target in panel["targets"]],
                logarithmic=custom.get("scaleDistribution", {}).get("type") == "log",
                least=defaults.get("min"),
                most=defaults.get("max"),
                decimals=defaults.get("decimals"),
                dashed=[one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"] if "custom.lineStyle" in str(one)],
            )
        )
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            series, label = VARIABLE.fullmatch(variable["query"]["query"]).groups()
            variables[variable["name"]] = (filled(series), label)
    return Dashboard(path.stem, board["title"], panels, rows, variables)


def legend(form, labels):
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), form)
