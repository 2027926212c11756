"""Search through space, time and energy over the places of a route graph.

More energy at the same place and time is never worse, so a state is a place and a time, and its
label the most energy that can be there. Labels are made in the order of time. A label that
another, waiting at the same place, has caught up with by then is dropped; so every place keeps
what a Pareto front of arrival time and energy would.

Vehicles leave as soon as they arrive or when a step of time begins. Where standing charges, a
departure in between could be better by less than a step; everything else is exact.

Before that a pass backwards in time finds the least energy with which a place can be survived
until the light maps end: by standing, or by driving straight on within a step's length to where
it can stand. A label that has neither is never made. The pass counts every drive at the darker of
the two steps that it may fall into, and no income where it stands after a drive until the next
step, so what it asks for is never too little.

References: Hansen 1980 (label setting for two criteria); Otten, Jones, Wettergreen and Whittaker
2015, ICRA (pruning what leads to no lit place).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from ilrs_robots.core.planning.route_kernels import more

NEVER: Final = 1e30
"""Energy that nobody has, time that never comes."""


@njit(cache=True, nogil=True, error_model="numpy")
def stored(energy: float, power: float, dt: float, cell: np.ndarray) -> float:
    """Energy in the battery, Wh, after a time with a power on the bus.

    Args:
        energy: Wh before.
        power: W, sources less loads.
        dt: seconds.
        cell: (5,) capacity Wh, floor Wh, largest charging W, charge and discharge efficiency.
    """
    if power >= 0.0:
        filled: float = min(energy + min(power, cell[2]) * cell[3] * dt / 3600.0, cell[0])
        return filled
    drained: float = energy + power / cell[4] * dt / 3600.0
    return drained


@njit(cache=True, nogil=True, error_model="numpy")
def _up(heap, where, key, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    item = heap[at]
    while at > 0:
        above = (at - 1) >> 1
        if key[heap[above]] <= key[item]:
            break
        heap[at] = heap[above]
        where[heap[at]] = at
        at = above
    heap[at] = item
    where[item] = at


@njit(cache=True, nogil=True, error_model="numpy")
def _pop(heap, where, key, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Take the least out; the heap then holds count - 1."""
    top = heap[0]
    where[top] = -1
    last = heap[count - 1]
    count -= 1
    at = 0
    while count > 0:
        below = 2 * at + 1
        if below >= count:
            break
        if below + 1 < count and key[heap[below + 1]] < key[heap[below]]:
            below += 1
        if key[heap[below]] >= key[last]:
            break
        heap[at] = heap[below]
        where[heap[at]] = at
        at = below
    if count > 0:
        heap[at] = last
        where[last] = at
    return top


@njit(cache=True, nogil=True, error_model="numpy")
def _settle(
    need: np.ndarray, spent: np.ndarray, out: np.ndarray, to: np.ndarray, first: np.ndarray,
    origin: np.ndarray, way: np.ndarray, cost: np.ndarray, time_s: np.ndarray, most_s: float,
    heap: np.ndarray, where: np.ndarray,
) -> None:  # fmt: skip
    """Dijkstra backwards: least need over drives of at most a step to where it is known."""
    count = 0
    for u in range(need.size):  # once over every way out, then from what got better
        for e in range(out[u], out[u + 1]):
            v = to[e]
            reach = need[v] + cost[e]
            if reach < need[u] and spent[v] + time_s[e] <= most_s:
                need[u], spent[u] = reach, spent[v] + time_s[e]
                if where[u] < 0:
                    heap[count] = u
                    where[u] = count
                    count += 1
        if where[u] >= 0:
            _up(heap, where, need, where[u])
    while count > 0:
        v = _pop(heap, where, need, count)
        count -= 1
        for i in range(first[v], first[v + 1]):
            u, e = origin[i], way[i]
            reach = need[v] + cost[e]
            if reach < need[u] and spent[v] + time_s[e] <= most_s:
                need[u], spent[u] = reach, spent[v] + time_s[e]
                if where[u] < 0:
                    heap[count] = u
                    where[u] = count
                    count += 1
                _up(heap, where, need, where[u])


@njit(cache=True, nogil=True, error_model="numpy")
def survive(
    first: np.ndarray, to: np.ndarray, time_s: np.ndarray, wheels_w: np.ndarray, hotel_w: float,
    standing_w: np.ndarray, driving_w10: np.ndarray, step_s: float, cell: np.ndarray,
    in_first: np.ndarray, origin: np.ndarray, in_way: np.ndarray, need: np.ndarray,
    onward: np.ndarray,
) -> None:  # fmt: skip
    """Least energy, Wh, with which each place is survived to the end, at every step's begin.

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
        in_first: (N + 1,) ways into each place.
        origin: (M,) where each of those begins.
        in_way: (M,) which way it is.
        need: (K + 1, N) filled: when a step begins. At the end a place must be one where standing
            costs nothing, or have what a drive to such a place takes; where there is none at all,
            the floor.
        onward: (K, N) filled: at any time of a step, for driving straight on.
    """
    places, last = first.size - 1, standing_w.shape[0]
    cost, before = np.empty(to.size), np.zeros(to.size)
    spent = np.zeros(places)
    arrive, later = np.empty(places), np.full(places, NEVER)
    heap = np.empty(places, np.int64)
    where = np.full(places, -1, np.int64)
    havens = 0
    for n in range(places):
        haven = standing_w[last - 1, n] >= 0.0
        havens += int(haven)
        arrive[n] = cell[1] if haven else NEVER
    for e in range(to.size):
        net = driving_w10[last - 1, e] / 10.0 - hotel_w - wheels_w[e]
        cost[e] = max(-net, 0.0) / cell[4] * time_s[e] / 3600.0
    _settle(arrive, spent, first, to, in_first, origin, in_way, cost, time_s, NEVER, heap, where)
    for n in range(places):
        need[last, n] = cell[1] if havens == 0 else arrive[n]
        if need[last, n] > cell[0]:
            need[last, n] = NEVER
    for k in range(last - 1, -1, -1):
        for e in range(to.size):
            net = driving_w10[k, e] / 10.0 - hotel_w - wheels_w[e]
            now = max(-net, 0.0) / cell[4] * time_s[e] / 3600.0
            cost[e] = max(now, before[e])
            before[e] = now
        for n in range(places):
            power, then = float(standing_w[k, n]), need[k + 1, n]
            here = stand = NEVER
            if then <= cell[0]:
                stand = max(cell[1], then - stored(0.0, power, step_s, cell))
                here = stand if power < 0.0 else max(cell[1], then)
            need[k, n] = stand
            arrive[n] = here if k == last - 1 else max(here, later[n])
            later[n], spent[n] = here, 0.0
        if k < last - 1:
            _settle(
                arrive,
                spent,
                first,
                to,
                in_first,
                origin,
                in_way,
                cost,
                time_s,
                step_s,
                heap,
                where,
            )
        for n in range(places):
            onward[k, n] = arrive[n] if arrive[n] <= cell[0] else NEVER
            need[k, n] = min(need[k, n], onward[k, n])
            if need[k, n] > cell[0]:
                need[k, n] = NEVER


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
                own = _pop(heap, where, when, count)
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
                _up(heap, where, when, count)
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
