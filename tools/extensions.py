"""The compiled modules: their sources, their C code and the compiler's arguments, for `setup.py` and the wheels.

The environment's CFLAGS go before what is said here about -O and -g. GLIDECACHED_DEBUG_BUILD=1 compiles without
optimisation, and with assertions. GLIDECACHED_C_CODE is the folder of the C code: each virtual environment needs one of
its own, since Cython makes all of it anew for another installation of itself. GLIDECACHED_REUSE_MODULES=1 takes modules
that `make core` has compiled, where nothing of theirs has changed since, instead of compiling them again.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.modified import newer_group

ROOTS = (Path("shared"), Path("client"), Path("daemon"))
HEADERS = Path("shared/glidecache_shared/pool")
C_CODE = Path(os.environ.get("GLIDECACHED_C_CODE", "build/cython"))
JOBS = len(os.sched_getaffinity(0))

_STANDARD = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-sign-compare",
    # gcc 14 and clang 16 refuse it by themselves; gcc 12 would go on with a call of the wrong type.
    "-Werror=incompatible-pointer-types",
    "-fno-strict-aliasing",
]


def compile_arguments() -> list[str]:
    """Return the compiler's arguments, without those that CFLAGS decides."""
    if os.environ.get("GLIDECACHED_DEBUG_BUILD") == "1":
        return [*_STANDARD, "-O0", "-g", "-UNDEBUG"]
    chosen = shlex.split(os.environ.get("CFLAGS", ""))
    arguments = list(_STANDARD)
    if not any(flag.startswith("-O") for flag in chosen):
        arguments.append("-O2")
    if not any(flag.startswith("-g") for flag in chosen):
        arguments.append("-g0")
    return arguments


def sources(root: Path) -> list[Path]:
    """Return the sources of the compiled modules: all `.pyx`, and each `.py` that a `.pxd` beside it types."""
    typed = (declarations.with_suffix(".py") for declarations in root.rglob("*.pxd"))
    return sorted([*root.rglob("*.pyx"), *(source for source in typed if source.exists())])


def cythonized(*, quiet: bool = False) -> list[Extension]:
    """Return the compiled modules, with their C code below `C_CODE`, made anew where it is out of date."""
    arguments = compile_arguments()
    modules = [
        Extension(
            ".".join(source.relative_to(root).with_suffix("").parts),
            [str(source)],
            include_dirs=[str(HEADERS)],
            depends=[str(header) for header in sorted(HEADERS.glob("*.h"))],
            extra_compile_args=arguments,
        )
        for root in ROOTS
        for source in sources(root)
    ]
    made: list[Extension] = cythonize(
        modules,
        include_path=[str(root) for root in ROOTS],
        build_dir=str(C_CODE),
        nthreads=JOBS,
        quiet=quiet,
        compiler_directives={"language_level": "3", "embedsignature": True, "binding": False},
    )
    return made


class BuildModules(build_ext):
    """setuptools' command, which compiles a module only once for this checkout and its wheel."""

    def build_extension(self, ext: Extension) -> None:
        """Compile the module, or take the one beside its sources."""
        root = next(root for root in ROOTS if (root / ext.name.split(".")[0]).is_dir())
        beside = root / self.get_ext_filename(ext.name)
        reuse = os.environ.get("GLIDECACHED_REUSE_MODULES") == "1" and not self.inplace
        if reuse and beside.exists() and not newer_group([*ext.sources, *ext.depends], str(beside)):
            target = Path(self.get_ext_fullpath(ext.name))
            self.mkpath(str(target.parent))
            self.copy_file(str(beside), str(target))
        else:
            super().build_extension(ext)
