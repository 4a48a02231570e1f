"""The compiled modules: their sources, their C code and the compiler's arguments, for `setup.py` and the wheels.

The environment's CFLAGS go before what is said here about -O and -g. GLIDECACHED_DEBUG_BUILD=1 compiles without
optimisation, and with assertions. GLIDECACHED_C_CODE is the folder of the C code: each virtual environment needs one
of its own, since Cython makes all of it again for another installation of itself. GLIDECACHED_REUSE_MODULES=1 takes
modules that `make core` has compiled, where nothing of theirs has changed since, instead of compiling them again.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.modified import newer_group

ROOTS = (Path("shared"), Path("client"), Path("daemon"))
HEADERS = (Path("shared/glidecache_shared/pool"), Path("daemon/glidecached/advice"))
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
    # No exception of C++ passes through: tables to unwind the stack would be a twentieth of an installation.
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
    # A call into Python goes by its address: a stub for each function of Python that a module calls is not needed.
    "-fno-plt",
]


_UNALIGNED = ["-fno-align-functions", "-fno-align-jumps", "-fno-align-labels", "-fno-align-loops"]
_COMPACT = [*_UNALIGNED, "-finline-limit=30"]
"""For the daemon, most of whose time is the kernel's: without them its modules would be a tenth larger.

Functions that Cython has in each module are called, not copied into each of their callers.
"""

_OF_MANY_KEYS = {
    "glidecached.advice.change_rates",
    "glidecached.advice.key_sample",
    "glidecached.many_reads",
}
"""Modules with work for each of many keys, where calls of small functions would cost a tenth."""

_RARE = {
    "glidecache_shared._cython_utility",
    "glidecache_shared.owned_descriptor",
    "glidecache_shared.pool.check",
    "glidecache_shared.pool.files.mapping",
    "glidecache_shared.pool.files.pool_file",
    "glidecache_shared.pool.files.trim",
    "glidecache_shared.pool.generation",
    "glidecache_shared.pool.resize",
    "glidecache_shared.pool.restart.state_file",
    "glidecache_shared.pool.restart.takeover",
    "glidecache_shared.uninterrupted",
    "glidecached.advice.sample_estimates",
    "glidecached.advice.sample_sources",
    "glidecached.advice.stale_reads",
    "glidecached.advice.written_prefixes",
    "glidecached.frontend.long_messages",
    "glidecached.frontend.reply_packer",
    "glidecached.handlers.arguments",
    "glidecached.handlers.calls",
    "glidecached.handlers.facts",
    "glidecached.handlers.forget",
    "glidecached.pools.forgotten_keys",
    "glidecached.pools.key_hasher",
    "glidecached.upstream.cluster.node_request",
    "glidecached.upstream.cluster.reply_collector",
    "glidecached.upstream.long_replies",
    "glidecached.upstream.resp_assembly",
}
"""Modules that the usual hit, miss and command hardly touch: they are compiled for size."""


_UTILITY = "glidecache_shared._cython_utility"
"""The module of what Cython would else put into each of the others: an installation is 0.6 MB smaller with it."""


def _of_module(root: Path, name: str) -> list[str]:
    """Return the compiler's arguments for a module besides `compile_arguments`."""
    if os.environ.get("GLIDECACHED_DEBUG_BUILD") == "1":
        return []
    if name in _RARE:
        return [*_COMPACT, "-Os"]
    if root.name != "daemon":
        return []
    return _UNALIGNED if name in _OF_MANY_KEYS else _COMPACT


def compile_arguments() -> list[str]:
    """Return the compiler's arguments, without those that CFLAGS decides."""
    if os.environ.get("GLIDECACHED_DEBUG_BUILD") == "1":
        return [*_STANDARD, "-O0", "-g", "-UNDEBUG", "-fasynchronous-unwind-tables"]
    chosen = shlex.split(os.environ.get("CFLAGS", ""))
    arguments = list(_STANDARD)
    if not any(flag.startswith("-O") for flag in chosen):
        arguments.append("-O2")
    if not any(flag.startswith("-g") for flag in chosen):
        arguments.append("-g0")
    return arguments


