"""The compiled modules: everything else about the distribution stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOTS = (Path("shared"), Path("client"), Path("daemon"))
POOL = Path("shared/glidecache_shared/pool")
DEBUG = os.environ.get("GLIDECACHED_DEBUG_BUILD") == "1"

compile_args = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Wno-sign-compare",
    "-fno-strict-aliasing",
]
compile_args += ["-O0", "-g", "-UNDEBUG"] if DEBUG else ["-O2", "-g0"]


def compiled(root: Path) -> list[Path]:
    """Return the sources of the compiled modules: all `.pyx`, and each `.py` that a `.pxd` beside it types."""
    typed = (declarations.with_suffix(".py") for declarations in root.rglob("*.pxd"))
    return sorted([*root.rglob("*.pyx"), *(source for source in typed if source.exists())])


extensions = [
    Extension(
        ".".join(source.relative_to(root).with_suffix("").parts),
        [str(source)],
        include_dirs=[str(POOL)],
        depends=[str(header) for header in sorted(POOL.glob("*.h"))],
        extra_compile_args=compile_args,
    )
    for root in ROOTS
    for source in compiled(root)
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=[str(root) for root in ROOTS],
        build_dir="build/cython",
        compiler_directives={"language_level": "3", "embedsignature": True, "binding": False},
    ),
)
