"""Search through space, time and energy over the places of a route graph.

More energy at the same place and time is never worse, so a state is a place and a time, and its
label the most energy that can be there. Labels are made in the order of time. A label that
another, waiting at the same place, has caught up with by then is dropped; so every place keeps
what a Pareto front of arrival time and energy would.

Vehicles leave as soon as they arrive or when a step of time begins. Where standing charges, a
departure in between could be better by less than a step; everything else is exact.

A label with which the vehicle could not live on is never made; ``route_survive`` says which.

Reference: Hansen 1980 (label setting for two criteria).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ilrs_robots.core.planning.route_kernels import more
from ilrs_robots.core.planning.route_survive import NEVER, pop_least, sift_up, stored

Pack = tuple[Any, ...]
"""Arrays and numbers that go together; ``search`` says which."""


@njit(cache=True, nogil=True, error_model="numpy")
def _drive(
    e: int, t: float, end: float, wh: float, k: int, wheels_w: float, hotel_w: float,
    step_s: float, driving_w10: np.ndarray, cell: np.ndarray,
) -> tuple[float, int]:  # fmt: skip
    """Energy at the end of a drive, below 0 where it cannot be made, and the step of time."""
    if end < (k + 1) * step_s:
        left = stored(wh, driving_w10[k, e] / 10.0 - hotel_w - wheels_w, end - t, cell)
        return (left if left >= cell[1] else -1.0), k
    here, left, step = t, wh, k
    while here < end and step < driving_w10.shape[0]:
        until = min(end, (step + 1) * step_s)
        left = stored(left, driving_w10[step, e] / 10.0 - hotel_w - wheels_w, until - here, cell)
        here = until
        if left < cell[1]:
            break
        if here < end or here == (step + 1) * step_s:
            step += 1
    if here < end or step >= driving_w10.shape[0] or left < cell[1]:
        left = -1.0
    return left, step


@njit(cache=True, nogil=True, error_model="numpy")
def _expand(
    own: int, at: int, t: float, wh: float, k: int, until_s: float, gain_wh: float,
    graph: Pack, light: Pack, limits: Pack, waiting: Pack, pool: Pack, cell: np.ndarray,
    used: int, count: int,
) -> tuple[int, int]:  # fmt: skip
    """Make the labels that a label leads to; there is room for them. Labels and heap's size."""
    first, to, time_s, wheels_w = graph
    standing_w, driving_w10, step_s, hotel_w = light
    need, onward, latest, way_latest = limits
    now, now_s, now_wh, due_s, due_wh = waiting
    node, way, parent, when, has, heap, where = pool
    for e in range(first[at], first[at + 1]):
        v = to[e]
        end = t + time_s[e]
        if end > until_s or end > way_latest[e] or end > latest[v]:
            continue
        left, step = _drive(e, t, end, wh, k, wheels_w[e], hotel_w, step_s, driving_w10, cell)
        if left < 0.0:
            continue
        if step == k:  # caught up with by who waits there, or by a label on its way
            power = standing_w[k, v]
            if now[v] >= 0 and left <= gain_wh + stored(now_wh[v], power, end - now_s[v], cell):
                continue
            if due_s[v] <= end and left <= gain_wh + stored(
                due_wh[v], power, end - due_s[v], cell
            ):
                continue
        kept = stored(left, standing_w[step, v], (step + 1) * step_s - end, cell)
        if kept < need[step + 1, v] and left < onward[step, v]:
            continue
        if step == k and left >= due_wh[v]:
            due_s[v], due_wh[v] = end, left
        node[used], way[used], parent[used] = v, e, own
        when[used], has[used] = end, left
        heap[count], where[used] = used, count
        sift_up(heap, where, when, count)
        count += 1
        used += 1
    return used, count


@njit(cache=True, nogil=True, error_model="numpy")
def _pass(k: int, light: Pack, limits: Pack, waiting: Pack, cell: np.ndarray) -> None:
    """Who waits goes on to the end of a step; who should have left by then is no more."""
    standing_w, step_s = light[0], light[2]
    now, now_s, now_wh, due_s, due_wh = waiting
    t1 = (k + 1) * step_s
    for n in range(now.size):
        due_s[n], due_wh[n] = NEVER, 0.0
        if now[n] >= 0:
            now_wh[n] = stored(now_wh[n], standing_w[k, n], t1 - now_s[n], cell)
            now_s[n] = t1
            if now_wh[n] < max(cell[1], limits[0][k + 1, n]) or t1 > limits[2][n]:
                now[n] = -1


