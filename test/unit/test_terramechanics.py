"""A wheel on soft soil against the published equations, published tests and Apollo's rover."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from ilrs_robots.core.constants import MOON_GRAVITY_MPS2
from ilrs_robots.core.energy.drive import DriveConfig, DriveModel, best_pull
from ilrs_robots.core.energy.soil import (
    ISHIGAMI_SIMULANT,
    ISHIGAMI_WHEEL,
    MOON_SOIL,
    SOURCEBOOK_SOIL,
    SoilConfig,
    WheelShape,
)
from ilrs_robots.core.energy.terramechanics import wheel_forces
from ilrs_robots.core.errors import ConfigError

ISHIGAMI_LOAD_N = 64.68
APOLLO_WHEEL = WheelShape(0.41, 0.23)
APOLLO = {"wheel": APOLLO_WHEEL, "wheels": 4, "mass_kg": 708.0}


def published(slip: float) -> tuple[float, float, float]:
    """Sinkage, pull, torque from the paper's equations by adaptive quadrature."""
    c, tan_phi, k = 800.0, math.tan(math.radians(37.2)), 0.036
    r, b = 0.092, 0.107
    stiff = r * (1.37e3 / b + 8.14e5)

    def at(h: float) -> tuple[float, float, float]:
        f = math.acos(1.0 - h / r)
        back, m = -f, (0.4 + 0.15 * slip) * f

        def sigma(a: float) -> float:
            like = a if a >= m else f - (a - back) / (m - back) * (f - m)
            return stiff * (math.cos(like) - math.cos(f))

        def tau(a: float) -> float:
            j = r * (f - a - (1.0 - slip) * (math.sin(f) - math.sin(a)))
            return math.copysign((c + sigma(a) * tan_phi) * -math.expm1(-abs(j) / k), j)

        def total(g) -> float:
            return r * b * (quad(g, back, m)[0] + quad(g, m, f)[0])

        return (
            total(lambda a: tau(a) * math.cos(a) - sigma(a) * math.sin(a)),
            total(lambda a: tau(a) * math.sin(a) + sigma(a) * math.cos(a)),
            r * total(tau),
        )

    h = brentq(lambda h: at(h)[1] - ISHIGAMI_LOAD_N, 1e-4, 0.06, xtol=1e-12)
    pull, _, torque = at(h)
    return h, pull, torque


@pytest.mark.parametrize("slip", [0.0, 0.1, 0.4, 0.8])
def test_single_wheel_follows_the_equations_of_ishigami(slip):
    found = wheel_forces(ISHIGAMI_SIMULANT, ISHIGAMI_WHEEL, slip, ISHIGAMI_LOAD_N)
    sinkage, pull, torque = published(slip)
    assert found.sinkage_m == pytest.approx(sinkage, rel=1e-4)
    assert found.pull_n == pytest.approx(pull, abs=1e-3 * ISHIGAMI_LOAD_N)
    assert found.torque_nm == pytest.approx(torque, rel=1e-3)


def test_drawbar_pull_over_slip_has_the_shape_of_the_tests():
    """No pull without slip, rising all the way, flatter and flatter (Ishigami et al. 2007)."""
    slip = np.linspace(0.0, 0.8, 17)
    pull = wheel_forces(ISHIGAMI_SIMULANT, ISHIGAMI_WHEEL, slip, ISHIGAMI_LOAD_N).pull_n
    assert abs(pull[0]) < 0.02 * ISHIGAMI_LOAD_N
    assert np.all(np.diff(pull) > 0.0)
    assert np.all(np.diff(pull, 2) < 0.05)
    assert 0.35 < pull[-1] / ISHIGAMI_LOAD_N < 0.55


def test_the_apollo_wheel_pulls_most_of_what_it_can_at_a_quarter_of_slip():
    """Near its maximum at 15 to 25 %, then slowly on (Green and Melzer 1971, NTRS 19720021195)."""
    load = 708.0 * MOON_GRAVITY_MPS2 / 4.0
    pull = wheel_forces(MOON_SOIL, APOLLO_WHEEL, [0.0, 0.15, 0.25, 0.5, 0.8], load).pull_n
    assert pull[2] > 0.70 * pull[4]
    assert (pull[2] - pull[0]) / 0.25 > 4.0 * (pull[4] - pull[3]) / 0.3


