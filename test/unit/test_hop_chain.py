"""Chains of hops: the cheapest, waiting only where it may, a way back, refusals with numbers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ilrs_robots.core.planning.hop_chain import HopChainPlanner
from ilrs_robots.core.planning.hop_config import HopPlanConfig
from ilrs_robots.core.planning.hop_profile import plan_hop
from ilrs_robots.core.planning.hop_types import HopRefusedError, HopVehicle
from ilrs_robots.core.planning.hop_ways import HopPlaces
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.types import GridSpec

VEHICLE = HopVehicle(dry_kg=150.0, isp_s=230.0, max_thrust_n=800.0, min_thrust_n=160.0)
PLAIN = HopPlanConfig(dispersion_share=0.0, reserve_share=0.0)


def places(xyz: list[list[float]], closed: tuple[int, ...] = (), dark: tuple[int, ...] = (),
           haven: tuple[int, ...] = (0,)) -> HopPlaces:  # fmt: skip
    count = len(xyz)
    return HopPlaces(
        np.array(xyz, dtype=np.float64),
        np.array([n not in closed for n in range(count)]),
        np.array([n not in dark for n in range(count)]),
        np.array([n in haven for n in range(count)]),
    )


def hilly(seed: int, count: int = 4) -> HopPlaces:
    rng = np.random.default_rng(seed)
    xyz = np.column_stack((rng.uniform(-700, 700, (count, 2)), rng.uniform(-150, 150, count)))
    return places(xyz.tolist())


def test_the_chain_is_that_of_all_chains_that_leaves_most() -> None:
    for seed in range(1):
        ground = hilly(seed)
        found = HopChainPlanner(ground, VEHICLE, 50.0, PLAIN).plan(0, 3, 50.0, one_way=True)
        best = -np.inf
        for count in range(3):
            for middle in itertools.permutations((1, 2), count):
                mass = 200.0
                for a, b in itertools.pairwise((0, *middle, 3)):
                    where = ground.position_m
                    mass -= plan_hop(where[a], where[b], mass, VEHICLE, PLAIN).propellant_kg
                best = max(best, mass)
        assert found.stops[-1].mass_kg == pytest.approx(best, rel=1e-9)
        assert found.propellant_kg + found.left_kg == pytest.approx(50.0)
        assert len(found.hops) == len(found.stops) - 1
        assert found.propellant_kg == pytest.approx(sum(h.propellant_kg for h in found.hops))


def test_the_way_back_is_planned_with_what_is_left_and_kept() -> None:
    ground = places([[0, 0, 0], [400, 0, -80]])
    chain = HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 1, 50.0)
    assert len(chain.back) == 1
    assert chain.back[0].mass_kg == pytest.approx(chain.stops[-1].mass_kg)
    assert chain.back[0].goal_m == pytest.approx([0.0, 0.0, 0.0])
    assert chain.left_kg >= chain.back_kg + chain.reserve_kg == pytest.approx(chain.back_kg + 5.0)
    held = chain.propellant_kg + 0.5 * chain.back_kg + chain.reserve_kg
    with pytest.raises(HopRefusedError, match=r"needed, .* held") as refused:
        HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 1, held)
    assert refused.value.reason == "reserve"
    assert refused.value.needed_kg > refused.value.held_kg == pytest.approx(held)
    one_way = HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 1, held, one_way=True)
    assert one_way.back == ()


def test_it_waits_only_where_it_may_and_lands_only_on_open_ground() -> None:
    wall = np.zeros((61, 61), np.float32)
    wall[:, 28:33] = 5000.0
    wall[:8, 28:33] = 0.0
    dem = Dem(wall, GridSpec(-600.0, -600.0, 20.0, 61, 61))
    xyz = [[-300, 0, 0], [300, 0, 0], [-300, -540, 0], [300, -540, 0]]
    settings = HopPlanConfig(sigma_m=0.2, ground_sigma_m=0.2, margin_m=2.0, reserve_share=0.0)

    def way(**kinds: tuple[int, ...]) -> list[int]:
        planner = HopChainPlanner(places(xyz, **kinds), VEHICLE, 50.0, settings, dem)
        return [s.place for s in planner.plan(0, 1, 49.0, one_way=True).stops]

    assert way() == [0, 2, 3, 1], "around the wall"
    for kinds in ({"dark": (2,)}, {"closed": (3,)}):
        with pytest.raises(HopRefusedError, match="no chain of hops") as refused:
            way(**kinds)
        assert refused.value.reason == "clearance"
    with pytest.raises(HopRefusedError, match="closed ground"):
        way(closed=(1,))


def test_what_is_too_far_is_refused_with_the_hop_and_the_numbers() -> None:
    ground = places([[0, 0, 0], [3000, 0, 0], [6000, 0, 0]], dark=())
    with pytest.raises(HopRefusedError, match=r"need .* kg, 12\.00 kg are held: .* hop 1") as bad:
        HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 2, 12.0)
    assert bad.value.reason == "propellant"
    assert bad.value.hop == 1
    assert bad.value.needed_kg > 12.0
    with pytest.raises(HopRefusedError, match="way back after hop 1 needs") as back:
        HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 1, 22.0)
    assert back.value.reason == "reserve"
    with pytest.raises(HopRefusedError, match="no such place"):
        HopChainPlanner(ground, VEHICLE, 50.0).plan(0, 7, 22.0)


def test_unknown_ground_on_every_way_is_the_reason_given() -> None:
    heights = np.zeros((101, 101), np.float32)
    heights[:, 50] = np.nan
    dem = Dem(heights, GridSpec(-500.0, -500.0, 10.0, 101, 101))
    ground = places([[-300, 0, 0], [300, 0, 0]])
    with pytest.raises(HopRefusedError, match="unknown") as refused:
        HopChainPlanner(ground, VEHICLE, 50.0, dem=dem).plan(0, 1, 50.0)
    assert refused.value.reason == "unknown_ground"
