"""The compiled core: everything else about the distribution stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

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

extensions = [
    Extension(
        f"glidecache_shared.pool.{source.stem}",
        [str(source)],
        include_dirs=[str(POOL)],
        depends=[str(header) for header in sorted(POOL.glob("*.h"))],
        extra_compile_args=compile_args,
    )
    for source in sorted(POOL.glob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        include_path=["shared"],
        build_dir="build/cython",
        compiler_directives={"language_level": "3", "embedsignature": True, "binding": False},
    ),
)
