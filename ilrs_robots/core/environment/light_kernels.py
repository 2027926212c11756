"""How much of a disc stands above the horizon, for many cells."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from ilrs_robots.core.environment.horizon_kernels import COUNTS_PER_RAD, UNKNOWN


@njit(cache=True, nogil=True, error_model="numpy")
def disc_share(
    before: int, after: int, part: float, bin_rad: float, elevation: float, radius: float
) -> float:
    """Share of a disc above the straight line between two neighbouring horizon angles.

    Args:
        before: horizon in counts at the direction before the disc's centre.
        after: at the direction after it.
        part: where between them the centre stands, 0 to 1.
        bin_rad: angle between the two directions.
        elevation: of the disc's centre, radians.
        radius: of the disc, radians.

    Returns:
        0 to 1: the circular segment that the line leaves; NaN where the horizon is unknown.
    """
    if before == UNKNOWN or after == UNKNOWN:
        return np.nan
    width = bin_rad * math.cos(elevation) * COUNTS_PER_RAD
    share: float = _segment(
        float(before), float(after), part, width, elevation * COUNTS_PER_RAD,
        radius * COUNTS_PER_RAD,
    )  # fmt: skip
    return share


@njit(cache=True, nogil=True, error_model="numpy")
def _segment(
    before: float, after: float, part: float, width: float, elevation: float, radius: float
) -> float:
    """The same with every angle in counts; no root and no division where the answer is 0 or 1."""
    rise = after - before
    above = elevation - before - part * rise
    slant = width * width + rise * rise
    reach = above * width
    if reach * reach >= radius * radius * slant:
        return 1.0 if above > 0.0 else 0.0
    s = reach / (radius * math.sqrt(slant))
    share: float = 0.5 + (s * math.sqrt(1.0 - s * s) + math.asin(s)) / math.pi
    return share


@njit(cache=True, nogil=True, error_model="numpy")
def _places(n: int, nodes: int) -> np.ndarray:
    """(n, 2) for each cell of an axis the node before it and how far it is towards the next."""
    out = np.empty((n, 2))
    for k in range(n):
        at = k * (nodes - 1) / max(n - 1, 1)
        before = min(int(at), nodes - 2)
        out[k, 0], out[k, 1] = before, at - before
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def share_map(
    counts: np.ndarray,
    first: int,
    last: int,
    yaw: np.ndarray,
    elevation: np.ndarray,
    radius: float,
    out: np.ndarray,
) -> None:
    """Visible share of one disc for the cells of rows ``first`` to ``last``.

    Args:
        counts: (azimuths, rows, cols) int16.
        first: row.
        last: row after the last one.
        yaw: (L, M) of the disc at the nodes, radians, continuous.
        elevation: (L, M), radians.
        radius: of the disc, radians.
        out: (rows, cols) float32, filled; NaN where unknown.
    """
    azimuths, rows, cols = counts.shape
    nodes = yaw.shape[1]
    bin_rad = 2.0 * math.pi / azimuths
    turns = math.floor(yaw.min() / (2.0 * math.pi)) * azimuths  # makes every bin number positive
    down, across = _places(rows, yaw.shape[0]), _places(cols, nodes)
    row_bin, row_up = np.empty(nodes), np.empty(nodes)
    at, up = np.empty(cols, dtype=np.float32), np.empty(cols, dtype=np.float32)
    ahead = across[:, 1].astype(np.float32)
    disc = np.float32(radius * COUNTS_PER_RAD)
    for i in range(first, last):
        a, f = int(down[i, 0]), down[i, 1]
        for n in range(nodes):
            row_bin[n] = ((1.0 - f) * yaw[a, n] + f * yaw[a + 1, n]) / bin_rad - turns
            row_up[n] = (1.0 - f) * elevation[a, n] + f * elevation[a + 1, n]
        width = np.float32(bin_rad * math.cos(row_up[0]) * COUNTS_PER_RAD)
        if nodes == 2:
            bin0, bin1 = np.float32(row_bin[0]), np.float32(row_bin[1] - row_bin[0])
            up0 = np.float32(row_up[0] * COUNTS_PER_RAD)
            up1 = np.float32((row_up[1] - row_up[0]) * COUNTS_PER_RAD)
            for j in range(cols):
                at[j] = bin0 + ahead[j] * bin1
                up[j] = up0 + ahead[j] * up1
        else:
            for j in range(cols):
                b, g = int(across[j, 0]), across[j, 1]
                at[j] = row_bin[b] + g * (row_bin[b + 1] - row_bin[b])
                up[j] = (row_up[b] + g * (row_up[b + 1] - row_up[b])) * COUNTS_PER_RAD
        if int(row_bin.min()) == int(row_bin.max()):
            k = int(row_bin[0]) % azimuths
            at -= math.floor(row_bin[0])
            _share_row(counts[k, i], counts[(k + 1) % azimuths, i], at, up, width, disc, out[i])
            continue
        for j in range(cols):
            whole = int(at[j])
            k = whole % azimuths
            one = slice(j, j + 1)
            at[j] -= whole
            _share_row(
                counts[k, i, one], counts[(k + 1) % azimuths, i, one], at[one], up[one], width,
                disc, out[i, one],
            )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def _share_row(
    before: np.ndarray,
    after: np.ndarray,
    part: np.ndarray,
    up: np.ndarray,
    width: float,
    disc: float,
    out: np.ndarray,
) -> None:
    """One row between the same two directions: first what is whole or nothing, then the rest."""
    unclear = 0
    width2, disc2 = width * width, disc * disc
    for j in range(out.shape[0]):
        rise = np.float32(after[j]) - np.float32(before[j])
        above = up[j] - np.float32(before[j]) - part[j] * rise
        value = np.float32(1.0) if above > np.float32(0.0) else np.float32(0.0)
        cut = above * above * width2 < disc2 * (width2 + rise * rise)
        if cut or before[j] == UNKNOWN or after[j] == UNKNOWN:
            value = np.float32(-1.0)
            unclear += 1
        out[j] = value
    if unclear == 0:
        return
    for j in range(out.shape[0]):
        if out[j] < 0.0:
            if before[j] == UNKNOWN or after[j] == UNKNOWN:
                out[j] = np.nan
            else:
                out[j] = _segment(
                    float(before[j]), float(after[j]), float(part[j]), float(width), float(up[j]),
                    float(disc),
                )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def follow(
    share: np.ndarray,
    first: int,
    last: int,
    step: int,
    least: float,
    total: np.ndarray,
    dark: np.ndarray,
    longest: np.ndarray,
    until: np.ndarray,
) -> None:
    """Add one time step of rows ``first`` to ``last`` to the running sums, in place.

    Args:
        share: (rows, cols) float32 of this step.
        first: row.
        last: row after the last one.
        step: number of the step.
        least: share from which a cell counts as lit.
        total: (rows, cols) float64 sum of shares.
        dark: (rows, cols) int32 length of the present darkness in steps.
        longest: (rows, cols) int32 longest darkness so far.
        until: (rows, cols) int32 steps lit from the beginning on; -1 while it is still lit.
    """
    for i in range(first, last):
        for j in range(share.shape[1]):
            value = share[i, j]
            total[i, j] += value
            if value >= least:
                dark[i, j] = 0
            else:
                dark[i, j] += 1
                if dark[i, j] > longest[i, j]:
                    longest[i, j] = dark[i, j]
                if until[i, j] < 0:
                    until[i, j] = step


@njit(cache=True, nogil=True, error_model="numpy")
def never_reached(counts: np.ndarray, highest: np.ndarray, out: np.ndarray) -> None:
    """Cells whose horizon stands above the highest light of every direction.

    Args:
        counts: (azimuths, rows, cols) int16.
        highest: (azimuths, L, M) radians, of the disc's upper edge at the nodes; -inf for none.
        out: (rows, cols) bool, filled; False where unknown.
    """
    azimuths, rows, cols = counts.shape
    down, across = _places(rows, highest.shape[1]), _places(cols, highest.shape[2])
    out[:] = True
    for k in range(azimuths):
        for i in range(rows):
            a, f = int(down[i, 0]), down[i, 1]
            for j in range(cols):
                b, g = int(across[j, 0]), across[j, 1]
                low = (1.0 - f) * highest[k, a, b] + f * highest[k, a + 1, b]
                high = (1.0 - f) * highest[k, a, b + 1] + f * highest[k, a + 1, b + 1]
                top = (1.0 - g) * low + g * high
                if counts[k, i, j] == UNKNOWN or counts[k, i, j] <= top * COUNTS_PER_RAD:
                    out[i, j] = False
