"""The texts of the panel: gauges, timeline and log as HTML. Everything from outside is escaped."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from html import escape
from typing import Final

from ilrs_robots.robots.view_state import ERROR, INFO, EventView, SiteView, TaskView, VehicleView
from ilrs_robots.view.sunlit_ground import Sun
from ilrs_robots.view.vehicle_scene import SILENT_S

GOOD, AMBER, RED, DIM, BLUE = "#5fd38a", "#f2b84b", "#f0614f", "#8b949e", "#6cb6ff"
TASK_COLOURS: Final = {
    "waiting": DIM, "running": BLUE, "done": GOOD, "failed": RED, "dropped": AMBER,
}  # fmt: skip
LINES: Final = 40
_FONT: Final = "font:12px/1.45 ui-sans-serif,system-ui,sans-serif;"


def page_html(body: str) -> str:
    """A block in the panel's font."""
    return f'<div style="{_FONT}padding:2px 12px 6px 12px">{body}</div>'


def heading_html(site: str, epoch: datetime, state: SiteView, sun: Sun | None) -> str:
    """Site, mission time, how the clock goes, where the Sun stands."""
    if math.isfinite(state.time_s):
        utc = f"{epoch + timedelta(seconds=state.time_s):%Y-%m-%d %H:%M:%S} UTC"
        when = f"T+{clock_text(state.time_s)}"
    else:
        utc, when = "no clock yet", ""
    height = "" if sun is None else (
        f"Sun {math.degrees(sun.elevation_rad):+.2f}&deg; high, "
        f"yaw {math.degrees(sun.yaw_rad) % 360.0:.0f}&deg;")  # fmt: skip
    paused = _chip("paused", AMBER) if state.paused else ""
    return page_html(
        f'<div style="display:flex;justify-content:space-between"><b>{escape(site)}</b>'
        f'<span style="color:{DIM}">{when} {paused}</span></div>'
        f'<div style="font-size:15px;font-variant-numeric:tabular-nums">{utc}</div>'
        f'<div style="color:{DIM}">{height}<br>{escape(state.clock)}</div>'
    )


def vehicle_html(view: VehicleView, colour: tuple[int, int, int], reserve: float) -> str:
    """One vehicle's gauges.

    Args:
        view: the vehicle.
        colour: of its lines, sRGB.
        reserve: charge below which it goes nowhere, 0 to 1.
    """
    silent = view.silent_s > SILENT_S or math.isnan(view.last_heard_s)
    dot = "#{:02x}{:02x}{:02x}".format(*colour)
    if math.isnan(view.last_heard_s):
        word = _chip("not heard yet", DIM)
    elif silent:
        word = _chip(f"silent since T+{clock_text(view.last_heard_s)}", RED)
    else:
        word = _chip(("ok", "warning", "error")[view.health], (GOOD, AMBER, RED)[view.health])
    linked = {None: ("unknown", DIM), True: ("linked", GOOD), False: ("no link", RED)}[view.linked]
    low = view.charge < reserve + 0.1
    rows = [
        _bar("battery", view.charge, f"{100.0 * view.charge:.0f} %", RED if low else GOOD),
        _text("power", _number(view.battery_w, "{:+.0f} W in battery")
              + _number(view.sources_w, ", {:.0f} W from sources")),
        _bar("light", view.sun_share, f"{100.0 * view.sun_share:.0f} % of the Sun", AMBER),
        _text("box", _number(view.box_c, "{:.0f} &deg;C")),
        _text("speed", _number(view.speed_mps, "{:.2f} m/s")),
        _text("link", f'<span style="color:{linked[1]}">{linked[0]}</span> {escape(view.link)}'),
    ]  # fmt: skip
    notes = [text for text in (view.sentence if view.health > INFO else "", view.goal) if text]
    more = "".join(f'<div style="color:{DIM}">{escape(text)}</div>' for text in notes)
    fade = "opacity:.45;" if silent else ""
    return page_html(
        f'<div style="display:flex;justify-content:space-between;margin-bottom:3px">'
        f'<span><span style="color:{dot}">&#9679;</span> <b>{escape(view.name)}</b></span>{word}'
        f'</div><div style="{fade}">{"".join(rows)}{more}</div>'
    )


