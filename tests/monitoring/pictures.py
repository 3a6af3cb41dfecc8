"""Draws a dashboard's series much as Grafana would, for the README: Grafana itself is not there."""

import math

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from dashboards import legend

UNIT = 0.52, 0.36  # inches of a grid cell
GAP = 0.14  # cells between two panels
DPI = 80
PAGE, CARD, EDGE, TEXT, DIM = "#111217", "#181b1f", "#2a2d33", "#d8d9da", "#8e9196"
COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#37872d", "#fade2a", "#e0b400"]
PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k")]
TIMES = [(3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")]
MOST_LEGENDS = 9


def scaled(value, steps, suffix=""):
    for step, name in steps:
        if abs(value) >= step:
            return f"{value / step:.3g} {name}{suffix}".rstrip()
    return f"{value:.3g} {suffix.strip()}".rstrip()


def shown(value, unit):
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return scaled(value, TIMES) if value else "0 s"
    suffix = {"none": "", "ops": "/s", "reqps": "/s", "Bps": "B/s", "bytes": "B"}.get(unit, unit.removeprefix("si: "))
    return scaled(value, PREFIXES, f" {suffix}" if unit.startswith("si: ") else suffix)


class Page:
    def __init__(self, board):
        self.height = max(panel.place["y"] + panel.place["h"] for panel in board.panels) + 1.2
        self.figure = plt.figure(figsize=(24 * UNIT[0], self.height * UNIT[1]), dpi=DPI, facecolor=PAGE)
        self.write(0.3, 0.75, board.title, 13, TEXT, weight="bold")
        for title, y in board.rows:
            self.write(0.3, y + 1.95, title, 10, TEXT, weight="bold")

    def point(self, x, y):
        return x / 24, 1 - y / self.height

    def write(self, x, y, text, size, color, **more):
        self.figure.text(*self.point(x, y), text, fontsize=size, color=color, **more)

    def card(self, place):
        x, y = place["x"] + GAP, place["y"] + 1.2 + GAP
        w, h = place["w"] - 2 * GAP, place["h"] - 2 * GAP
        left, bottom = self.point(x, y + h)
        self.figure.add_artist(
            FancyBboxPatch(
                (left, bottom),
                w / 24,
                h / self.height,
                boxstyle="square,pad=0",
                facecolor=CARD,
                edgecolor=EDGE,
                linewidth=0.8,
                transform=self.figure.transFigure,
                zorder=-1,
            )
        )
        return x, y, w, h

    def axes(self, x, y, w, h):
        left, bottom = self.point(x, y + h)
        return self.figure.add_axes((left, bottom, w / 24, h / self.height), facecolor=CARD)


def draw_value(page, panel, box, series):
    x, y, w, h = box
    labels, points = series[-1][1], series[-1][2]
    value = legend(panel.queries[0][1], labels) if panel.unit == "none" and panel.queries[0][1] else None
    text = value or shown(points[-1][1], panel.unit)
    page.write(x + w / 2, y + h * 0.72, text, 15 if len(text) < 12 else 12, COLORS[0], ha="center", weight="bold")


def draw_table(page, panel, box, prometheus, end):
    x, y, w, _ = box
    heads = ["Namespace", "Job", "State", "Members", "Desired", "Progress", "Samples per second", "Time left", "Test accuracy"]
    units = ["none", "none", "percentunit", "si: samples/s", "s", "percentunit"]
    rows = {}
    for number, (query, _) in enumerate(panel.queries):
        for found in prometheus.at(query, end):
            labels = found["metric"]
            row = rows.setdefault((labels["namespace"], labels["name"]), {})
            row[number] = labels.get("condition") or shown(float(found["value"][1]), units[number])
    for column, head in enumerate(heads):
        page.write(x + 0.4 + column * w / len(heads), y + 2, head, 8, DIM)
    for line, (key, row) in enumerate(sorted(rows.items())):
        cells = [*key, row.get(6, ""), *(row.get(number, "") for number in range(6))]
        for column, cell in enumerate(cells):
            page.write(x + 0.4 + column * w / len(heads), y + 3 + line, cell, 8.5, TEXT)


def draw_lines(page, panel, box, series, begin, end):
    x, y, w, h = box
    names = [name for name, _, _ in series][:MOST_LEGENDS]
    axes = page.axes(x + 1.75, y + 1.1, w - 2.1, h - 2.7)
    stacked = "stacking" in panel.custom
    if stacked:
        times = sorted({when for _, _, points in series for when, _ in points})
        heights = [[dict(points).get(when, 0.0) for when in times] for _, _, points in series]
        axes.stackplot([when - begin for when in times], heights, colors=COLORS, alpha=0.35, linewidth=0)
        total = [0.0] * len(times)
        for number, height in enumerate(heights):
            total = [a + b for a, b in zip(total, height)]
            if not any(height):
                continue
            axes.plot([when - begin for when in times], total, color=COLORS[number % len(COLORS)], linewidth=1.2)
    for number, (name, _, points) in enumerate([] if stacked else series):
        color = COLORS[number % len(COLORS)]
        across, up = [when - begin for when, _ in points], [value for _, value in points]
        if panel.custom.get("drawStyle") == "bars":
            axes.bar([one + 0.25 * (number - 1) for one in across], up, width=0.25, color=color)
        else:
            dashed = name in panel.dashed
            axes.plot(across, up, color=color, linewidth=1.2, linestyle="--" if dashed else "-")
            if len(points) == 1:
                axes.plot(across, up, color=color, marker="o", markersize=3)
    axes.set_xlim(0, max(end - begin, 1))
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=panel.least, top=panel.most)
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=panel.decimals == 0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel.unit)))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    axes.grid(color=EDGE, linewidth=0.6)
    axes.tick_params(colors=DIM, labelsize=6.5, length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    at = x + 0.5
    for number, name in enumerate(names):
        page.write(at, y + h - 0.35, "—", 9, COLORS[number % len(COLORS)], weight="bold")
        page.write(at + 0.5, y + h - 0.35, name, 6.5, TEXT)
        at += 1 + 0.095 * len(name)
        if at > x + w - 2:
            break


def draw(board, prometheus, begin, end, path):
    page = Page(board)
    for panel in board.panels:
        box = x, y, _, _ = page.card(panel.place)
        page.write(x + 0.35, y + 0.75, panel.title, 8.5, TEXT)
        series = []
        for query, form in panel.queries:
            for labels, points in prometheus.over(query, begin, end):
                series.append((legend(form, labels) or panel.title, labels, points))
        if panel.kind == "table":
            draw_table(page, panel, box, prometheus, end)
        elif not series:
            page.write(x + 0.35, y + 2, "in a cluster alone", 8, DIM)
        elif panel.kind == "timeseries":
            draw_lines(page, panel, box, series, math.floor(begin), end)
        else:
            draw_value(page, panel, box, series)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.figure.savefig(path, facecolor=PAGE, pil_kwargs={"optimize": True})
    plt.close(page.figure)
