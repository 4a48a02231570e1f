"""The targets of wheels: each CPython, processor and C library."""

from __future__ import annotations

from dataclasses import dataclass

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROCESSORS = ("x86_64", "aarch64")

DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
DEBIAN_RELEASES = {"3.11": "bookworm", "3.13": "trixie", "3.14": "forky"}
"""The Debian release whose packages have that Python. None has 3.12: an interpreter of this machine is taken."""


@dataclass(frozen=True, slots=True)
class CLibrary:
    """A C library: its name in file names, the compiler's name of it, and the platform tags of its wheels."""

    name: str
    compiler: str
    platforms: tuple[str, ...]


LIBRARIES = (
    CLibrary("gnu", "gnu.2.17", ("manylinux2014", "manylinux_2_17")),
    CLibrary("musl", "musl", ("musllinux_1_2",)),
)


@dataclass(frozen=True, slots=True)
class Target:
    """The target of one wheel."""

    python: str
    processor: str
    library: CLibrary

    @property
    def abi(self) -> str:
        """Python's tag and its ABI's, which are the same: `cp311`."""
        return f"cp{self.python.replace('.', '')}"

    @property
    def platform(self) -> str:
        """The platform tag, or several with dots between: `manylinux2014_x86_64.manylinux_2_17_x86_64`."""
        return ".".join(f"{platform}_{self.processor}" for platform in self.library.platforms)

    @property
    def tag(self) -> str:
        """The wheel's whole tag."""
        return f"{self.abi}-{self.abi}-{self.platform}"

    @property
    def suffix(self) -> str:
        """The end of a compiled module's file name, as that interpreter looks for it."""
        return f".cpython-{self.abi[2:]}-{self.processor}-linux-{self.library.name}.so"

    @property
    def triple(self) -> str:
        """The compiler's name of the target."""
        return f"{self.processor}-linux-{self.library.compiler}"

    def __str__(self) -> str:
        """Return the name that `--only` takes."""
        return f"{self.abi}-{self.processor}-{self.library.name}"


TARGETS = tuple(
    Target(python, processor, library)
    for python in PYTHONS
    for processor in PROCESSORS
    for library in LIBRARIES
)


def chosen(names: list[str]) -> tuple[Target, ...]:
    """Return the targets that have one of these parts each: `cp312`, `aarch64-musl`, `cp311-x86_64-gnu`.

    Raises ValueError for a part that no target has. No parts: all targets.
    """
    for name in names:
        if not any(_has(target, name) for target in TARGETS):
            message = f"no wheel is made for {name!r}; choose from: {', '.join(map(str, TARGETS))}"
            raise ValueError(message)
    return tuple(target for target in TARGETS if not names or any(_has(target, name) for name in names))


def _has(target: Target, part: str) -> bool:
    return f"-{part}-" in f"-{target}-"
