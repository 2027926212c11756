"""Picture of a run's power: charge, where power came from and went, and who could be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ilrs_robots.replay.evaluation import RunEvaluation
from ilrs_robots.view import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def power_figure(run: RunEvaluation) -> Figure:
    """Charge, powers and links over the clock's time."""
    power = run.power
    time_s = power["time_s"] - power["time_s"][0]
    figure = style.new_figure(11.0, 7.2)
    charge, watts, links = figure.subplots(3, 1, sharex=True)
    charge.plot(time_s, 100.0 * power["charge"], color=style.BLUE)
    charge.set_ylabel("battery (%)")
    charge.set_ylim(0.0, 105.0)
    watts.plot(time_s, power["sources_w"], color=style.ORANGE, label="sources could give")
    watts.plot(time_s, power["load_w"], color=style.GREEN, ls="--", label="loads")
    watts.set_ylabel("power (W)")
    watts.set_ylim(bottom=0.0)
    watts.legend(loc="best")
    links.plot(time_s, power["link.earth.rate_mbps"], color=style.VERMILION, label="to the Earth")
    links.plot(
        time_s, power["link.base.rate_mbps"], color=style.BLUE, ls="--", label="to the base"
    )
    links.set_ylabel("rate (Mbit/s)")
    links.set_ylim(bottom=0.0)
    links.legend(loc="best")
    links.set_xlabel("simulated time (s)")
    return figure
