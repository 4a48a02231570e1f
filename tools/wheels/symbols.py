"""The symbols that a wheel's modules take from elsewhere, and whether its interpreter and C library have them.

A module for a C library that no interpreter is at hand for is checked so, at least.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from elftools.elf.elffile import ELFFile
from wheels.debian import Packages
from wheels.targets import DEBIAN_ARCHITECTURES

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

    from wheels.targets import Target

_PYTHONS_OWN = ("Py", "_Py")
_OPTIONAL = {"__gmon_start__", "_ITM_deregisterTMCloneTable", "_ITM_registerTMCloneTable"}
"""Weak symbols that compilers leave in: they may be missing."""

_LIBRARIES = {
    "gnu": ("libc6", ("libc.so.6", "libpthread.so.0", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1")),
    "musl": ("musl", ("ld-musl-x86_64.so.1", "ld-musl-aarch64.so.1", "libc.so")),
}
"""Of each C library: Debian's package, and the files in it that have the symbols."""

_RELEASE = "bookworm"


def missing_symbols(wheel: Path, target: Target, cache: Path) -> set[str]:
    """Return what the wheel's modules need and the C library lacks. Python's own symbols are known by their names."""
    needed: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so"):
                needed |= _undefined(io.BytesIO(archive.read(name)))
    foreign = {name for name in needed if not name.startswith(_PYTHONS_OWN)} - _OPTIONAL
    return foreign - _provided(target, cache)


def _provided(target: Target, cache: Path) -> set[str]:
    package, files = _LIBRARIES[target.library.name]
    architecture = DEBIAN_ARCHITECTURES[target.processor]
    folder = cache / f"libc-{target.library.name}-{target.processor}"
    if not folder.exists():
        packages = Packages(cache / f"apt-{_RELEASE}-{architecture}", _RELEASE, architecture)
        packages.unpack([f"{package}:{architecture}"], folder)
    symbols: set[str] = set()
    for path in folder.rglob("*.so*"):
        if path.name in files and path.is_file():
            with path.open("rb") as file:
                symbols |= {symbol for symbol, defined in _symbols(file) if defined}
    return symbols


def _undefined(file: IO[bytes]) -> set[str]:
    return {symbol for symbol, defined in _symbols(file) if not defined}


def _symbols(file: IO[bytes]) -> list[tuple[str, bool]]:
    section = ELFFile(file).get_section_by_name(".dynsym")
    if section is None:
        return []
    return [
        (symbol.name, symbol["st_shndx"] != "SHN_UNDEF") for symbol in section.iter_symbols() if symbol.name
    ]
