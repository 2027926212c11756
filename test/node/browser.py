"""A headless Chromium, driven through its own debugging protocol."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--mute-audio", "--no-proxy-server", "--hide-scrollbars",
)  # fmt: skip


def program() -> str | None:
    """A Chromium of this machine."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One browser with one page."""

    def __init__(self, folder: Path, size: tuple[int, int] = (1280, 720)) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        found = program()
        assert found is not None
        width, height = size
        command = [found, *ARGUMENTS, f"--user-data-dir={folder}",
                   f"--window-size={width},{height}", "about:blank"]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._next, self._port = 0, self._debugging_port(folder / "DevToolsActivePort")
        self._attach()

    def _debugging_port(self, file: Path) -> int:
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            lines = file.read_text().split() if file.is_file() else []
            if len(lines) > 1:
                return int(lines[0])
            time.sleep(0.05)
        raise TimeoutError("the browser opened no debugging port")

    def _attach(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/json") as answer:
            page = next(p for p in json.load(answer) if p["type"] == "page")
        self._id = page["id"]
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=2**26)

    def reopen(self) -> None:
        """Close the page, with all that it holds, and open an empty one."""
        old = self._id
        self.call("Target.createTarget", url="about:blank")
        self._socket.close()
        urllib.request.urlopen(f"http://127.0.0.1:{self._port}/json/close/{old}").close()
        end = time.monotonic() + 10.0
        while time.monotonic() < end:
            self._attach()
            if self._id != old:
                return
            self._socket.close()

    def call(self, method: str, **parameters: Any) -> Any:
        self._next += 1
        self._socket.send(json.dumps({"id": self._next, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60.0))
            if answer.get("id") == self._next:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    def text(self) -> str:
        return str(self.value("document.body ? document.body.innerText : ''"))

    def click(self, x: float, y: float) -> None:
        for kind, buttons in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=x,
                y=y,
                clickCount=1,
                button="none" if kind == "mouseMoved" else "left",
                buttons=buttons,
            )

    def press(self, label: str) -> None:
        """Click the button of that label."""
        found = self.value(
            "(() => {const b = [...document.querySelectorAll('button')]"
            f".find(e => e.innerText.trim() === {json.dumps(label)});"
            "if (!b) return null; b.scrollIntoView({block: 'center'});"
            "const r = b.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        assert found, f"no button {label!r} in: {self.text()}"
        self.click(*found)

    def picture(self, path: Path) -> None:
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
