"""Power node: battery, heat, light and links of one vehicle, whichever simulator moves it."""

from __future__ import annotations

import math
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from sensor_msgs.msg import BatteryState
from std_msgs.msg import Bool, Float64

from ilrs_robots.core import warm
from ilrs_robots.core.environment.surface_network import Route
from ilrs_robots.core.errors import ConfigError, IlrsError, TransformError
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes import convert, qos
from ilrs_robots.nodes.kept_state import KeptState
from ilrs_robots.nodes.managed import OK, WARN, ManagedNode
from ilrs_robots.nodes.node_clock import NodeClock
from ilrs_robots.robots.frames import MAP_FRAME, base_frame
from ilrs_robots.robots.model import RoverModel
from ilrs_robots.robots.power_step import PowerState, PowerStep
from ilrs_robots.robots.site import load_prior

if TYPE_CHECKING:
    from ilrs_robots.nodes.transforms import TransformListener

PERIOD_S: Final = 1.0
KEEP_EVERY: Final = 10
"""Steps between two keepings of the charge."""
LOW_MARGIN: Final = 0.1
"""Charge above the reserve at which the diagnostics warn."""
GRANT_S: Final = 10.0
"""A grant of the base counts for so long; a base that falls silent grants nothing."""
KELVIN_AT_0_C: Final = 273.15


class PowerNode(ManagedNode):
    """Publishes ``battery`` and ``link`` once a second of its clock, the rest in ``/diagnostics``.

    A vehicle is where the transforms say.
    """

    def __init__(self, listener: TransformListener, **options: Any) -> None:
        super().__init__("power", **options)
        self._listener = listener
        self._state: PowerState | None = None

    def setup(self) -> None:
        """Load vehicle, site and prior terrain."""
        site, prior = load_prior(self.site_name, seed=self.seed)
        placement = site.robot(self.robot)
        model = placement.load_model()
        self._node_clock = NodeClock(self)
        self._model = model
        self._step = PowerStep(self.robot, model, site, prior)
        warm.power()
        self._kept = KeptState.of(self, f"{self.robot}.power")
        self._since_kept = 0
        self._granted_ns: int | None = None
        self._pose: FloatArray | None = None
        self._time_s: float | None = None
        self._trouble = ""
        kept = self._kept.load()
        if kept is not None:
            self._step.restart(float(kept["charge"]), float(kept["box_k"]))
            self.get_logger().warning(f"restarted: battery at {100 * kept['charge']:.0f} %")
        self._battery = self.publisher(BatteryState, "battery", qos.STATE)
        self._link = self.publisher(Bool, "link", qos.STATE)
        self.subscribe(Float64, "charge_grant", self._on_grant, qos.STATE)
        self._node_clock.timer(PERIOD_S, self._on_time)

    def reset(self) -> None:
        """Forget the last step."""
        self._state = None

    def health(self) -> tuple[bytes, str, dict[str, object]]:
        """Say how much is left, what is without power, and who can be reached."""
        trouble = self._node_clock.trouble(self.now_ns()) or self._trouble
        if self._state is None:
            return WARN, trouble or "no pose yet", {}
        s = self._state
        values = _values(s)
        low = s.charge < self._model.power.battery.reserve + LOW_MARGIN
        if trouble:
            return WARN, trouble, values
        if s.shed:
            return WARN, f"without power: {', '.join(s.shed)}", values
        if low:
            return WARN, f"battery low: {100.0 * s.charge:.0f} %", values
        return OK, f"battery {100.0 * s.charge:.0f} %", values

    def _on_time(self) -> None:
        begin = perf_counter()
        now_ns = self.now_ns()
        if self._node_clock.went_back_ns(now_ns) and self._node_clock.simulated:
            power = self._model.power
            self._step.restart(power.charge, power.box.setpoint_k)
            self._pose = self._time_s = self._granted_ns = None
            self._step.grant_w = None
        if self._granted_ns is not None and now_ns - self._granted_ns > GRANT_S * 1e9:
            self._step.grant_w = 0.0
        pose = self._newest_pose()
        if pose is None:
            return
        time_s = now_ns * 1e-9 if self._node_clock.simulated else self._step.since_epoch_s(now_ns)
        try:
            self._state = self._step.step(time_s, pose, self._speed_mps(pose, time_s))
            self._trouble = ""
        except IlrsError as error:
            self._trouble = str(error)
            return
        self._battery.publish(self._message(self._state, now_ns))
        reached = (self._state.earth, self._state.base)
        self._link.publish(Bool(data=any(route is not None for route in reached)))
        self._keep(self._state)
        self.latency.add(perf_counter() - begin)

    def _on_grant(self, msg: Float64) -> None:
        if not 0.0 <= msg.data < math.inf:
            raise ConfigError(f"charge_grant = {msg.data} W: must be 0 W or more")
        self._granted_ns, self._step.grant_w = self.now_ns(), msg.data

    def _newest_pose(self) -> FloatArray | None:
        tree = self._listener.tree
        try:
            stamp_ns = tree.latest_stamp(MAP_FRAME, base_frame(self.robot))
            if stamp_ns is None:
                return None
            return tree.lookup(MAP_FRAME, base_frame(self.robot), stamp_ns)
        except TransformError as error:
            self._trouble = str(error)
            return None

    def _speed_mps(self, pose: FloatArray, time_s: float) -> float:
        """Mean speed along the vehicle since the last step; 0 where that is no motion of its."""
        before, then = self._pose, self._time_s
        self._pose, self._time_s = pose, time_s
        if before is None or then is None or time_s <= then:
            return 0.0
        speed = float((pose[:3, 3] - before[:3, 3]) @ pose[:3, 0]) / (time_s - then)
        limit = self._model.limits.max_speed_mps if isinstance(self._model, RoverModel) else 0.0
        return speed if abs(speed) <= 1.5 * limit else 0.0

    def _keep(self, state: PowerState) -> None:
        self._since_kept += 1
        if self._since_kept >= KEEP_EVERY:
            self._since_kept = 0
            self._kept.save({"charge": state.charge, "box_k": state.box_k})

    def _message(self, s: PowerState, now_ns: int) -> BatteryState:
        cells = self._model.power.battery
        msg = BatteryState()
        msg.header.stamp = convert.to_stamp(now_ns)
        msg.header.frame_id = base_frame(self.robot)
        msg.voltage = s.voltage_v
        msg.current = s.battery_w / s.voltage_v
        msg.temperature = s.box_k - KELVIN_AT_0_C
        msg.capacity = msg.design_capacity = cells.capacity_wh / cells.full_v
        msg.charge = msg.capacity * s.charge
        msg.percentage = s.charge
        msg.power_supply_technology = BatteryState.POWER_SUPPLY_TECHNOLOGY_LION
        msg.power_supply_health = _health(s, cells.charge_from_k)
        msg.power_supply_status = _status(s)
        msg.present = True
        return msg