def test_apollo_sank_in_and_spent_as_the_model_says():
    """Ruts of 1.25 cm, 5 at most (Apollo 15 PSR 7); 1.87 Ah/km at 36 V (mission report)."""
    spent = 1.87 * 36.0 * 3600.0 / 1000.0
    firm, soft = (DriveModel(**APOLLO, soil=s).state(0.0) for s in (MOON_SOIL, SOURCEBOOK_SOIL))
    assert 0.0125 < firm.sinkage_m[0] < soft.sinkage_m[0] < 0.05
    assert firm.energy_jpm[0] < spent < soft.energy_jpm[0]
    assert math.degrees(DriveModel(**APOLLO, soil=SOURCEBOOK_SOIL).steepest_rad) > 20.0


def test_heavier_wheels_sink_deeper_and_wider_ones_less():
    load = np.array([50.0, 100.0, 300.0])
    narrow = wheel_forces(MOON_SOIL, WheelShape(0.28, 0.15), 0.1, load).sinkage_m
    wide = wheel_forces(MOON_SOIL, WheelShape(0.28, 0.30), 0.1, load).sinkage_m
    assert np.all(np.diff(narrow) > 0.0)
    assert np.all(wide < narrow)


def test_a_wheel_under_more_than_the_soil_bears_is_buried():
    weak = dataclasses.replace(MOON_SOIL, k_phi=2e3)
    assert np.isnan(wheel_forces(weak, WheelShape(0.2, 0.1), 0.1, 5000.0).pull_n)


def test_steep_slopes_cost_more_until_there_is_no_way_up():
    model = DriveModel(**APOLLO, soil=SOURCEBOOK_SOIL)
    slopes = np.radians(np.arange(0.0, 40.0, 2.0))
    state = model.state(slopes)
    can = slopes < model.steepest_rad
    assert np.all(np.isfinite(state.energy_jpm) == can)
    assert np.all(np.diff(state.energy_jpm[can]) > 0.0)
    assert np.all(np.diff(state.slip[can]) > 0.0)
    pull = best_pull(SOURCEBOOK_SOIL, APOLLO_WHEEL, model.load_n)
    assert math.tan(model.steepest_rad) == pytest.approx(pull, rel=0.05)


def test_work_against_gravity_is_never_won():
    """Up costs at least the height; down and up again never gives anything back."""
    model = DriveModel(**APOLLO, settings=DriveConfig(efficiency=1.0, regeneration=1.0))
    slopes = np.radians([2.0, 8.0, 15.0])
    weight = 708.0 * MOON_GRAVITY_MPS2 * np.sin(slopes)
    up, down = model.state(slopes).energy_jpm, model.state(-slopes).energy_jpm
    assert np.all(up > weight)
    assert np.all(down > -weight)
    assert np.all(up + down > 0.0)


def test_the_table_agrees_with_the_solution_between_its_entries():
    model = DriveModel(**APOLLO)
    slopes = np.radians([0.3, 4.4, 11.7, 19.5])
    np.testing.assert_allclose(model.energy_jpm(slopes), model.state(slopes).energy_jpm, rtol=0.01)
    assert np.isnan(model.energy_jpm(math.radians(44.0)))
    assert model.energy_jpm(np.zeros((3, 2))).shape == (3, 2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: wheel_forces(MOON_SOIL, APOLLO_WHEEL, 1.5, 10.0), r"slip of a wheel = 1.5"),
        (lambda: wheel_forces(MOON_SOIL, APOLLO_WHEEL, 0.1, -3.0), r"load of a wheel = -3.0"),
        (lambda: wheel_forces(MOON_SOIL, APOLLO_WHEEL, math.nan, 3.0), r"slip of a wheel = nan"),
        (lambda: SoilConfig(cohesion_pa=-1.0), r"cohesion_pa = -1.0 Pa: below"),
        (lambda: DriveConfig(efficiency=1.2), r"efficiency = 1.2: above"),
        (lambda: WheelShape(0.0, 0.1), r"radius_m = 0.0 m: below"),
    ],
)
def test_bad_input_is_one_clear_error(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
