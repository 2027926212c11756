"""With how much energy a place can be survived: what keeps a route from where it could not leave.

A pass backwards in time finds the least energy with which a place can be survived until the light
maps end: by standing, or by driving straight on within a step's length to where it can stand. It
counts every drive at the darker of the two steps that it may fall into, and no income where it
stands after a drive until the next step, so what it asks for is never too little.

Reference: Otten, Jones, Wettergreen and Whittaker 2015, ICRA (pruning what leads to no lit place).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

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
def sift_up(heap, where, key, at):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Move what stands at a place of the heap up to where it belongs."""
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
def pop_least(heap, where, key, count):  # type: ignore[no-untyped-def]  # pragma: no cover
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
            sift_up(heap, where, need, where[u])
    while count > 0:
        v = pop_least(heap, where, need, count)
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
                sift_up(heap, where, need, where[u])


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
