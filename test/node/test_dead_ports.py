"""A killed process leaves a port in shared memory; whoever comes next must not go deaf on it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from rclpy.node import Node
from std_msgs.msg import String

from ilrs_robots.cli.shared_memory import remove_dead, used_by
from ilrs_robots.nodes.dead_ports import MAKING_S, dead_ports_held

pytestmark = pytest.mark.node

LISTENER = """
from rclpy.node import Node
from std_msgs.msg import String
from ilrs_robots.nodes import runtime

class Echo(Node):
    def __init__(self):
        super().__init__("echo")
        out = self.create_publisher(String, "heard", 10)
        self.create_subscription(String, "said", out.publish, 10)

runtime.run(lambda: [Echo()])
"""


def port(folder: Path, number: int) -> Path:
    """A port's file and its lock, as Fast DDS names them."""
    (folder / f"fastrtps_port{number}").touch()
    os.utime(folder / f"fastrtps_port{number}", (0, 0))
    lock = folder / f"fastrtps_port{number}_el"
    lock.touch()
    return lock


def locked_by(pid: int) -> set[str]:
    """Locks of a domain's ports that a process has open (9900 and upwards: domains from 10)."""
    opened = {os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")}
    return {name for name in opened if re.search(r"fastrtps_port(?!70)\d{4,5}_el$", name)}


def inode(path: str) -> int:
    """Of a port's file; 0 where it is gone."""
    try:
        return Path(path).stat().st_ino
    except FileNotFoundError:
        return 0


def made_s(path: Path) -> float:
    """When a port was made; long ago where it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def test_dead_ports_are_held_and_nobody_elses(tmp_path: Path) -> None:
    dead, alive, elsewhere = (port(tmp_path, number) for number in (7413, 7415, 7663))
    (tmp_path / "fastrtps_port7417_el").touch()  # without its port
    (tmp_path / "fastrtps_port7419").touch()  # just being made
    port(tmp_path, 7421).unlink()  # whoever wrote there has noticed
    with alive.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)
        with dead_ports_held(0, tmp_path) as held, dead_ports_held(0, tmp_path) as again:
            assert (held, again) == ([7413, 7421], [])
            assert remove_dead(["fastrtps_port7413"], tmp_path) == []
        with dead_ports_held(1, tmp_path) as held:
            assert held == [7663]
    for lock in (dead, alive, elsewhere):
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_comes_after_a_killed_process_reads_from_another_port(
    graph: Any, domain_id: int
) -> None:
    node = graph.add(Node("speaker"))
    heard: list[str] = []
    node.create_subscription(String, "heard", lambda msg: heard.append(msg.data), 10)
    speaker = node.create_publisher(String, "said", 10)
    ports: list[set[str]] = []
    used: set[str] = set()
    files: list[dict[str, int]] = []
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain_id)}
    for word in ("first life", "second life"):
        process = subprocess.Popen([sys.executable, "-c", LISTENER], env=environment)
        try:

            def answered(word: str = word) -> bool:
                speaker.publish(String(data=word))
                return word in heard

            graph.until(answered, f"an answer in the {word}")
            ports.append(locked_by(process.pid))
            files.append({name: inode(name.removesuffix("_el")) for name in ports[-1]})
            used |= used_by(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        # A port just made is left alone: its participant may be about to lock it.
        left = [Path(lock.removesuffix("_el")) for lock in ports[-1]]
        graph.until(
            lambda left=left: all(time.time() - made_s(p) > MAKING_S for p in left),
            "ports that are old enough",
        )
    first, second = ports
    assert first
    # Where the speaker has noticed the death, at whatever time, it has removed the port: what then
    # has the number is another file.
    noticed = any(files[1].get(name, 0) != made for name, made in files[0].items())
    assert noticed or first < second, "the dead one's port is held, and another one is read from"
    remove_dead(used)
