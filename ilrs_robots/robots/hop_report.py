"""What a hopper says of itself in its diagnostics."""

from __future__ import annotations

from ilrs_robots.robots.hop_flight import HopFlight


def flight_values(flight: HopFlight) -> dict[str, object]:
    """Phase, propellant, place and the newest hop, by name; numbers in SI units."""
    state, status = flight.localization.state, flight.status
    values: dict[str, object] = {
        "carried_by": flight.localization.phase.value,
        "propellant_kg": flight.pilot.propellant_kg,
        "height_m": float(state.position_m[2]) - flight.view.below_m,
        "speed_down_mps": -float(state.velocity_mps[2]),
        "scans": flight.view.scans,
        "scan_refused": flight.view.refused,
    }
    if status is None:
        return values
    values |= {
        "phase": status.phase.value,
        "outcome": "" if status.outcome is None else status.outcome.value,
        "reason": status.reason,
        "left_m": status.left_m,
        "verified": status.verified,
        "diverts": status.diverts,
        "decided_m": status.decided_m,
        "notes": "; ".join(status.notes),
    }
    if flight.profile is not None:
        values["planned_kg"] = flight.profile.propellant_kg
        values["planned_s"] = flight.profile.duration_s
    return values
