"""``ilrs plan`` of a hopper: a chain of hops, what each takes, light and links where it stands."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from rich.table import Table

from ilrs_robots.cli.terminal import console
from ilrs_robots.core.planning.hop_types import HopChain, HopProfile, HopRefusedError

if TYPE_CHECKING:
    from ilrs_robots.robots.hop_route import HopOrder
    from ilrs_robots.robots.model import HopperModel


def show_hops(
    site_name: str, robot: str, model: HopperModel, order: HopOrder, seed: int | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Plan a chain and print it: 0 when it is flown, 1 with the reason when it is not."""
    from ilrs_robots.robots.hop_route import plan_hops
    from ilrs_robots.robots.site import load_prior

    site, prior = load_prior(site_name, seed=seed)
    try:
        chain = plan_hops(site, prior, robot, model, order)
    except HopRefusedError as refused:
        if as_json:
            print(json.dumps({"reached": False, "code": refused.reason, "reason": str(refused)}))
        else:
            console.print(f"refused ({refused.reason}): {refused}", soft_wrap=True)
        return 1
    if as_json:
        print(json.dumps(told(chain)))
    else:
        _print(chain)
    return 0


def told(chain: HopChain) -> dict[str, Any]:
    """Everything of a chain, for programs; SI units."""
    return {
        "reached": True,
        "hops": [_hop(hop) for hop in chain.hops],
        "back": [_hop(hop) for hop in chain.back],
        "stays": [
            {"told": s.told, "light": round(s.light, 3), "linked_s": round(s.linked_s, 1),
             "drawn_wh": round(s.drawn_wh, 1), "end_wh": round(s.end_wh, 1)}
            for s in chain.stays
        ],
        "propellant_kg": round(chain.propellant_kg, 2), "left_kg": round(chain.left_kg, 2),
        "back_kg": round(chain.back_kg, 2), "reserve_kg": round(chain.reserve_kg, 2),
    }  # fmt: skip


def _hop(hop: HopProfile) -> dict[str, Any]:
    return {
        "kind": hop.kind.value, "from_m": [round(float(v), 1) for v in hop.start_m],
        "to_m": [round(float(v), 1) for v in hop.goal_m], "duration_s": round(hop.duration_s, 1),
        "propellant_kg": round(hop.propellant_kg, 2),
    }  # fmt: skip


def _print(chain: HopChain) -> None:
    table = Table("hop", "kind", "to m", "far m", "deeper m", "s", "kg", "there")
    for n, hop in enumerate((*chain.hops, *chain.back)):
        way = hop.goal_m - hop.start_m
        there = "" if n >= len(chain.stays) else chain.stays[n].told
        table.add_row(
            str(n + 1) if n < len(chain.hops) else "back", hop.kind.value,
            f"{hop.goal_m[0]:.0f}, {hop.goal_m[1]:.0f}", f"{math.hypot(way[0], way[1]):.0f}",
            f"{-way[2]:.0f}", f"{hop.duration_s:.0f}", f"{hop.propellant_kg:.2f}", there,
        )  # fmt: skip
    console.print(table)
    console.print(
        f"{chain.propellant_kg:.2f} kg to the goal with what is planned for errors, "
        f"{chain.back_kg:.2f} kg back, {chain.reserve_kg:.2f} kg kept, {chain.left_kg:.2f} kg "
        "left at the goal",
        soft_wrap=True,
    )
