"""What a vehicle's power node said of energy and light, summed over a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ilrs_robots.core.types import FloatArray

_LONGEST_GAP_S = 120.0
"""Nothing is known of a longer silence; it is left out of the sums."""
_DARK = 0.01


@dataclass(frozen=True)
class EnergyUse:
    """Energy and light of one vehicle over a run, as it computed them itself.

    Attributes:
        begin_charge: of the battery, 0 to 1.
        end_charge: likewise.
        least_charge: likewise.
        loads_wh: that its loads took, driving and heating included.
        drive_wh: of these, for driving.
        solar_wh: that its arrays could give.
        into_battery_wh: charged into the battery.
        out_of_battery_wh: drawn from the battery.
        dark_s: time without any Sun.
        light_share: mean visible share of the Sun's disc.
        known_s: time that the sums hold.
    """

    begin_charge: float
    end_charge: float
    least_charge: float
    loads_wh: float
    drive_wh: float
    solar_wh: float
    into_battery_wh: float
    out_of_battery_wh: float
    dark_s: float
    light_share: float
    known_s: float


def energy_use(power: dict[str, FloatArray]) -> EnergyUse | None:
    """Sums of ``power_track.power_series``; None where fewer than two samples are known.

    Every sample is the mean over the span since the one before it.
    """
    if len(power.get("time_s", ())) < 2:
        return None
    spans = np.diff(power["time_s"])
    spans = np.where((spans > 0.0) & (spans <= _LONGEST_GAP_S), spans, 0.0)

    def wh(watts: FloatArray) -> float:
        return float(np.nansum(watts[1:] * spans)) / 3600.0

    battery, share, charge = power["battery_w"], power["sun_share"][1:], power["charge"]
    known = spans[np.isfinite(share)].sum()
    return EnergyUse(
        begin_charge=float(charge[0]),
        end_charge=float(charge[-1]),
        least_charge=float(np.nanmin(charge)),
        loads_wh=wh(power["load_w"]),
        drive_wh=wh(power["drive_w"]),
        solar_wh=wh(power["solar_w"]),
        into_battery_wh=wh(np.maximum(battery, 0.0)),
        out_of_battery_wh=wh(np.maximum(-battery, 0.0)),
        dark_s=float(spans[share < _DARK].sum()),
        light_share=float(np.nansum(share * spans) / known) if known else float("nan"),
        known_s=float(spans.sum()),
    )
