"""The wheel: what is in it and what is not, that all of it can be imported, and what a worker's installation weighs."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from support.process import ROOT

PACKAGES = Path(sysconfig.get_path("purelib"))
MAKE_SECONDS = 300.0
MOST_BYTES = 12_000_000
"""The files of a worker's installation: glidecached, msgpack, and what Python compiles of both."""

SOURCES = {".c", ".h", ".pxd", ".pyx"}

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel's content and msgpack, as `pip install --target` makes it."""
    wheels = tmp_path_factory.mktemp("wheel")
    command = [
        "make",
        "--silent",
        "--old-file=builder",
        f"BUILDER={sys.prefix}",
        f"WHEEL_DIR={wheels / 'made'}",
    ]
    done = subprocess.run(
        [*command, "wheel"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=MAKE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (wheels / "made").glob("*.whl")
    target = wheels / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    for found in PACKAGES.glob("msgpack*"):
        target.joinpath(found.name).symlink_to(found)
    return target


def own_files(installed: Path) -> list[Path]:
    return sorted(path for path in installed.rglob("*") if path.is_file())


def run(installed: Path, program: str, *more_packages: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the installed packages, and no others."""
    return subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": os.pathsep.join(map(str, [installed, *more_packages]))},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_source_of_a_compiled_module_is_in_it(installed: Path) -> None:
    names = {path.relative_to(installed).as_posix() for path in own_files(installed)}
    assert [name for name in names if Path(name).suffix in SOURCES] == []
    compiled = {name.partition(".")[0] for name in names if name.endswith(".so")}
    declared = {
        path.relative_to(ROOT / root).with_suffix("").as_posix()
        for root in ("client", "daemon", "shared")
        for pattern in ("*.py", "*.pyx")
        for path in (ROOT / root).rglob(pattern)
        if path.suffix == ".pyx" or path.with_suffix(".pxd").exists()
    }
    assert compiled == declared | {"glidecache_shared/_cython_utility"}
    assert [name for name in compiled if f"{name}.py" in names] == []


def test_what_type_checkers_and_the_daemon_read_is_in_it(installed: Path) -> None:
    for root in ("client", "daemon", "shared"):
        wanted = [
            path.relative_to(ROOT / root)
            for path in (ROOT / root).rglob("*")
            if path.suffix == ".pyi" or path.name == "py.typed" or path.parent.name == "page"
        ]
        assert Path("py.typed") in {Path(path.name) for path in wanted}
        assert [str(path) for path in wanted if not (installed / path).exists()] == []


def test_it_has_no_symbols_for_debuggers(installed: Path) -> None:
    modules = [path for path in own_files(installed) if path.suffix == ".so" and "msgpack" not in path.parts]
    assert modules
    assert [path.name for path in modules if b"\0.symtab\0" in path.read_bytes()] == []


def test_all_of_it_can_be_imported(installed: Path) -> None:
    """With what the extras bring: no module was left out that another one needs."""
    program = (
        "import importlib, pathlib, sys\n"
        "root = pathlib.Path(sys.path[1])\n"
        "for path in sorted(root.glob('glidecache*/**/*')):\n"
        "    if path.name in ('__main__.py', '__init__.py') or path.suffix not in ('.py', '.so'):\n"
        "        continue\n"
        "    name = '.'.join([*path.relative_to(root).parent.parts, path.name.partition('.')[0]])\n"
        "    module = importlib.import_module(name)\n"
        "    assert module.__file__ == str(path), module.__file__\n"
    )
    done = run(installed, program, PACKAGES)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_base_answers_for_itself(installed: Path, tmp_path: Path) -> None:
    program = (
        f"import sys; sys.argv[1:] = ['ping', '--runtime-dir', {str(tmp_path)!r}]\n"
        "import glidecache.sync\n"
        "from glidecached.cli.entry_points import glidecache; glidecache()"
    )
    done = run(installed, program)
    assert done.returncode == 3
    assert done.stderr.startswith(f"no daemon in {tmp_path}: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_workers_installation_is_light(installed: Path, tmp_path: Path) -> None:
    everything = tmp_path / "everything"
    for source in installed.iterdir():
        for path in [each for each in source.rglob("*") if each.is_file() and each.suffix != ".pyc"]:
            target = everything / path.relative_to(installed)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    compileall.compile_dir(everything, quiet=1)
    size_bytes = sum(path.stat().st_size for path in everything.rglob("*") if path.is_file())
    assert 0.5 * MOST_BYTES < size_bytes <= MOST_BYTES
