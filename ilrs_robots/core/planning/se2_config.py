"""Parameters of local planning in SE(2), and the moves that it puts together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.planning.disc_checks import MOST_COST
from ilrs_robots.core.types import FloatArray, IntArray


@dataclass(frozen=True)
class Se2Config:
    """Kinematics, footprint margin, what is paid for, and how long is searched."""

    headings: int = param(32, doc="headings of the search", low=8, high=128)
    cell_m: float = param(0.25, doc="places nearer than this are one", unit="m", low=0.02, high=5)
    min_radius_m: float = param(1.5, doc="of arcs", unit="m", low=0.05, high=100.0)
    straight_m: float = param(0.4, doc="length of a straight move", unit="m", low=0.05, high=10.0)
    sample_m: float = param(
        0.15, doc="distance between checked poses", unit="m", low=0.01, high=2.0
    )
    turn_in_place: bool = param(True, doc="whether the vehicle turns where it stands")
    turn_m_per_rad: float = param(
        2.0, doc="what turning in place by a radian is worth", unit="m/rad", low=0.0, high=100.0
    )
    reverse: bool = param(True, doc="whether the vehicle may drive backwards")
    reverse_factor: float = param(3.0, doc="cost of a metre backwards", low=1.0, high=100.0)
    bend_m_per_rad: float = param(
        0.1, doc="what a bend of a radian is worth while driving", unit="m/rad", low=0.0, high=10
    )
    cost_weight: float = param(
        2.0, doc="a metre costs 1 + weight * cost / (1 - cost)", low=0.0, high=100.0
    )
    lethal_cost: float = param(0.99, doc="cost from which a cell is closed", low=0.1, high=1.0)
    margin_m: float = param(
        0.0, doc="kept between footprint and closed ground", unit="m", low=0.0, high=5.0
    )
    near_cost: float = param(0.5, doc="cost with closed ground at hand", low=0.0, high=0.95)
    near_m: float = param(
        0.5, doc="distance over which that falls by e", unit="m", low=0.01, high=10.0
    )
    attitude_weight: float = param(
        1.0, doc="a metre at the limit of roll or pitch costs so much more", low=0.0, high=100.0
    )
    max_roll_rad: float = param(0.45, doc="predicted roll", unit="rad", low=0.01, high=1.5)
    max_pitch_rad: float = param(0.45, doc="predicted pitch", unit="rad", low=0.01, high=1.5)
    belly_margin_m: float = param(0.03, doc="kept under the body", unit="m", low=0.0, high=1.0)
    escape_m: float = param(
        2.5, doc="within it a vehicle may leave closed ground", unit="m", low=0.0, high=50.0
    )
    goal_tolerance_m: float = param(
        3.0, doc="how far from the goal a partial path may end", unit="m", low=0.0, high=100.0
    )
    shot_m: float = param(
        3.0, doc="within it the goal is aimed at straight", unit="m", low=0.0, high=100.0
    )
    coarseness: int = param(3, doc="cells along one cell of the heuristic", low=1, high=16)
    greed: float = param(1.4, doc="weight of the heuristic, 1 is nearly exact", low=0.0, high=10)
    max_nodes: int = param(120_000, doc="poses looked at", low=100, high=10_000_000)
    keep_share: float = param(
        0.05, doc="share by which the last path may be dearer and stay", low=0.0, high=10.0
    )
    change_share: float = param(
        0.05, doc="share by which a cell's cost may change unnoticed", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


class Moves(NamedTuple):
    """Moves from a pose; places in its own frame, turns in whole headings."""

    turn: IntArray
    """(P,) headings by which it turns."""
    samples: IntArray
    """(P,) samples along it; the last is its end."""
    place: FloatArray
    """(P, S, 3) x, y (m) and turn (rad) of each sample."""
    step: FloatArray
    """(P,) metres between two samples; 0 for turning in place."""
    factor: FloatArray
    """(P,) cost of a metre."""
    extra: FloatArray
    """(P,) metres that the move costs besides its way."""


class Se2Table(NamedTuple):
    """Parameters as kernels take them."""

    headings: int
    cell: float
    weight: float
    lethal: float
    closed: float
    """What a cell of that cost is worth, c / (1 - c)."""
    margin: float
    near_cost: float
    near: float
    attitude_weight: float
    tan_roll: float
    tan_pitch: float
    belly_margin: float
    escape: float
    shot: float
    greed: float
    turn_m_per_rad: float
    turns: bool
    max_nodes: int
    sample: float
    reverse_factor: float


def table_of(settings: Se2Config) -> Se2Table:
    """Parameters as kernels take them."""
    closed = min(settings.lethal_cost, MOST_COST)
    return Se2Table(
        settings.headings,
        settings.cell_m,
        settings.cost_weight,
        settings.lethal_cost,
        closed / (1.0 - closed),
        settings.margin_m,
        settings.near_cost,
        settings.near_m,
        settings.attitude_weight,
        math.tan(settings.max_roll_rad),
        math.tan(settings.max_pitch_rad),
        settings.belly_margin_m,
        settings.escape_m,
        settings.shot_m,
        settings.greed,
        settings.turn_m_per_rad,
        settings.turn_in_place,
        settings.max_nodes,
        settings.sample_m,
        settings.reverse_factor,
    )


def moves_of(settings: Se2Config) -> Moves:
    """Straight, two arcs to either side, backwards, and turning in place."""
    part = 2.0 * math.pi / settings.headings
    tight, wide = 1.0 / settings.min_radius_m, 0.5 / settings.min_radius_m
    kinds = [(settings.straight_m, 0.0, 1.0)]
    for curvature in (tight, wide):
        kinds += [(part / curvature, sign * curvature, 1.0) for sign in (1.0, -1.0)]
    if settings.reverse:
        back = settings.reverse_factor
        kinds.append((-settings.straight_m, 0.0, back))
        kinds += [(-part / tight, sign * tight, back) for sign in (1.0, -1.0)]
    counts = [max(math.ceil(abs(length) / settings.sample_m), 1) for length, _, _ in kinds]
    if settings.turn_in_place:
        counts += [1, 1]
    size = len(counts)
    place = np.zeros((size, max(counts), 3))
    turn, step = np.zeros(size, np.int64), np.zeros(size)
    factor, extra = np.ones(size), np.zeros(size)
    for n, (length, curvature, price) in enumerate(kinds):
        way = length * np.arange(1, counts[n] + 1) / counts[n]
        angle = way * curvature
        straight = abs(curvature) < 1e-9
        radius = 0.0 if straight else 1.0 / curvature
        place[n, : counts[n], 0] = way if straight else radius * np.sin(angle)
        place[n, : counts[n], 1] = 0.0 if straight else radius * (1.0 - np.cos(angle))
        place[n, : counts[n], 2] = angle
        turn[n] = round(angle[-1] / part)
        step[n], factor[n] = abs(length) / counts[n], price
        extra[n] = settings.bend_m_per_rad * abs(angle[-1])
    for n, sign in zip(range(len(kinds), size), (1, -1), strict=False):
        turn[n], place[n, 0, 2] = sign, sign * part
        extra[n] = settings.turn_m_per_rad * part
    return Moves(turn, np.array(counts, np.int64), place, step, factor, extra)
