"""`make install` into a prefix of its own, what it leaves there, and that `make uninstall` leaves nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from typing import TYPE_CHECKING

import pytest

from support.process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "/opt/glidecache-test"
PACKAGES = sysconfig.get_path("purelib")
MAKE_SECONDS = 300.0

pytestmark = pytest.mark.timeout(600)


def make(target: str, destdir: Path, wheel_dir: Path, prefix: str = PREFIX) -> str:
    """Run a target as somebody would who makes a package and is careful, only without fetching anything.

    What builds it, and what it depends on, comes from the tests' own environment.
    """
    command = ["make", "--silent", "--old-file=builder", f"BUILDER={sys.prefix}", target]
    settings = [f"DESTDIR={destdir}", f"PREFIX={prefix}", f"WHEEL_DIR={wheel_dir}", "PIP_ARGS=--no-deps"]
    done = subprocess.run(
        [*command, *settings],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PACKAGES},
        capture_output=True,
        text=True,
        check=False,
        timeout=MAKE_SECONDS,
        umask=0o077,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(destdir: Path, wheel: Path) -> None:
    """What `make install` runs, with a wheel that is there already."""
    settings = {"DESTDIR": str(destdir), "PREFIX": PREFIX, "PIP_ARGS": "--no-deps", "PYTHONPATH": PACKAGES}
    subprocess.run(
        [ROOT / "scripts" / "install", wheel, sys.executable],
        env={**os.environ, **settings},
        check=True,
        timeout=MAKE_SECONDS,
    )


def files(directory: Path) -> list[str]:
    """Everything below that is no directory."""
    return sorted(
        f"/{path.relative_to(directory)}"
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


@pytest.fixture(scope="module")
def wheel_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheel") / "wheels"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel_dir: Path) -> Path:
    """A directory that stands for a host's root, with everything installed."""
    destdir = tmp_path_factory.mktemp("installed")
    make("install", destdir, wheel_dir)
    return destdir


