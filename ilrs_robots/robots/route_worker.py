"""A route planned beside the control loop: asked for, looked at, dropped when it is not wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ilrs_robots.core.control.route_executive import RouteRequest
from ilrs_robots.core.errors import IlrsError, PlanningError
from ilrs_robots.core.planning.route_types import RouteAnswer

Show = Callable[[str, int, int], None]
Plan = Callable[[RouteRequest, Show], RouteAnswer]


class _UnwantedError(Exception):
    """Ends a planning that nobody waits for, from within."""


class _Job:
    def __init__(self, plan: Plan, request: RouteRequest) -> None:
        self.outcome: RouteAnswer | IlrsError | None = None
        self.said = ""
        self.unwanted = False
        self._plan, self._request = plan, request
        # A daemon: a process that ends does not wait for a plan.
        self.thread = threading.Thread(target=self._run, name="route", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._plan(self._request, self._show)
        except _UnwantedError:
            pass
        except IlrsError as error:
            self.outcome = error
        except Exception as error:  # a thread that dies in silence would be waited for for ever
            said = f"{type(error).__name__}: {error}"
            self.outcome = PlanningError(f"the route planner broke off: {said}")

    def _show(self, work: str, done: int, total: int) -> None:
        if self.unwanted:
            raise _UnwantedError
        self.said = f"{work} {100 * done // max(total, 1)} %"


class RouteWorker:
    """Plans one route at a time in a thread.

    Args:
        plan: takes a request and whom to show its progress; raises IlrsError where it cannot.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._job: _Job | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer has still to be taken."""
        return self._job is not None

    @property
    def said(self) -> str:
        """What it is doing, for people."""
        return "" if self._job is None else self._job.said

    def ask(self, request: RouteRequest) -> None:
        """Begin; what was asked before is dropped."""
        self.drop()
        self._job = _Job(self._plan, request)

    def take(self) -> RouteAnswer | IlrsError | None:
        """The answer or why there is none, once; None while there is nothing new."""
        if self._job is None or self._job.outcome is None:
            return None
        outcome, self._job = self._job.outcome, None
        return outcome

    def wait(self, limit_s: float) -> None:
        """Wait for the answer, where time stands meanwhile (lock-step)."""
        if self._job is not None:
            self._job.thread.join(limit_s)

    def drop(self) -> None:
        """Let a planning end at its next sign of life; its answer is lost."""
        if self._job is not None:
            self._job.unwanted = True
            self._job = None
