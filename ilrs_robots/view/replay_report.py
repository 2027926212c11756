"""The page of a replay: verdict, numbers against their reference, path, map, flags."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ilrs_robots.replay.flags import FLAGS
from ilrs_robots.replay.reference import Comparison
from ilrs_robots.replay.run import Replay
from ilrs_robots.view import style
from ilrs_robots.view.report_html import CSS

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_replay_report(
    out: Path,
    name: str,
    replay: Replay,
    content: dict[str, Any],
    rows: Sequence[Comparison],
    failures: Sequence[str],
) -> Path:
    """Write ``report.html`` and its pictures.

    Args:
        out: folder.
        name: of the case.
        replay: what came of it.
        content: of metrics.json.
        rows: comparison with the reference, empty without one.
        failures: why the verdict is bad; empty when it is not.

    Returns:
        the page's path.
    """
    pictures = []
    with style.drawing():
        for file, title, figure in _figures(replay):
            style.save(figure, out / file)
            pictures.append((file, title))
    target = out / "report.html"
    target.write_text(_page(name, content, rows, failures, pictures), encoding="utf-8")
    return target


def _figures(replay: Replay) -> list[tuple[str, str, Figure]]:
    made = []
    segment = replay.segment
    if segment is not None and len(segment.poses) > 1:
        made.append(("trajectory.png", "Where it drove", _trajectory(replay)))
    for file, title, saved in (
        ("map.png", "The map at the end", replay.saved),
        ("recorded_map.png", "The map in the recording", replay.recorded_map),
    ):
        if saved is not None:
            elevation = saved.layers.get("elevation", next(iter(saved.layers.values())))
            made.append((file, title, _map(elevation, saved.spec)))
    if replay.flags:
        made.append(("flags.png", "What the robot said was wrong", _flags(replay.flags)))
    return made


def _trajectory(replay: Replay) -> Figure:
    segment = replay.segment
    assert segment is not None
    figure = style.new_figure(8.0, 5.0)
    axes = figure.add_subplot()
    if len(segment.truth):
        axes.plot(*segment.truth.positions_m[:, :2].T, color="0.6", lw=3, label="true")
    axes.plot(*segment.poses.positions_m[:, :2].T, lw=1.4, label="recomputed")
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend()
    return figure


def _map(elevation: Any, spec: Any) -> Figure:
    figure = style.new_figure(7.0, 5.6)
    axes = figure.add_subplot()
    shown = np.ma.masked_invalid(elevation)
    image = axes.imshow(shown, origin="lower", extent=style.extent_of(spec), cmap="viridis")
    figure.colorbar(image, ax=axes, label="height [m]")
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    return figure


def _flags(flags: dict[str, list[tuple[float, float]]]) -> Figure:
    figure = style.new_figure(8.0, 0.8 + 0.4 * len(flags))
    axes = figure.add_subplot()
    for row, (name, spans) in enumerate(flags.items()):
        axes.broken_barh([(a, max(b - a, 0.05)) for a, b in spans], (row - 0.35, 0.7))
        axes.text(0.0, row, f"{name} ", ha="right", va="center")
    axes.set_yticks([])
    axes.set_ylim(len(flags) - 0.4, -0.6)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("time since the first message [s]")
    return figure


def _page(
    name: str,
    content: dict[str, Any],
    rows: Sequence[Comparison],
    failures: Sequence[str],
    pictures: Sequence[tuple[str, str]],
) -> str:
    kind, word = ("no", "Outside") if failures else ("yes", "In order")
    said = " ".join(f"{_e(f)}." for f in failures) or (
        "Every metric is within its tolerance." if rows else "Nothing was compared."
    )
    body = [
        f'<header><p class="kind">Replay of a recorded drive</p><h1>{_e(name)}</h1></header>',
        f'<div class="verdict {kind}"><b>{word}</b><span>{said}</span></div>',
        _numbers(content["metrics"], rows),
        *(
            f'<section><h2>{_e(title)}</h2><figure class="narrow"><img src="{_e(file)}" '
            f'alt="{_e(title)}"></figure></section>'
            for file, title in pictures
        ),
        _told(content),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Replay: {_e(name)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _numbers(metrics: dict[str, float], rows: Sequence[Comparison]) -> str:
    lines = ""
    if rows:
        head = "<tr><th>metric</th><th>value</th><th>reference</th><th>allowed</th><th></th></tr>"
        for row in rows:
            cells = ("" if v is None else f"{v:g}" for v in (row.value, row.reference))
            lines += f"<tr><td>{_e(row.metric)}</td>"
            lines += "".join(f'<td class="v">{cell}</td>' for cell in cells)
            lines += f'<td class="v">{row.allowed:.3g}</td><td>{row.verdict}</td></tr>'
    else:
        head = "<tr><th>metric</th><th>value</th></tr>"
        for key, value in metrics.items():
            lines += f'<tr><td>{_e(key)}</td><td class="v">{value:g}</td></tr>'
    return f"<section><h2>Numbers</h2><table>{head}{lines}</table></section>"


def _told(content: dict[str, Any]) -> str:
    """Flags in words, and what was found on reading."""
    items = [
        f"<li><b>{_e(flag)}</b>: {_e(FLAGS[flag])}; "
        + ", ".join(f"{a:g} to {b:g} s" for a, b in spans)
        + "</li>"
        for flag, spans in content["flags"].items()
    ]
    for key, value in content["reading"].items():
        if isinstance(value, dict):
            value = ", ".join(f"{topic}: {n}" for topic, n in value.items())
        if isinstance(value, list):
            value = "; ".join(value)
        if value:
            items.append(f"<li>{_e(key.replace('_', ' '))}: {_e(value)}</li>")
    return f"<section><h2>What else was noticed</h2><ul>{''.join(items)}</ul></section>"


def _e(text: object) -> str:
    return html.escape(str(text))