def _status(s: PowerState) -> int:
    if s.charge >= 0.999:
        return int(BatteryState.POWER_SUPPLY_STATUS_FULL)
    if s.battery_w > 0.0:
        return int(BatteryState.POWER_SUPPLY_STATUS_CHARGING)
    if s.battery_w < 0.0:
        return int(BatteryState.POWER_SUPPLY_STATUS_DISCHARGING)
    return int(BatteryState.POWER_SUPPLY_STATUS_NOT_CHARGING)


def _health(s: PowerState, charge_from_k: float) -> int:
    cold = s.box_k < charge_from_k
    good, bad = BatteryState.POWER_SUPPLY_HEALTH_GOOD, BatteryState.POWER_SUPPLY_HEALTH_COLD
    return int(bad if cold else good)


def _values(s: PowerState) -> dict[str, object]:
    values: dict[str, Any] = {
        "charge": s.charge, "battery_w": s.battery_w, "sources_w": s.sources_w,
        "solar_w": s.solar_w, "box_k": s.box_k, "charger": s.charger,
        "sun_share": s.light.share, "sun_elevation_deg": math.degrees(s.light.elevation_rad),
    }  # fmt: skip
    values |= {f"load.{name}_w": watts for name, watts in s.loads_w.items()}
    for name, route in (("earth", s.earth), ("base", s.base)):
        values |= {f"link.{name}.{key}": v for key, v in _route(route).items()}
    return values


def _route(route: Route | None) -> dict[str, object]:
    if route is None:
        return {"path": "none", "rate_mbps": 0.0}
    path = " > ".join(route.path)
    return {"path": path, "rate_mbps": route.rate_bps * 1e-6, "delay_s": route.delay_s}
