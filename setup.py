"""The compiled modules, by tools/extensions.py: everything else about the distribution is in pyproject.toml.

GLIDECACHED_NO_EXTENSIONS=1 leaves them out: `make` installs the project so, and compiles them beside it, once.
"""

import os
import sys
from pathlib import Path

from setuptools import setup

# setuptools runs this file without its folder in the path.
sys.path.insert(0, str(Path(__file__).resolve().parent / "tools"))
import check_build
import extensions
import pypi_page
import shipped_files_in_wheels

# A source distribution and the metadata alone need no compiler.
compiles = os.environ.get("GLIDECACHED_NO_EXTENSIONS") != "1" and not {
    "sdist",
    "egg_info",
    "dist_info",
} & set(sys.argv)
problem = check_build.problem() if compiles else None
if problem:
    sys.exit(f"glidecached: {problem}")

setup(
    long_description=pypi_page.page(),
    long_description_content_type="text/markdown",
    ext_modules=extensions.cythonized(quiet="--quiet" in sys.argv) if compiles else [],
    cmdclass={
        "build_ext": extensions.BuildModules,
        "build_py": shipped_files_in_wheels.BuildWithShippedFiles,
    },
    options={"build_ext": {"parallel": extensions.JOBS}},
)