@njit(cache=True, nogil=True, error_model="numpy")
def _wider(pool: Pack) -> Pack:
    """The same labels with twice the room."""
    node, way, parent, when, has, heap, where = pool
    return more(node), more(way), more(parent), more(when), more(has), more(heap), more(where)


@njit(cache=True, nogil=True, error_model="numpy")
def _empty(places: int) -> Pack:
    """Room for labels: node, way, parent, time, energy, heap, place in the heap."""
    room = 4 * places + 1024
    return (
        np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32),
        np.empty(room), np.empty(room, np.float32), np.empty(room, np.int64),
        np.empty(room, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def search(
    graph: Pack, light: Pack, limits: Pack, cell: np.ndarray, ends: Pack, energy: float,
    value_s: float, gain_wh: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Labels from a place, a step of time and an energy on, until the goal is best reached.

    Args:
        graph: ways out of each place (N + 1,), their ends (M,), seconds (M,), W of the wheels
            (M,).
        light: net W of standing (K, N), income of driving in tenths of a watt (K, M), seconds of
            a step, W of constant loads.
        limits: ``need`` and ``onward`` of ``survive``, seconds until which a place may be stood
            at (N,) and a way be driven (M,).
        cell: of ``stored``.
        ends: step at whose begin it starts, start, goal or -1 to fill everything.
        energy: Wh at the start.
        value_s: delay that a full battery at the goal is worth, beside one that came earlier and
            was charged there since if it is lit; 0 takes the first arrival.
        gain_wh: a later label must have this much more.

    Returns:
        node, time, energy, parent and way of every label (label 0 is the start), and (1 + N,):
        the best label at the goal or -1, then the first label at each place or -1.
    """
    first, (standing_w, step_s) = graph[0], (light[0], light[2])
    from_step, start, goal = ends
    places, last, begin = first.size - 1, standing_w.shape[0], from_step * step_s
    pool, waiting = _empty(places), (
        np.full(places, -1, np.int64), np.zeros(places), np.zeros(places),
        np.full(places, NEVER), np.zeros(places),
    )  # fmt: skip
    now, now_s, now_wh = waiting[0], waiting[1], waiting[2]
    marks = np.full(1 + places, -1, np.int64)
    pool[0][0], pool[1][0], pool[2][0], pool[3][0], pool[4][0] = start, -1, -1, begin, energy
    best_s, best_wh, held_s, used, count = NEVER, 0.0, begin, 1, 0
    if from_step < last and energy >= limits[0][from_step, start] and begin <= limits[2][start]:
        now[start], now_s[start], now_wh[start], marks[1 + start] = 0, begin, energy, 0
        if start == goal:
            marks[0], best_s, best_wh, last = 0, begin, energy, from_step
    else:
        last = from_step
    for k in range(from_step, last):
        t1, n = (k + 1) * step_s, 0
        until_s = best_s + value_s * (1.0 - best_wh / cell[0])
        if k * step_s > until_s:
            break
        while n < places or (count > 0 and pool[3][pool[5][0]] < t1):
            if n < places:  # first every place that waits, then what arrives in the step
                own, at, t, wh = now[n], n, k * step_s, now_wh[n]
                n += 1
                if own < 0:
                    continue
            else:
                own = pop_least(pool[5], pool[6], pool[3], count)
                count -= 1
                at, t, wh = pool[0][own], pool[3][own], float(pool[4][own])
                if now[at] >= 0 and wh <= gain_wh + stored(
                    now_wh[at], standing_w[k, at], t - now_s[at], cell
                ):
                    continue
                now[at], now_s[at], now_wh[at] = own, t, wh
                marks[1 + at] = own if marks[1 + at] < 0 else marks[1 + at]
                if at == goal:
                    power = max(standing_w[k, at], 0.0)
                    best_wh, held_s = stored(best_wh, power, t - held_s, cell), t
                    if marks[0] < 0 or value_s * (wh - best_wh) / cell[0] > t - best_s:
                        marks[0], best_s, best_wh = own, t, wh
                    until_s = best_s + value_s * (1.0 - best_wh / cell[0])
            if used + first[at + 1] - first[at] > pool[0].size:
                pool = _wider(pool)
            used, count = _expand(
                own, at, t, wh, k, until_s, gain_wh, graph, light, limits, waiting, pool, cell,
                used, count,
            )  # fmt: skip
        _pass(k, light, limits, waiting, cell)
        if marks[0] >= 0:
            power = max(standing_w[k, goal], 0.0)
            best_wh, held_s = stored(best_wh, power, t1 - held_s, cell), t1
    node, way, parent, when, has = pool[0], pool[1], pool[2], pool[3], pool[4]
    return node[:used], when[:used], has[:used], parent[:used], way[:used], marks