def run(installed: Path, command: str, *arguments: str) -> str:
    """Run an installed command from where it lies now; its modules are the installed ones."""
    home = installed / PREFIX[1:] / "lib" / "glidecached"
    return subprocess.run(
        [home / "bin" / "python", home / "bin" / command, *arguments],
        env={"PYTHONPATH": PACKAGES, "PATH": os.environ["PATH"]},
        cwd=installed,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_the_wheel_has_every_file_for_a_host(installed: Path, wheel_dir: Path) -> None:
    """`glidecached --install-units` has them from there; `installed` has made it."""
    del installed
    (wheel,) = wheel_dir.glob("*.whl")
    folder = "glidecached/host/shipped/"
    with zipfile.ZipFile(wheel) as archive:
        names = [name.removeprefix(folder) for name in archive.namelist() if name.startswith(folder)]
        contents = {name.replace("_x2d_", r"\x2d"): archive.read(folder + name) for name in names}
    sources = [*(ROOT / "systemd").rglob("*.*"), *(ROOT / "man").iterdir(), ROOT / "glidecached.toml.example"]
    files = [source for source in sources if source.is_file()]
    assert contents == {str(source.relative_to(ROOT)): source.read_bytes() for source in files}
    assert not any("\\" in name for name in names), "installers may refuse it"


def test_the_commands_run(installed: Path) -> None:
    assert re.fullmatch(r"glidecached \d+\.\d+\.\d+\n", run(installed, "glidecached", "--version"))
    assert "ping" in run(installed, "glidecache", "--help")
    checked = run(installed, "glidecached", "--check-config", "--config", "etc/glidecached/glidecached.toml")
    assert checked == "etc/glidecached/glidecached.toml: correct\n"


def test_the_commands_are_found_by_name_and_lead_to_the_installed_interpreter(installed: Path) -> None:
    for command in ("glidecached", "glidecache"):
        link = installed / PREFIX[1:] / "bin" / command
        assert link.is_symlink()
        assert link.read_text().startswith(f"#!{PREFIX}/lib/glidecached/bin/python\n")


def test_the_units_start_what_was_installed(installed: Path) -> None:
    for unit in ("glidecached.service", "glidecached@.service"):
        text = (installed / "etc/systemd/system" / unit).read_text()
        assert f"ExecStart={PREFIX}/bin/glidecached --config /etc/glidecached/" in text


def test_everything_has_its_place(installed: Path) -> None:
    outside = {path for path in files(installed) if not path.startswith(f"{PREFIX}/lib/")}
    assert outside == {
        "/etc/glidecached/glidecached.toml",
        "/etc/systemd/system/glidecached.service",
        "/etc/systemd/system/glidecached@.service",
        r"/etc/systemd/system/run-glidecached\x2dpools.mount",
        "/etc/sysusers.d/glidecached.conf",
        "/etc/tmpfiles.d/glidecached.conf",
        *(f"{PREFIX}/bin/{command}" for command in ("glidecache", "glidecached")),
        f"{PREFIX}/share/doc/glidecached/glidecached.toml.example",
        f"{PREFIX}/share/glidecached/installed.json",
        *(f"{PREFIX}/share/man/man{page.suffix[1:]}/{page.name}" for page in (ROOT / "man").iterdir()),
        *(
            f"{PREFIX}/share/{place}"
            for command in ("glidecache", "glidecached")
            for place in (
                f"bash-completion/completions/{command}",
                f"zsh/site-functions/_{command}",
                f"fish/vendor_completions.d/{command}.fish",
            )
        ),
    }


def test_whoever_runs_it_can_read_it(installed: Path) -> None:
    modes = {path: path.stat().st_mode for path in installed.rglob("*") if not path.is_symlink()}
    rights_of_others = {path: (mode & 0o007, mode >> 6 & 0o005) for path, mode in modes.items()}
    assert [str(path) for path, (have, need) in rights_of_others.items() if have != need] == []


def test_nothing_tells_of_the_directory_that_it_was_laid_into(installed: Path) -> None:
    telling = [path for path in files(installed) if holds(installed / path[1:], str(installed))]
    assert telling == []


def holds(path: Path, text: str) -> bool:
    return path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()


@pytest.mark.parametrize("command", ["glidecached", "glidecache"])
def test_completions_complete(installed: Path, command: str) -> None:
    """Bash asks the command itself, which has to be found under its name."""
    share = installed / PREFIX[1:] / "share"
    program = installed.with_name(f"{installed.name}-{command}") / command
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nfrom glidecached.cli.entry_points import {command}\n{command}()\n"
    )
    program.chmod(0o755)
    asked = (
        f'source "{share}/bash-completion/completions/{command}"; '
        f'COMP_WORDS=({command} --ver); COMP_CWORD=1; _{command}_completion {command}; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(
        ["bash", "-c", asked],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": f"{program.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "--version", done.stderr
    assert (share / "zsh" / "site-functions" / f"_{command}").read_text().startswith(f"#compdef {command}\n")
    assert (
        f"--command {command} " in (share / "fish" / "vendor_completions.d" / f"{command}.fish").read_text()
    )


def test_a_changed_configuration_is_kept_by_both(installed: Path, wheel_dir: Path, tmp_path: Path) -> None:
    destdir = tmp_path / "root"
    shutil.copytree(installed, destdir, symlinks=True)
    configuration = destdir / "etc/glidecached/glidecached.toml"
    configuration.write_text("# mine\n")
    install(destdir, *wheel_dir.glob("*.whl"))
    assert configuration.read_text() == "# mine\n"
    assert files(destdir) == files(installed), "installed twice is installed once"
    assert "was changed, and stays" in make("uninstall", destdir, wheel_dir)
    assert files(destdir) == ["/etc/glidecached/glidecached.toml"]


def test_nothing_is_left(installed: Path, wheel_dir: Path, tmp_path: Path) -> None:
    destdir = tmp_path / "root"
    shutil.copytree(installed, destdir, symlinks=True)
    others = destdir / PREFIX[1:] / "bin" / "another-program"
    others.touch()
    make("uninstall", destdir, wheel_dir)
    assert files(destdir) == [f"{PREFIX}/bin/another-program"]
    assert not (destdir / "etc/glidecached").exists()


@pytest.mark.parametrize(
    ("prefix", "fault"),
    [
        ("relative", "must be absolute paths, and relative is not"),
        ("/opt/with space", "'/opt/with space' has others"),
        ("/opt/a&b", "'/opt/a&b' has others"),
    ],
)
def test_a_prefix_that_cannot_work_is_refused(prefix: str, fault: str) -> None:
    done = subprocess.run(
        ["make", "--silent", "uninstall", f"PREFIX={prefix}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert fault in done.stderr


def test_a_place_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        ["make", "--silent", "uninstall", f"DESTDIR={tmp_path / 'file'}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    first, *_ = done.stderr.splitlines()
    assert first.startswith(f"install: {tmp_path / 'file'} is no directory that ")
    assert "do this as root" in first
