"""Services of the terrain map: forget it, keep it in a file, bring it back.

Files are written and read by a thread of their own, from a copy of the map, so that scans go on.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grid_map_msgs.srv import ProcessFile
from rclpy.task import Future
from std_srvs.srv import Empty

from ilrs_robots.core.errors import IlrsError, StorageError, TerrainError
from ilrs_robots.core.io import map_files
from ilrs_robots.core.io.map_files import SavedMap
from ilrs_robots.core.mapping.layers import LAYERS
from ilrs_robots.core.types import FloatArray
from ilrs_robots.nodes.parameters import declare_one
from ilrs_robots.robots import map_store
from ilrs_robots.robots.map_topics import MapTopic
from ilrs_robots.robots.map_view import MapView
from ilrs_robots.robots.steps import MappingStep

if TYPE_CHECKING:
    from ilrs_robots.nodes.managed import ManagedNode

T = TypeVar("T")


class MapServices:
    """``terrain/clear``, ``terrain/save`` and ``terrain/load``.

    A save to ``.npz`` can be loaded; one to ``.tif`` is a GeoTIFF of the layers of the topic that
    the request names, or of ``elevation_map``.

    Args:
        node: that owns the services.
        step: whose map it is.
        view: its layers.
        topics: GridMap topics, whose layers are exported.
        anchor: gives T_map_odom, or None where nobody knows it.
        changed: called when the map became another one.

    Attributes:
        trouble: why the last save failed on the disk; empty after one that did not.
        failed: saves that the disk refused.
    """

    def __init__(
        self,
        node: ManagedNode,
        step: MappingStep,
        view: MapView,
        topics: tuple[MapTopic, ...],
        anchor: Callable[[], FloatArray | None],
        changed: Callable[[], None],
    ) -> None:
        self.trouble, self.failed = "", 0
        self._node, self._step, self._view = node, step, view
        self._anchor, self._changed = anchor, changed
        self._layers = {topic.name: topic.layers for topic in topics}
        doc = "folder of saved maps; empty: ilrs_robots/maps in the user's state folder"
        self._folder = str(declare_one(node, "maps_dir", "", doc))
        self._site = node.site_name, node.seed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="maps")
        node.service(Empty, "terrain/clear", self._on_clear)
        node.service(ProcessFile, "terrain/save", self._on_save)
        node.service(ProcessFile, "terrain/load", self._on_load)

    def close(self) -> None:
        """Finish the file that is being written."""
        self._thread.shutdown(wait=True)

    def _on_clear(self, _request: Any, response: Any) -> Any:
        self._step.clear()
        self._changed()
        self._node.get_logger().info("map cleared by request")
        return response

    async def _on_save(self, request: Any, response: Any) -> Any:
        try:
            path = self._path(request.file_path, map_files.KINDS)
            names = self._named(request.topic_name)
            copy = self._copy(names)
            await self._apart(lambda: self._write(path, copy, names))
        except IlrsError as error:
            if isinstance(error, StorageError):
                self.trouble = f"the map is not saved: {error}"
                self.failed += 1
            self._node.get_logger().error(f"map not saved: {error}")
            response.success = False
            return response
        self.trouble = ""
        self._node.get_logger().info(f"map saved to {path}")
        response.success = True
        return response

    async def _on_load(self, request: Any, response: Any) -> Any:
        try:
            path = self._path(request.file_path, map_files.KINDS[:1])
            saved = await self._apart(lambda: map_files.load_map(path))
            now_ns = self._node.now_ns()
            words = map_store.restore(self._step, saved, self._anchor(), now_ns)
        except IlrsError as error:
            self._node.get_logger().error(f"map not loaded, the present one stays: {error}")
            response.success = False
            return response
        self._changed()
        self._node.get_logger().info(f"map loaded from {path}: {words}")
        response.success = True
        return response

    def _path(self, named: str, kinds: tuple[str, ...]) -> Path:
        return map_files.inside(map_store.maps_folder(self._folder), named, kinds)

    def _named(self, topic: str) -> tuple[str, ...]:
        name = topic.rsplit("/", 1)[-1] or "elevation_map"
        if name not in self._layers:
            raise TerrainError(f"no map topic {topic!r}; there are {', '.join(self._layers)}")
        return self._layers[name]

    def _copy(self, names: tuple[str, ...]) -> SavedMap:
        anchor = self._anchor()
        layers = {k: v.copy() for k, v in self._view.layers(names, anchor)[0].items()}
        units = {name: spec.unit for name, spec in LAYERS.items()}
        return map_store.snapshot(self._step, anchor, layers, units)

    def _write(self, path: Path, copy: SavedMap, names: tuple[str, ...]) -> None:
        _prior, place = map_store.site_ground(*self._site)
        saved = replace(copy, place=place)
        if path.suffix == ".npz":
            map_files.save_map(path, saved)
        else:
            map_files.export_geotiff(path, saved, names)

    async def _apart(self, work: Callable[[], T]) -> T:
        """Do something in the thread; the executor goes on meanwhile."""
        done = Future(executor=self._node.executor)

        def run() -> None:
            try:
                done.set_result(work())
            except Exception as error:
                done.set_exception(error)

        self._thread.submit(run)
        found: T = await done
        return found
