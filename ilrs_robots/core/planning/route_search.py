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

import numpy as np
from numba import njit

from ilrs_robots.core.planning.route_kernels import more
from ilrs_robots.core.planning.route_survive import NEVER, pop_least, sift_up, stored


@njit(cache=True, nogil=True, error_model="numpy")
def search(
    first: np.ndarray, to: np.ndarray, time_s: np.ndarray, wheels_w: np.ndarray, hotel_w: float,
    standing_w: np.ndarray, driving_w10: np.ndarray, step_s: float, cell: np.ndarray,
    need: np.ndarray, onward: np.ndarray, latest: np.ndarray, way_latest: np.ndarray,
    from_step: int, start: int, goal: int, energy: float, value_s: float, gain_wh: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Labels from a place, a step of time and an energy on, until the goal is best reached.

    Args:
        first: (N + 1,) ways out of each place.
        to: (M,) their ends.
        time_s: (M,).
        wheels_w: (M,) power of the wheels while driving.
        hotel_w: constant loads.
        standing_w: (K, N) net power of standing.
        driving_w10: (K, M) income of driving, tenths of a watt.
        step_s: of time.
        cell: of ``stored``.
        need: (K + 1, N) of ``survive``.
        onward: (K, N) likewise.
        latest: (N,) seconds until which a place may be stood at.
        way_latest: (M,) seconds until which a way may be driven.
        from_step: at whose begin it starts.
        start: place.
        goal: place, or -1 to fill everything.
        energy: Wh at the start.
        value_s: delay that a full battery at the goal is worth, beside one that came earlier and
            was charged there since if it is lit; 0 takes the first arrival.
        gain_wh: a later label must have this much more.

    Returns:
        node, time, energy, parent and way of every label (label 0 is the start), and (1 + N,):
        the best label at the goal or -1, then the first label at each place or -1.
    """
    places, last = first.size - 1, standing_w.shape[0]
    room = 4 * places + 1024
    node, way = np.empty(room, np.int32), np.empty(room, np.int32)
    parent = np.empty(room, np.int32)
    when, has = np.empty(room), np.empty(room, np.float32)
    heap, where = np.empty(room, np.int64), np.empty(room, np.int64)
    now = np.full(places, -1, np.int64)
    now_s, now_wh = np.zeros(places), np.zeros(places)
    due_s, due_wh = np.empty(places), np.empty(places)
    marks = np.full(1 + places, -1, np.int64)
    best_s, best_wh, held_s, used, count = NEVER, 0.0, 0.0, 1, 0
    begin = from_step * step_s
    node[0], way[0], parent[0], when[0], has[0], where[0] = start, -1, -1, begin, energy, -1
    ends = last
    if from_step >= last or energy < need[from_step, start] or begin > latest[start]:
        ends = from_step
    else:
        now[start], now_s[start], now_wh[start] = 0, begin, energy
        marks[1 + start] = 0
        if start == goal:
            marks[0] = 0
            ends = from_step
    for k in range(from_step, ends):
        t0, t1 = k * step_s, (k + 1) * step_s
        if marks[0] >= 0 and t0 - best_s > value_s * (1.0 - best_wh / cell[0]):
            break
        if marks[0] >= 0 and value_s <= 0.0:
            break
        for n in range(places):
            due_s[n], due_wh[n] = NEVER, 0.0
        turn, n = 0, 0  # first every place that waits, then what arrives in the step
        while True:
            if turn == 0:
                if n == places:
                    turn = 1
                    continue
                at, t, wh, own = n, t0, now_wh[n], now[n]
                n += 1
                if own < 0:
                    continue
            else:
                if count == 0 or when[heap[0]] >= t1:
                    break
                own = pop_least(heap, where, when, count)
                count -= 1
                at, t, wh = node[own], when[own], float(has[own])
                if now[at] >= 0:
                    held = stored(now_wh[at], standing_w[k, at], t - now_s[at], cell)
                    if wh <= held + gain_wh:
                        continue
                now[at], now_s[at], now_wh[at] = own, t, wh
                if marks[1 + at] < 0:
                    marks[1 + at] = own
                if at == goal:
                    if marks[0] >= 0:
                        best_wh = stored(best_wh, max(standing_w[k, at], 0.0), t - held_s, cell)
                        held_s = t
                    if marks[0] < 0 or value_s * (wh - best_wh) / cell[0] > t - best_s:
                        marks[0], best_s, best_wh, held_s = own, t, wh, t
                    if value_s <= 0.0:
                        break
            for e in range(first[at], first[at + 1]):
                v, end = to[e], t + time_s[e]
                step, here, left = k, t, wh
                while here < end and step < last:
                    until = min(end, (step + 1) * step_s)
                    net = driving_w10[step, e] / 10.0 - hotel_w - wheels_w[e]
                    left = stored(left, net, until - here, cell)
                    here = until
                    if left < cell[1]:
                        break
                    if here < end or here == (step + 1) * step_s:
                        step += 1
                if here < end or step >= last or left < cell[1] or end > way_latest[e]:
                    continue
                if end < t1:  # caught up with by who waits there, or by a label on its way
                    power = standing_w[k, v]
                    if now[v] >= 0 and left <= gain_wh + stored(
                        now_wh[v], power, end - now_s[v], cell
                    ):
                        continue
                    if due_s[v] <= end and left <= gain_wh + stored(
                        due_wh[v], power, end - due_s[v], cell
                    ):
                        continue
                kept = stored(left, standing_w[step, v], (step + 1) * step_s - end, cell)
                if (kept < need[step + 1, v] and left < onward[step, v]) or end > latest[v]:
                    continue
                if marks[0] >= 0 and end - best_s > value_s * (1.0 - best_wh / cell[0]):
                    continue
                if end < t1 and left >= due_wh[v]:
                    due_s[v], due_wh[v] = end, left
                if used == node.size:
                    node, way, parent = more(node), more(way), more(parent)
                    when, has = more(when), more(has)
                    heap, where = more(heap), more(where)
                node[used], way[used], parent[used] = v, e, own
                when[used], has[used] = end, left
                heap[count] = used
                where[used] = count
                sift_up(heap, where, when, count)
                count += 1
                used += 1
        if marks[0] >= 0:
            best_wh = stored(best_wh, max(standing_w[k, goal], 0.0), t1 - held_s, cell)
            held_s = t1
        for n in range(places):
            if now[n] >= 0:
                now_wh[n] = stored(now_wh[n], standing_w[k, n], t1 - now_s[n], cell)
                now_s[n] = t1
                if now_wh[n] < max(cell[1], need[k + 1, n]) or t1 > latest[n]:
                    now[n] = -1
    return node[:used], when[:used], has[:used], parent[:used], way[:used], marks