def timeline_html(state: SiteView) -> str:
    """The mission's tasks along mission time."""
    if not state.tasks:
        return page_html(f'<span style="color:{DIM}">no mission runs; goals by hand</span>')
    ended = [t for task in state.tasks for t in (task.began_s, task.ended_s) if math.isfinite(t)]
    now_s = state.time_s if math.isfinite(state.time_s) else 0.0
    span = max(60.0, now_s, *ended) if ended else max(60.0, now_s)
    head = (
        f'<b>{escape(state.mission)}</b> <span style="color:{DIM}">{escape(state.summary)}</span>'
    )
    return page_html(head + "".join(_task(task, now_s, span) for task in state.tasks))


def log_html(events: tuple[EventView, ...]) -> str:
    """The newest events, the newest first."""
    if not events:
        return page_html(f'<span style="color:{DIM}">nothing yet</span>')
    rows = "".join(
        f'<div style="display:flex;gap:6px"><span style="color:{DIM};white-space:nowrap">'
        f"T+{clock_text(e.time_s)}</span>"
        f'<span><span style="color:{_level(e.level)}">{escape(e.source)}</span> '
        f"{escape(e.sentence)}</span></div>"
        for e in reversed(events[-LINES:])
    )
    return page_html(f'<div style="max-height:260px;overflow-y:auto">{rows}</div>')


def clock_text(time_s: float) -> str:
    """Days, hours, minutes, seconds; as many as it takes."""
    if not math.isfinite(time_s):
        return "?"
    sign, whole = ("-" if time_s < 0.0 else ""), int(abs(time_s))
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    return f"{sign}{f'{days} d ' if days else ''}{hours:02d}:{minutes:02d}:{whole % 60:02d}"


def _task(task: TaskView, now_s: float, span_s: float) -> str:
    colour = TASK_COLOURS.get(task.state, DIM)
    began = task.began_s if math.isfinite(task.began_s) else now_s
    ended = task.ended_s if math.isfinite(task.ended_s) else now_s
    left, wide = 100.0 * began / span_s, 100.0 * max(0.0, ended - began) / span_s
    shown = "" if math.isnan(task.began_s) else (
        f'<div style="position:absolute;left:{left:.1f}%;width:{max(wide, 0.8):.1f}%;top:0;'
        f'bottom:0;background:{colour};border-radius:2px"></div>')  # fmt: skip
    tip = escape(task.sentence, quote=True)
    return (
        f'<div title="{tip}" style="display:grid;grid-template-columns:42% 1fr 62px;gap:6px;'
        f'align-items:center"><span style="overflow:hidden;text-overflow:ellipsis;'
        f'white-space:nowrap">{escape(task.name)}</span>'
        f'<div style="position:relative;height:7px;background:#8884;border-radius:2px">{shown}'
        f'</div><span style="color:{colour}">{escape(task.state)}</span></div>'
    )


def _bar(label: str, share: float, text: str, colour: str) -> str:
    known = math.isfinite(share)
    wide = 100.0 * min(1.0, max(0.0, share)) if known else 0.0
    bar = (
        f'<div style="flex:1;height:7px;background:#8884;border-radius:2px">'
        f'<div style="width:{wide:.0f}%;height:100%;background:{colour};border-radius:2px">'
        f"</div></div>"
    )
    return _row(label, f"{bar}<span>{text if known else 'unknown'}</span>")


def _text(label: str, text: str) -> str:
    return _row(label, f"<span>{text or 'unknown'}</span>")


def _row(label: str, content: str) -> str:
    return (
        f'<div style="display:flex;gap:8px;align-items:center"><span style="width:52px;'
        f'color:{DIM}">{label}</span>{content}</div>'
    )


def _number(value: float, form: str) -> str:
    return form.format(value) if math.isfinite(value) else ""


def _chip(text: str, colour: str) -> str:
    return (
        f'<span style="color:{colour};border:1px solid {colour};border-radius:8px;'
        f'padding:0 6px;font-size:11px">{escape(text)}</span>'
    )


def _level(level: int) -> str:
    return (BLUE, AMBER, RED)[min(max(level, INFO), ERROR)]
