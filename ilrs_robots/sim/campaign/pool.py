"""Runs on all cores, each in a process of its own that may fail, hang or be killed alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.sim.campaign import outcome as word
from ilrs_robots.sim.campaign.config import CampaignConfig
from ilrs_robots.sim.campaign.outcome import RunResult

MODULE: Final = "ilrs_robots.sim.campaign.one"
_LAST_CHARACTERS: Final = 600
_ONE_THREAD: Final = {
    name: "1"
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
}


class Children:
    """The processes that run now, so that all of them can be ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def start(self, command: Sequence[str], log: Any) -> subprocess.Popen[bytes]:
        """Start a process group.

        Raises:
            RuntimeError: ``end`` was called.
        """
        environment = {**os.environ, **_ONE_THREAD}
        with self._lock:
            if self._closed:
                raise RuntimeError("the campaign is ending")
            child = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True, env=environment,
            )  # fmt: skip
            self._running.add(child)
        return child

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """Kill one and what it started."""
        with self._lock:
            self._running.discard(child)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    def open(self) -> None:
        """Let processes be started again."""
        with self._lock:
            self._closed = False

    def end(self) -> None:
        """Kill all; none is started until ``open``."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            self.kill(child)


_CHILDREN = Children()


def run_apart(
    seed: int,
    settings: dict[str, Any],
    limit_s: float,
    module: str = MODULE,
    children: Children = _CHILDREN,
) -> dict[str, Any]:
    """Drive one world in a process of its own; a result comes whatever happens there.

    Args:
        seed: of the world.
        settings: of ``CampaignConfig``, as plain values.
        limit_s: wall time after which the process is killed.
        module: what is run.
        children: where the process is kept.
    """
    with tempfile.TemporaryDirectory(prefix="ilrs_campaign_") as name:
        folder = Path(name)
        out, log, config = folder / "run.json", folder / "log.txt", folder / "config.json"
        config.write_text(json.dumps(settings), encoding="utf-8")
        command = [sys.executable, "-m", module, str(seed), str(config), str(out)]
        with log.open("wb") as file:
            child = children.start([*command, str(os.getpid())], file)
            try:
                code: int | None = child.wait(limit_s)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                children.kill(child)
        said = " ".join(log.read_text(encoding="utf-8", errors="replace").split())
        said = said[-_LAST_CHARACTERS:]
        if code is None:
            return RunResult(seed, word.ERROR, f"killed after {limit_s:.0f} s").to_json()
        try:
            return dict(json.loads(out.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            why = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
            return RunResult(seed, word.ERROR, f"{why}: {said or 'no word'}").to_json()


class Campaign:
    """The folder of a campaign: its settings, and one JSON file for each run that ended.

    Attributes:
        folder: where everything lies.
        config: what worlds are like.
    """

    def __init__(self, folder: Path, config: CampaignConfig, *, resume: bool = False) -> None:
        """Open or make the folder.

        Raises:
            ConfigError: the folder holds something already and ``resume`` is not set, or it holds
                a campaign with other settings.
        """
        self.folder, self.config = folder, config
        self._runs = folder / "runs"
        settings = folder / "campaign.json"
        if settings.exists():
            if not resume:
                raise ConfigError(f"{folder} holds a campaign already: go on with --resume")
            self._refuse_others(json.loads(settings.read_text(encoding="utf-8")))
        elif folder.exists() and any(folder.iterdir()):
            raise ConfigError(f"{folder} holds something else already: choose another folder")
        self._runs.mkdir(parents=True, exist_ok=True)
        settings.write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")

    def _refuse_others(self, then: dict[str, Any]) -> None:
        now = json.loads(json.dumps(asdict(self.config)))
        for key in sorted({*then, *now}):
            if then.get(key) != now.get(key):
                raise ConfigError(
                    f"{self.folder} holds a campaign with {key} = {then.get(key)}, now it is "
                    f"{now.get(key)}: runs of both would not compare"
                )

    def path(self, seed: int) -> Path:
        """Where the result of a seed lies."""
        return self._runs / f"{seed:06d}.json"

    def results(self) -> list[RunResult]:
        """All runs that are there, by seed; a file that cannot be read counts as no run."""
        found = []
        for path in sorted(self._runs.glob("*.json")):
            try:
                found.append(RunResult.from_json(json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def missing(self, seeds: Sequence[int]) -> list[int]:
        """Seeds without a run; one that broke off is made again."""
        there = {run.seed for run in self.results() if run.outcome != word.ERROR}
        return [seed for seed in seeds if seed not in there]

    def run(
        self,
        seeds: Sequence[int],
        executor: Executor,
        limit_s: float,
        on_result: Callable[[RunResult], None] = lambda _run: None,
        module: str = MODULE,
    ) -> None:
        """Make every run of these seeds and keep each as soon as it has ended.

        Args:
            seeds: of the worlds.
            executor: threads here, or a cluster's.
            limit_s: wall time of one run.
            on_result: called for each.
            module: what is run.
        """
        settings = asdict(self.config)
        work = {executor.submit(run_apart, s, settings, limit_s, module): s for s in seeds}
        for done in as_completed(work):
            try:
                values = done.result()
            except Exception as error:  # a worker of a cluster may vanish
                values = RunResult(work[done], word.ERROR, f"{type(error).__name__}: {error}")
                values = values.to_json()
            self._keep(work[done], values)
            on_result(RunResult.from_json(values))

    def _keep(self, seed: int, values: dict[str, Any]) -> None:
        path = self.path(seed)
        fresh = path.with_suffix(".part")
        fresh.write_text(json.dumps(values) + "\n", encoding="utf-8")
        os.replace(fresh, path)


@contextmanager
def workers(jobs: int, address: str = "") -> Iterator[Executor]:
    """Threads that each wait for one process; or, with an address, a dask cluster.

    Args:
        jobs: processes at a time, 0 for one per core.
        address: of a dask scheduler, empty for none.

    Raises:
        ConfigError: dask is not installed, or nobody answers at the address.
    """
    if address:
        with _cluster(address) as executor:
            yield executor
        return
    pool = ThreadPoolExecutor(jobs or len(os.sched_getaffinity(0)))
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        _CHILDREN.end()
        pool.shutdown(wait=True)
        _CHILDREN.open()


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise ConfigError("a cluster needs dask: pip install 'ilrs_robots[cluster]'") from error
    try:
        client = Client(address, timeout="5s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ConfigError(f"no dask scheduler answers at {address}: {error}") from error
    with client, client.get_executor() as executor:
        yield executor