def link_arguments() -> list[str]:
    """Return the linker's arguments.

    Without noseparate-code, constants, code and data each begin on a page of their own, in each of the modules. A wheel
    is for those who install it, and has no symbols. What `make core` builds beside the sources keeps them: profilers
    and debuggers name functions by them.
    """
    packed = [flag for flag in ("-Wl,-z,noseparate-code",) if _linker_takes(flag)]
    return [*packed, "-Wl,-s"] if _makes_wheel() else packed


def _makes_wheel() -> bool:
    return "bdist_wheel" in sys.argv and os.environ.get("GLIDECACHED_DEBUG_BUILD") != "1"


def _linker_takes(flag: str) -> bool:
    """Return whether the compiler that is used links with this flag: not all linkers know all of GNU's."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "nothing.c")
        source.touch()
        command = [*compiler, "-shared", "-fPIC", flag, "-o", str(Path(directory, "nothing.so")), str(source)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def sources(root: Path) -> list[Path]:
    """Return the sources of the compiled modules: all `.pyx`, and each `.py` that a `.pxd` beside it types."""
    typed = (declarations.with_suffix(".py") for declarations in root.rglob("*.pxd"))
    return sorted([*root.rglob("*.pyx"), *(source for source in typed if source.exists())])


def cythonized(*, quiet: bool = False) -> list[Extension]:
    """Return the compiled modules, with their C code below `C_CODE`, made again where it is out of date."""
    arguments, linking = compile_arguments(), link_arguments()
    named = [
        (root, source, ".".join(source.relative_to(root).with_suffix("").parts))
        for root in ROOTS
        for source in sources(root)
    ]
    modules = [
        Extension(
            name,
            [str(source)],
            include_dirs=[str(folder) for folder in HEADERS],
            depends=[str(header) for folder in HEADERS for header in sorted(folder.glob("*.h"))],
            extra_compile_args=[*arguments, *_of_module(root, name)],
            extra_link_args=linking,
        )
        for root, source, name in named
    ]
    modules.append(
        Extension(
            _UTILITY,
            [f"shared/{_UTILITY.replace('.', '/')}.c"],
            extra_compile_args=[*arguments, *_of_module(Path("shared"), _UTILITY)],
            extra_link_args=linking,
        )
    )
    made: list[Extension] = cythonize(
        modules,
        include_path=[str(root) for root in ROOTS],
        build_dir=str(C_CODE),
        nthreads=JOBS,
        quiet=quiet,
        shared_utility_qualified_name=_UTILITY,
        compiler_directives={"language_level": "3", "embedsignature": True, "binding": False},
    )
    return made


class BuildModules(build_ext):
    """setuptools' command, which compiles a module only once for this checkout and its wheel."""

    def build_extension(self, ext: Extension) -> None:
        """Compile the module, or take the one beside its sources, without its symbols."""
        root = next(root for root in ROOTS if (root / ext.name.split(".")[0]).is_dir())
        beside = root / self.get_ext_filename(ext.name)
        strip = shutil.which("strip")
        reuse = os.environ.get("GLIDECACHED_REUSE_MODULES") == "1" and _makes_wheel() and strip is not None
        if reuse and beside.exists() and not newer_group([*ext.sources, *ext.depends], str(beside)):
            target = Path(self.get_ext_fullpath(ext.name))
            self.mkpath(str(target.parent))
            subprocess.run([strip, "-o", str(target), str(beside)], check=True)
        else:
            super().build_extension(ext)


class BuildPythonModules(build_py):
    """setuptools' command, which leaves out the sources of compiled modules where it copies the others.

    The compiled module is the one that is imported. Its tracebacks do not find the source in an installation either,
    and `inspect` does not ask for it. Beside the sources themselves (an editable installation) all stays.
    """

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """Return the package's modules: its name, the module's, the file's."""
        found = super().find_package_modules(package, package_dir)
        if self.editable_mode or not self.distribution.ext_modules:
            return found
        return [module for module in found if not Path(module[2]).with_suffix(".pxd").exists()]
