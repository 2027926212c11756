"""The world of a seed: a square of rocks, craters and slopes, a start and a goal.

Ground of a window away from the middle of a procedural DEM, which is kept drivable, is scaled so
that its steepest tilt takes a drawn value; craters are added. Some rocks lie everywhere, most of
them in piles: piles are added until the rocks cover a drawn share of the square. Spread evenly, a
cover of 10 % already leaves hardly a gap that is as wide as a vehicle of 2 m. The terrain goes on
beyond the square, so that sensors see ground there; the vehicle's prior ends at its edge, so that
no plan leaves it.

Reference: Golombek and Rapp 1997, J. Geophys. Res. 102, 4117 (rock cover of all sizes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ilrs_robots.core.errors import TerrainError
from ilrs_robots.core.terrain.dem import Dem
from ilrs_robots.core.terrain.features import BlockField, Crater, Features, SurfaceConfig
from ilrs_robots.core.terrain.hashing import stream
from ilrs_robots.core.terrain.prior import orbital_prior
from ilrs_robots.core.terrain.procedural import procedural_dem
from ilrs_robots.core.terrain.surface import Surface
from ilrs_robots.core.types import BoolArray, FloatArray, GridSpec
from ilrs_robots.robots.model import RoverModel, load_robot, require_rover
from ilrs_robots.robots.site import RobotPlacement, SiteConfig, SiteTerrain, TerrainConfig
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.reference import TrueGround

_POSTING_M = 5.0
_SOURCE_M = 640.0
_AWAY_M = 205.0  # of a world's middle from the source's, whose surroundings are kept drivable
_BEYOND_M = 70.0  # ground beyond the square: what a lidar reaches, and a turning vehicle's patch
_STEEPEST_PERCENTILE = 98.0
_DRAWS = 20
_EVEN_COVER = 0.02  # rocks that lie everywhere
_PILE_COVER = (0.3, 0.4)  # at the middle of one field
_PILE_FIELDS = 4  # about one place: a field thins out at once, a pile has an edge
_PILE_RADIUS_M = (2.5, 6.0)
_MOST_PILES = 60
_BAND_M = 7.0  # start and goal lie this near to opposite edges
_INSET_M = 2.5
_STAND_MARGIN_M = 0.15  # free of closed ground beyond the half diagonal, where a drive begins


@dataclass(frozen=True)
class World:
    """Where one run of a campaign happens.

    Attributes:
        seed: of everything in it.
        side_m: of the square, whose middle is the map's origin.
        cover: share of the square covered by its rocks.
        tilt_deg: steepest tilt of the ground at 5 m.
        site: with the vehicle at its start.
        terrain: true ground, and the prior that ends at the square's edge.
        goal_xy_m: (2,) metres.
        ground: what there is to know about it.
    """

    seed: int
    side_m: float
    cover: float
    tilt_deg: float
    site: SiteConfig
    terrain: SiteTerrain
    goal_xy_m: FloatArray
    ground: TrueGround

    @property
    def start_xy_m(self) -> FloatArray:
        """(2,) metres."""
        placement = self.site.robots[0]
        return np.array([placement.x_m, placement.y_m])


def make_world(seed: int, config: CampaignConfig) -> World:
    """The world of a seed; the same seed and configuration give the same world.

    Raises:
        ConfigError: the vehicle does not drive.
        TerrainError: no draw has a place to stand.
    """
    model = require_rover(load_robot(config.robot), "a campaign")
    for draw in range(_DRAWS):
        made = _draw(seed, draw, config, model)
        if made is not None:
            return made
    raise TerrainError(f"seed {seed}: none of {_DRAWS} worlds has a place where the vehicle fits")


def _draw(seed: int, draw: int, config: CampaignConfig, model: RoverModel) -> World | None:
    rng = np.random.default_rng(int(stream(seed, f"campaign world {draw}")))
    side_m = float(rng.choice(config.sides_m))
    cover = float(rng.uniform(config.cover_min, config.cover_max))
    tilt_deg = float(rng.uniform(config.slope_min_deg, config.slope_max_deg))
    own = int(stream(seed, f"campaign terrain {draw}") >> 1)
    dem = _ground(rng, own, side_m, tilt_deg)
    half = 0.5 * side_m
    even = SurfaceConfig(rock_k=min(max(cover, 1e-3), _EVEN_COVER))
    surface = Surface(dem, own, even, _craters(rng, side_m, config.craters_max))
    surface = _strewn(rng, surface, half, cover)
    prior = _cropped(orbital_prior(dem, own), half)
    ground = TrueGround.of(surface, (-half, -half, half, half), model)
    places = _places(rng, ground, config, model, half)
    if places is None:
        return None
    start, goal = places
    placement = RobotPlacement(
        config.robot, config.robot, float(start[0]), float(start[1]),
        math.degrees(math.atan2(goal[1] - start[1], goal[0] - start[0])),
    )  # fmt: skip
    site = SiteConfig(
        f"world_{seed}", -89.45, -137.49, "2035-06-02T06:00:00Z",
        TerrainConfig("procedural", seed), (placement,),
    )  # fmt: skip
    terrain = SiteTerrain(surface, prior)
    return World(seed, side_m, rock_cover(surface, half), tilt_deg, site, terrain, goal, ground)


def _ground(rng: np.random.Generator, seed: int, side_m: float, tilt_deg: float) -> Dem:
    """A window whose steepest tilt within the square is as asked, its middle at the origin."""
    source = procedural_dem(seed, _SOURCE_M, _POSTING_M)
    reach = math.ceil((0.5 * side_m + _BEYOND_M) / _POSTING_M)
    turn = rng.uniform(-math.pi, math.pi)
    middle = source.spec.rows // 2 + np.rint(
        _AWAY_M / _POSTING_M * np.array([math.sin(turn), math.cos(turn)])
    ).astype(int)
    rows, cols = (slice(int(m) - reach, int(m) + reach + 1) for m in middle)
    heights = source.heights_m[rows, cols].astype(np.float64)
    inner = round(0.5 * side_m / _POSTING_M)
    square = slice(reach - inner, reach + inner + 1)
    steepness = np.hypot(*np.gradient(heights, _POSTING_M))[square, square]
    steepest = float(np.percentile(steepness, _STEEPEST_PERCENTILE))
    heights = (heights - heights[reach, reach]) * (math.tan(math.radians(tilt_deg)) / steepest)
    first = -reach * _POSTING_M
    spec = GridSpec(first, first, _POSTING_M, *heights.shape)
    return Dem(heights.astype(np.float32), spec, None, dict(source.provenance))


def _craters(rng: np.random.Generator, side_m: float, most: int) -> Features:
    craters = []
    for _ in range(int(rng.integers(0, most + 1))):
        diameter = float(rng.uniform(4.0, 10.0))
        x, y = rng.uniform(-0.4 * side_m, 0.4 * side_m, 2)
        depth = diameter * float(rng.uniform(0.06, 0.2))
        craters.append(Crater(float(x), float(y), diameter, depth, 0.05))
    return Features(tuple(craters))


def rock_cover(surface: Surface, half_m: float) -> float:
    """Share of a square around the origin that the footprints of its rocks take."""
    rocks = surface.rocks(-half_m, -half_m, half_m, half_m)
    areas = math.pi * rocks.semi_axes_m[:, 0] * rocks.semi_axes_m[:, 1]
    return float(areas.sum()) / (2.0 * half_m) ** 2


def _strewn(rng: np.random.Generator, surface: Surface, half_m: float, cover: float) -> Surface:
    """The surface with piles of rocks until they cover the wanted share of the square."""
    given, fields = surface.features, list(surface.features.block_fields)
    for _ in range(_MOST_PILES):
        if rock_cover(surface, half_m) >= cover:
            break
        x, y = (float(v) for v in rng.uniform(-half_m, half_m, 2))
        radius, k = float(rng.uniform(*_PILE_RADIUS_M)), float(rng.uniform(*_PILE_COVER))
        fields += [BlockField(x + 0.01 * n, y, radius, k) for n in range(_PILE_FIELDS)]
        surface = surface.with_features(Features(given.craters, tuple(fields)))
    return surface


def _cropped(dem: Dem, half_m: float) -> Dem:
    """The samples within the square."""
    n = round(half_m / dem.spec.resolution_m)
    middle = dem.spec.rows // 2
    keep = slice(middle - n, middle + n + 1)
    first = -n * dem.spec.resolution_m
    spec = replace(dem.spec, origin_x_m=first, origin_y_m=first, rows=2 * n + 1, cols=2 * n + 1)
    return Dem(dem.heights_m[keep, keep], spec, dem.projection, dem.provenance)


def _places(
    rng: np.random.Generator,
    ground: TrueGround,
    config: CampaignConfig,
    model: RoverModel,
    half_m: float,
) -> tuple[FloatArray, FloatArray] | None:
    """Start and goal near opposite edges; the vehicle stands clear of everything closed."""
    spec, clear = ground.spec, ground.clearance_m
    size = model.footprint
    stand_m = 0.5 * math.hypot(size.length_m, size.width_m) + _STAND_MARGIN_M
    x, y = np.meshgrid(spec.x_m(), spec.y_m())
    along = (x, y, -x, -y)[int(rng.integers(4))]
    inside = np.maximum(np.abs(x), np.abs(y)) <= half_m - _INSET_M
    first, last = along <= _BAND_M - half_m, along >= half_m - _BAND_M
    start = _one(rng, inside & first & (clear >= stand_m), spec)
    if start is None:
        return None
    blindly = rng.uniform() < config.goal_anywhere
    goal = _one(rng, inside & last & (blindly | ground.open), spec)
    return None if goal is None else (start, goal)


def _one(rng: np.random.Generator, mask: BoolArray, spec: GridSpec) -> FloatArray | None:
    """The middle of one cell of a mask, (2,) metres."""
    rows, cols = np.nonzero(mask)
    if len(rows) == 0:
        return None
    k = int(rng.integers(len(rows)))
    return np.asarray(spec.xy_of(rows[k], cols[k]), dtype=np.float64)
