"""Fresh interpreters in which modules are not installed, as far as the import system can tell."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from support.process import child_environment

if TYPE_CHECKING:
    from collections.abc import Collection

_HIDE = """
import sys
class Hiding:
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        if is_hidden(name.partition('.')[0]):
            return None
        return self.finder.find_spec(name, path, target)
    def __getattr__(self, name):
        return getattr(self.finder, name)
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
for name in list(sys.modules):
    if is_hidden(name.partition('.')[0]):
        del sys.modules[name]
"""
"""Modules that the interpreter's own start has imported, by way of its site-packages, is forgotten too."""

OWN = ("glidecache", "glidecached", "glidecache_shared")


def without(hidden: Collection[str]) -> str:
    """Python source that hides these modules from what follows it."""
    return f"is_hidden = {sorted(hidden)!r}.__contains__\n{_HIDE}"


def with_only(shown: Collection[str]) -> str:
    """Python source that hides all but Python's own modules, this project's, and these."""
    return (
        "import sys\n"
        f"shown = {{*sys.stdlib_module_names, *sys.builtin_module_names, '__main__', *{[*OWN, *shown]!r}}}\n"
        f"is_hidden = lambda name: name not in shown\n{_HIDE}"
    )


def start(program: str, *arguments: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """Start a program; it has nothing to read, and writes to a pipe or to the descriptor `output`."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
    )
