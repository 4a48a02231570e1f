"""The compiled modules: everything else about the distribution stands in pyproject.toml.

The environment's CC and CFLAGS are respected, and what they say about -O and -g goes before what is said here.
GLIDECACHED_DEBUG_BUILD=1 compiles without optimisation, with assertions. GLIDECACHED_NO_EXTENSIONS=1 leaves the modules
out: `make` installs the project so, and compiles them beside it, once.
"""

import os
import runpy
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOTS = (Path("shared"), Path("client"), Path("daemon"))
POOL = Path("shared/glidecache_shared/pool")
DEBUG = os.environ.get("GLIDECACHED_DEBUG_BUILD") == "1"
NO_EXTENSIONS = os.environ.get("GLIDECACHED_NO_EXTENSIONS") == "1"
JOBS = len(os.sched_getaffinity(0))


def compile_args() -> list[str]:
    """Return the compiler's arguments, without those that the environment decides."""
    chosen = shlex.split(os.environ.get("CFLAGS", ""))
    arguments = [
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Wno-unused-parameter",
        "-Wno-sign-compare",
        # gcc 14 and clang 16 refuse it by themselves; gcc 12 would go on with a call of the wrong type.
        "-Werror=incompatible-pointer-types",
        "-fno-strict-aliasing",
    ]
    if DEBUG:
        return [*arguments, "-O0", "-g", "-UNDEBUG"]
    if not any(flag.startswith("-O") for flag in chosen):
        arguments.append("-O2")
    if not any(flag.startswith("-g") for flag in chosen):
        arguments.append("-g0")
    return arguments


def link_args() -> list[str]:
    """Return the linker's arguments: a wheel is for those who install it, and has no symbols and no padding.

    What `make core` builds beside the sources keeps its symbols: profilers and debuggers name functions by them.
    """
    if DEBUG or "bdist_wheel" not in sys.argv:
        return []
    # Without noseparate-code, constants, code and data each begin on a page of their own, in each of the modules.
    return ["-Wl,-s", *(flag for flag in ("-Wl,-z,noseparate-code",) if linker_takes(flag))]


def linker_takes(flag: str) -> bool:
    """Return whether the compiler that is used links with this flag: not all linkers know all of GNU's."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "nothing.c")
        source.touch()
        command = [*compiler, "-shared", "-fPIC", flag, "-o", str(Path(directory, "nothing.so")), str(source)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def compiled(root: Path) -> list[Path]:
    """Return the sources of the compiled modules: all `.pyx`, and each `.py` that a `.pxd` beside it types."""
    typed = (declarations.with_suffix(".py") for declarations in root.rglob("*.pxd"))
    return sorted([*root.rglob("*.pyx"), *(source for source in typed if source.exists())])


def extensions() -> list[object]:
    """Return the compiled modules, their C code made where it is out of date."""
    from Cython.Build import cythonize
    from setuptools import Extension

    arguments, linking = compile_args(), link_args()
    modules = [
        Extension(
            ".".join(source.relative_to(root).with_suffix("").parts),
            [str(source)],
            include_dirs=[str(POOL)],
            depends=[str(header) for header in sorted(POOL.glob("*.h"))],
            extra_compile_args=arguments,
            extra_link_args=linking,
        )
        for root in ROOTS
        for source in compiled(root)
    ]
    return cythonize(
        modules,
        include_path=[str(root) for root in ROOTS],
        build_dir="build/cython",
        nthreads=JOBS,
        quiet="--quiet" in sys.argv,
        compiler_directives={"language_level": "3", "embedsignature": True, "binding": False},
    )


def compiles() -> bool:
    """Return whether this run compiles: a source distribution and the metadata alone need no compiler."""
    return not NO_EXTENSIONS and not {"sdist", "egg_info", "dist_info"} & set(sys.argv[1:])


def main() -> None:
    """Run setuptools."""
    from setuptools import setup
    from setuptools.command.build_py import build_py

    class BuildPythonModules(build_py):
        """Leaves out the sources of compiled modules, where these are copied with the others.

        The compiled module is the one that is imported. Its tracebacks do not find the source in an installation
        either, and `inspect` does not ask for it. Beside the sources themselves (an editable installation) all stays.
        """

        def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
            """Return the package's modules: its name, the module's, the file's."""
            found = super().find_package_modules(package, package_dir)
            if self.editable_mode or not compiles():
                return found
            return [module for module in found if not Path(module[2]).with_suffix(".pxd").exists()]

    if compiles():
        problem = runpy.run_path(str(HERE / "tools/check_build.py"))["problem"]()
        if problem:
            sys.exit(f"glidecached: {problem}")
    setup(
        ext_modules=extensions() if compiles() else [],
        cmdclass={"build_py": BuildPythonModules},
        options={"build_ext": {"parallel": JOBS}},
    )


main()
