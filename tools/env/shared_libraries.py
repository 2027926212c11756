"""Find shared libraries that installed wheels need and this machine lacks.

Reads the dynamic section of ELF files itself: ``ldd`` runs code, needs the libraries of each
wheel on its path, and is missing from some minimal systems.
"""

from __future__ import annotations

import mmap
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_SONAME = 0, 1, 5, 14
_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"

# Plug-ins for frameworks that this package does not use; nothing loads them unless asked to.
OPTIONAL = {"libc10.so", "libtorch_cpu.so", "libtensorflow_framework.so.2"}


def dynamic_names(path: Path) -> tuple[str | None, list[str]]:
    """Return the soname of an ELF file and the sonames it needs; nothing for any other file."""
    if path.stat().st_size < 64:
        return None, []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:6] != _ELF64_LITTLE_ENDIAN:
            return None, []
        header_at = struct.unpack_from("<Q", data, 32)[0]
        header_size, header_count = struct.unpack_from("<HH", data, 54)
        loads: list[tuple[int, int, int]] = []
        dynamic: tuple[int, int] | None = None
        for index in range(header_count):
            at = header_at + index * header_size
            kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", data, at)
            if kind == _PT_LOAD:
                loads.append((address, offset, size))
            elif kind == _PT_DYNAMIC:
                dynamic = (offset, size)
        if dynamic is None:
            return None, []
        strings_at, needed_at, soname_at = 0, [], None
        for at in range(dynamic[0], dynamic[0] + dynamic[1], 16):
            tag, value = struct.unpack_from("<qQ", data, at)
            if tag == _DT_NULL:
                break
            if tag == _DT_NEEDED:
                needed_at.append(value)
            elif tag == _DT_SONAME:
                soname_at = value
            elif tag == _DT_STRTAB:
                strings_at = next(o + value - a for a, o, n in loads if a <= value < a + n)

        def text(offset: int) -> str:
            start = strings_at + offset
            return data[start : data.find(b"\0", start)].decode()

        return (
            None if soname_at is None else text(soname_at),
            [text(offset) for offset in needed_at],
        )


def _elf_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            yield path


class Loader:
    """What the machine's own loader finds: its cache, and files in the cache's folders."""

    def __init__(self) -> None:
        listed = ""
        for command in ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"):
            try:
                listed = subprocess.run(
                    [command, "-p"], capture_output=True, text=True, check=True
                ).stdout
                break
            except (OSError, subprocess.CalledProcessError):
                continue
        rows = [line.strip() for line in listed.splitlines() if " => " in line]
        self._names = {row.split()[0] for row in rows}
        self._folders = {Path(row.split(" => ")[1]).parent for row in rows}
        self._folders |= {Path(name) for name in ("/lib", "/usr/lib", "/lib64", "/usr/lib64")}

    def finds(self, soname: str) -> bool:
        """Return whether a library of this name would be found."""
        return soname in self._names or any((f / soname).exists() for f in self._folders)


def unresolved(prefix: Path) -> dict[str, list[str]]:
    """Return each soname that neither the environment nor the machine has, with who needs it.

    A wheel's own libraries are found by run paths, preloading and ``LD_LIBRARY_PATH``, each in
    its way; what the environment holds anywhere is therefore taken as resolved.
    """
    bundled: set[str] = set()
    wanted: dict[str, set[str]] = {}
    for path in _elf_files(prefix / "lib"):
        soname, needed = dynamic_names(path)
        bundled.update({path.name} if soname is None else {path.name, soname})
        for name in needed:
            wanted.setdefault(name, set()).add(_owner(path, prefix))
    loader = Loader()
    return {
        name: sorted(owners)
        for name, owners in sorted(wanted.items())
        if name not in bundled | OPTIONAL and not loader.finds(name)
    }


def _owner(path: Path, prefix: Path) -> str:
    parts = path.relative_to(prefix).parts
    after = parts.index("site-packages") + 1 if "site-packages" in parts else 1
    return parts[after].removesuffix(".libs")
