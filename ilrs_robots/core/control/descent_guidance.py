"""Least-fuel powered descent by convex optimisation, solved again and again in flight.

The solver is set up once; a new state, goal or flight time replaces numbers in place, and the
ordering of its factorisation is kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import clarabel
import numpy as np

from ilrs_robots.core import config
from ilrs_robots.core.config import param
from ilrs_robots.core.control.descent_problem import WIDTH, DescentProblem
from ilrs_robots.core.planning.hop_types import HopVehicle
from ilrs_robots.core.types import FloatArray

_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)


@dataclass(frozen=True)
class DescentConfig:
    """Bounds and prices of the descent."""

    nodes: int = param(20, doc="times at which thrust is chosen", low=5, high=400)
    thrust_share: float = param(0.9, doc="of the largest thrust", low=0.1, high=1.0)
    glide_rad: float = param(
        0.15, doc="of the cone over the place that is not left; negative for none", unit="rad",
        low=-1.0, high=1.4,
    )  # fmt: skip
    max_tilt_rad: float = param(0.9, doc="of thrust", unit="rad", low=0.05, high=math.pi)
    miss_cost: float = param(
        10.0, doc="price of a landing error, in fuel that its way takes at most", low=0.1, high=1e4
    )
    tolerance: float = param(1e-6, doc="of the solver", low=1e-10, high=1e-3)
    searches: int = param(12, doc="solves for a flight time", low=1, high=100)

    def __post_init__(self) -> None:
        """Check ranges."""
        config.check(self)


@dataclass(frozen=True)
class DescentPlan:
    """A descent; N nodes of even spacing, axes as given.

    Attributes:
        time_s: (N,) from now.
        position_m: (N, 3).
        velocity_mps: (N, 3).
        thrust_n: (N, 3) force of the engines.
        mass_kg: (N,).
        fuel_kg: burnt.
        delta_v_mps: given by the engines.
        miss_m: distance of the landing from the goal.
        extra_mps: landing speed beside the one asked for.
        under_m: largest depth below the glide slope.
        solved: whether the solver reached its tolerance.
        iterations: of the solver.
    """

    time_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    thrust_n: FloatArray
    mass_kg: FloatArray
    fuel_kg: float
    delta_v_mps: float
    miss_m: float
    extra_mps: float
    under_m: float
    solved: bool
    iterations: int

    @property
    def cost(self) -> float:
        """What plans are compared by: fuel, then errors at prices that fuel never reaches."""
        if not self.solved:
            return math.inf
        return self.fuel_kg + 1e3 * self.miss_m + 1e4 * self.extra_mps + 1e3 * self.under_m


class DescentGuidance:
    """Solves descents of one vehicle."""

    def __init__(self, vehicle: HopVehicle, settings: DescentConfig | None = None) -> None:
        """Set up the programme; the solver comes with the first numbers."""
        self.vehicle = vehicle
        self.settings = settings or DescentConfig()
        self._problem = DescentProblem(self.settings.nodes, self.settings.glide_rad >= 0.0)
        self._solver: clarabel.DefaultSolver | None = None
        self.setups = 0
        """How often a solver was made; 1 after any number of solves."""

    def solve(
        self, position_m: FloatArray, velocity_mps: FloatArray, mass_kg: float,
        goal_m: FloatArray, goal_mps: FloatArray, flight_s: float,
    ) -> DescentPlan:  # fmt: skip
        """The best descent of a flight time.

        Args:
            position_m: (3,) now, z up.
            velocity_mps: (3,) now.
            mass_kg: now.
            goal_m: (3,) place to reach; its height is reached in any case.
            goal_mps: (3,) velocity there.
            flight_s: from now to the goal.
        """
        start, goal = np.asarray(position_m, float), np.asarray(goal_m, float)
        length = max(float(np.linalg.norm(start - goal)), 10.0)
        clock = math.sqrt(length / self.vehicle.gravity_mps2)
        values, right = self._numbers(
            (start - goal) / length, np.asarray(velocity_mps, float) * clock / length,
            np.asarray(goal_mps, float) * clock / length, mass_kg, flight_s, length, clock,
        )  # fmt: skip
        solution = self._run(values, right, length, clock)
        return self._plan(solution, goal, mass_kg, flight_s, length, clock)

    def plan(
        self, position_m: FloatArray, velocity_mps: FloatArray, mass_kg: float,
        goal_m: FloatArray, goal_mps: FloatArray, *,
        between_s: tuple[float, float] | None = None, searches: int | None = None,
    ) -> DescentPlan:  # fmt: skip
        """The best descent of any flight time (golden section; the cost has one valley).

        Args:
            position_m: (3,) now, z up.
            velocity_mps: (3,) now.
            mass_kg: now.
            goal_m: (3,) place to reach.
            goal_mps: (3,) velocity there.
            between_s: shortest and longest flight; bounds from the state where None.
            searches: number of solves; of the settings where None.
        """
        low, high = between_s or self._bracket(position_m, velocity_mps, mass_kg, goal_m)

        def of(time: float) -> DescentPlan:
            return self.solve(position_m, velocity_mps, mass_kg, goal_m, goal_mps, time)

        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        left, right = of(a), of(b)
        best = min(left, right, key=lambda plan: plan.cost)
        for _ in range(max((searches or self.settings.searches) - 2, 0)):
            # Too short a time gives no solution or a miss: then the valley is to the right.
            if left.cost < right.cost:
                high, b, right = b, a, left
                a = high - _GOLDEN * (high - low)
                left = of(a)
            else:
                low, a, left = a, b, right
                b = low + _GOLDEN * (high - low)
                right = of(b)
            best = min(best, left, right, key=lambda plan: plan.cost)
        return best

    def _bracket(
        self, position: FloatArray, velocity: FloatArray, mass: float, goal: FloatArray
    ) -> tuple[float, float]:
        way = np.asarray(goal) - np.asarray(position)
        g = self.vehicle.gravity_mps2
        speed = float(np.linalg.norm(velocity))
        force = self.settings.thrust_share * self.vehicle.max_thrust_n / mass - g
        stop = speed / max(force, 0.2 * g)
        fall = math.sqrt(2.0 * float(np.linalg.norm(way)) / g)
        return max(0.5 * stop, 0.3 * fall, 0.5), 2.0 * stop + 2.5 * fall + 5.0

    def _numbers(
        self, place: FloatArray, speed: FloatArray, goal_speed: FloatArray, mass: float,
        flight: float, length: float, clock: float,
    ) -> tuple[FloatArray, FloatArray]:  # fmt: skip
        v, s = self.vehicle, self.settings
        dt = flight / (s.nodes - 1) / clock
        most, least = s.thrust_share * v.max_thrust_n, v.min_thrust_n
        time = np.linspace(0.0, flight, s.nodes)
        lightest = np.maximum(mass - most / v.exhaust_mps * time, 0.5 * v.dry_kg)
        z0 = np.log(lightest / mass)
        unit = v.gravity_mps2
        high, low = most / lightest / unit, np.full(s.nodes, 0.0) + least / lightest / unit
        glide = math.tan(max(s.glide_rad, 0.0))
        root = np.sqrt(low)
        scalars = {
            "one": 1.0, "dt": dt, "dt2": dt * dt,
            "dt_burn": dt * unit * clock / v.exhaust_mps,
            "dt_g": dt, "dt2_g": dt * dt, "tilt": math.cos(s.max_tilt_rad), "glide": glide,
            "log_dry": math.log(min(v.dry_kg / mass, 1.0)),
            "goal_x": 0.0, "goal_y": 0.0, "goal_z": 0.0, "glide_x": 0.0, "glide_y": 0.0,
        }  # fmt: skip
        for n, axis in enumerate("xyz"):
            scalars[f"place_{axis}"], scalars[f"speed_{axis}"] = place[n], speed[n]
            scalars[f"goal_v{axis}"] = goal_speed[n]
        return self._problem.fill(scalars, {
            "high": high, "high_right": high * (1.0 + z0), "low": low,
            "low_right": low * (1.0 + z0), "root": root, "root_right": root * z0,
        })  # fmt: skip

    def _run(
        self, values: FloatArray, right: FloatArray, length: float, clock: float
    ) -> clarabel.DefaultSolution:
        problem, s = self._problem, self.settings
        fuel = length / clock / self.vehicle.exhaust_mps
        cost = problem.objective(
            s.miss_cost * fuel, 50.0 * s.miss_cost * fuel, 10.0 * s.miss_cost * fuel
        ) / max(fuel, 1e-9)  # fmt: skip
        problem.matrix.data[:] = values
        if self._solver is None:
            settings = clarabel.DefaultSettings()
            settings.verbose = False
            settings.presolve_enable = False
            settings.chordal_decomposition_enable = False
            settings.max_iter = 60
            settings.max_threads = 1
            settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = s.tolerance
            count = WIDTH * problem.nodes + 3
            cones = [clarabel.ZeroConeT(problem.zero), clarabel.NonnegativeConeT(problem.positive)]
            cones += [clarabel.SecondOrderConeT(size) for size in problem.cones]
            nothing = type(problem.matrix)((count, count))
            self._solver = clarabel.DefaultSolver(
                nothing, cost, problem.matrix, right, cones, settings
            )
            self.setups += 1
        else:
            self._solver.update(q=cost, A=problem.matrix, b=right)
        return self._solver.solve()

    def _plan(
        self, solution: clarabel.DefaultSolution, goal: FloatArray, mass: float, flight: float,
        length: float, clock: float,
    ) -> DescentPlan:  # fmt: skip
        nodes = self.settings.nodes
        found = np.asarray(solution.x)
        table, slack = found[: WIDTH * nodes].reshape(nodes, WIDTH), found[-3:]
        masses = mass * np.exp(table[:, 10])
        thrust = table[:, 6:9] * self.vehicle.gravity_mps2 * masses[:, None]
        good = str(solution.status) in ("Solved", "AlmostSolved")
        return DescentPlan(
            time_s=np.linspace(0.0, flight, nodes),
            position_m=goal + length * table[:, :3],
            velocity_mps=length / clock * table[:, 3:6],
            thrust_n=thrust,
            mass_kg=masses,
            fuel_kg=float(mass - masses[-1]),
            delta_v_mps=float(-table[-1, 10] * self.vehicle.exhaust_mps),
            miss_m=float(length * max(slack[0], 0.0)),
            extra_mps=float(length / clock * max(slack[1], 0.0)),
            under_m=float(length * max(slack[2], 0.0)),
            solved=good,
            iterations=int(solution.iterations),
        )
