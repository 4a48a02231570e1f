"""Write the parts of an installation of the daemon, as CycloneDX: `make sbom`.

    PYTHONPATH=tools python -m wheels.sbom WHEEL

The wheel is installed with its extras `daemon` and `top` into an environment of its own. What is there is written to
dist/glidecached-VERSION.cdx.json: the project, its dependencies and theirs, with versions and licenses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = Path("build/sbom")
_SECONDS = 300


def main() -> None:
    """Write it, and print its name."""
    wheel = Path(sys.argv[1]).absolute()
    os.chdir(ROOT)
    shutil.rmtree(WORK, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", WORK], check=True, timeout=_SECONDS)
    python = WORK / "bin" / "python"
    install = ["-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, *install, f"{wheel}[daemon,top]"], check=True, timeout=_SECONDS)
    version = wheel.name.split("-")[1]
    target = Path("dist") / f"glidecached-{version}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    describe = [
        "environment",
        "--output-reproducible",
        "--pyproject",
        "pyproject.toml",
        "--output-file",
        target,
        python,
    ]
    subprocess.run([Path(sys.executable).with_name("cyclonedx-py"), *describe], check=True, timeout=_SECONDS)
    print(target.name)


if __name__ == "__main__":
    main()
