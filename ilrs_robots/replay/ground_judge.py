"""A replayed map against the true ground of the bag: heights, coverage, hazards found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy import ndimage

from ilrs_robots.core.types import BoolArray, Float32Array, FloatArray, GridSpec
from ilrs_robots.replay import metrics
from ilrs_robots.replay.tracks import GridMapSample

COVERAGE_RADIUS_M: Final = 6.0
_NEAR_CELLS: Final = 2
"""A hazard counts as found where a lethal cell lies so near: poses are not exact to a cell."""


@dataclass
class GroundJudge:
    """Collects what maps along a drive look like, and tells it in numbers at the end.

    Attributes:
        truth: layers ``elevation`` and ``hazard`` in ``map``; None where the bag has none.
    """

    truth: GridMapSample | None = None
    _squares: list[tuple[int, float, float]] = field(default_factory=list)
    _coverage: list[float] = field(default_factory=list)
    _lethal: list[float] = field(default_factory=list)
    _found: list[tuple[int, int]] = field(default_factory=list)
    _false: list[tuple[int, int]] = field(default_factory=list)

    def look(
        self, elevation: Float32Array, lethal: BoolArray, spec: GridSpec,
        T_map_odom: FloatArray, base_xy_m: FloatArray,
    ) -> None:  # fmt: skip
        """Take a map as it is now.

        Args:
            elevation: (rows, cols) metres, odom frame, NaN unknown.
            lethal: (rows, cols).
            spec: their window, odom frame.
            T_map_odom: (4, 4) as the robot believes.
            base_xy_m: (2,) of the vehicle, odom frame.
        """
        known = np.isfinite(elevation)
        self._coverage.append(metrics.coverage(elevation, spec, base_xy_m, COVERAGE_RADIUS_M))
        if known.any():
            self._lethal.append(float((lethal & known).sum() / known.sum()))
        if self.truth is None:
            return
        errors = metrics.map_errors(elevation, spec, T_map_odom, self._true_heights).known
        if errors.size:
            square = float(np.sum(errors**2))
            self._squares.append((errors.size, square, float(errors.sum())))
        if "hazard" in self.truth.layers:
            self._hazards(known, lethal, spec, T_map_odom)

    def numbers(self) -> dict[str, float]:
        """Everything that could be measured."""
        found: dict[str, float] = {}
        if self._coverage:
            found["map_coverage"] = float(np.mean(self._coverage))
        if self._lethal:
            found["lethal_share"] = float(np.mean(self._lethal))
        cells = sum(n for n, _, _ in self._squares)
        if cells:
            found["map_rmse_m"] = float(np.sqrt(sum(s for _, s, _ in self._squares) / cells))
            found["map_bias_m"] = sum(b for _, _, b in self._squares) / cells
        for name, pairs in (("hazards_found", self._found), ("false_alarms", self._false)):
            total = sum(n for _, n in pairs)
            if total:
                found[name] = sum(n for n, _ in pairs) / total
        return found

    def _true_heights(self, spec: GridSpec) -> FloatArray:
        assert self.truth is not None
        return self._sampled("elevation", spec)

    def _sampled(self, layer: str, spec: GridSpec) -> FloatArray:
        assert self.truth is not None
        xy = np.stack(np.meshgrid(spec.x_m(), spec.y_m()), axis=-1)
        return metrics.bilinear(self.truth.layers[layer], self.truth.spec, xy)

    def _hazards(
        self, known: BoolArray, lethal: BoolArray, spec: GridSpec, T_map_odom: FloatArray
    ) -> None:
        """Compare hazards cell by cell; a cell near the border between both counts for none."""
        x, y = T_map_odom[:2, 3]
        moved = GridSpec(
            spec.origin_x_m + float(x), spec.origin_y_m + float(y), spec.resolution_m,
            spec.rows, spec.cols,
        )  # fmt: skip
        hazard = self._sampled("hazard", moved)
        judged = known & np.isfinite(hazard)
        true = judged & (hazard > 0.5)
        near = np.ones((2 * _NEAR_CELLS + 1,) * 2, np.bool_)
        safe = judged & ~ndimage.binary_dilation(true, near)
        inner = ndimage.binary_erosion(true, np.ones((3, 3), np.bool_))
        around = ndimage.binary_dilation(lethal, np.ones((3, 3), np.bool_))
        self._found.append((int((inner & around).sum()), int(inner.sum())))
        self._false.append((int((safe & lethal).sum()), int(safe.sum())))
