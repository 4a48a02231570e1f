"""`glidecached --install-units` and `--uninstall-units`: what they lay down, remove, leave alone and refuse.

The files themselves, out of a wheel, are test_install.py's; a real systemd is tests/systemd/test_packaged_host.py's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

from glidecached.cli.daemon import main
from glidecached.host import activation, shipped_files
from glidecached.host.host_errors import HostError
from glidecached.host.installation import HIDDEN, Installation
from glidecached.host.places import Places
from support.process import ROOT, child_environment
from support.users import User, command_as

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "/opt/one"
UNIT = "etc/systemd/system/glidecached.service"
CONFIGURATION = "etc/glidecached/glidecached.toml"
RECORD = "opt/one/share/glidecached/installed.json"
SOMEBODY = User(uid=64_123, gid=64_123)


class Outcome(NamedTuple):
    """The end of a call."""

    status: int
    said: str
    fault: str


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory in the place of a host's root."""
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def call(root: Path) -> Callable[..., Outcome]:
    """Call `glidecached` for that host, below the prefix."""

    def call(*options: str, prefix: str = PREFIX, destdir: str | None = None) -> Outcome:
        environment = {"DESTDIR": str(root) if destdir is None else destdir, "SYSCONFDIR": None}
        done = CliRunner().invoke(main, [*options, "--prefix", prefix], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Outcome(done.exit_code, done.stdout, done.stderr)

    return call


def state(root: Path) -> dict[str, tuple[int, int, str]]:
    """Every file and link: when it was made, its mode, and its content."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_mode & 0o777,
            os.readlink(path) if path.is_symlink() else path.read_text(),  # noqa: PTH115 - the text as it is
        )
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def error_of(outcome: Outcome) -> str:
    """The one line that says what was wrong, without the warning that staging may give."""
    assert outcome.status == 1, outcome
    lines = [line for line in outcome.fault.splitlines() if "warning: " not in line]
    assert len(lines) == 1, outcome.fault
    return lines[0].removeprefix("glidecached: ")


def test_again_changes_nothing(call: Callable[..., Outcome], root: Path) -> None:
    assert call("--install-units").status == 0
    before = state(root)
    assert len(before) > 15
    assert call("--install-units").status == 0
    assert state(root) == before


def test_the_unit_and_the_links_lead_to_this_installation(call: Callable[..., Outcome], root: Path) -> None:
    call("--install-units")
    own = Path(sys.prefix) / "bin" / "glidecached"
    assert f"ExecStart={own} --config /etc/glidecached/" in (root / UNIT).read_text()
    assert os.readlink(root / "opt/one/bin/glidecached") == str(own)  # noqa: PTH115


def test_an_installation_below_the_prefix_is_named_by_its_link() -> None:
    installation = Installation(scripts="/stage/opt/one/lib/glidecached/bin", parts=())
    places = Places(prefix=PREFIX, destdir="/stage")
    assert installation.command("glidecached", places) == "/opt/one/bin/glidecached"
    assert installation.link("glidecached", places) == "../lib/glidecached/bin/glidecached"
    in_bin = Installation(scripts="/stage/opt/one/bin", parts=())
    assert in_bin.link("glidecached", places) is None, "the command itself is there"


def test_exactly_what_was_laid_down_goes(call: Callable[..., Outcome], root: Path) -> None:
    others = root / "opt/one/share/man/man8/others.8"
    others.parent.mkdir(parents=True)
    others.touch()
    call("--install-units")
    assert call("--uninstall-units").said == "removed below /opt/one\n"
    assert list(state(root)) == ["opt/one/share/man/man8/others.8"]
    assert not (root / "etc/glidecached").exists()
    assert error_of(call("--uninstall-units")).startswith("nothing is recorded as installed below /opt/one: ")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_configuration_of_the_operators_stays(call: Callable[..., Outcome], root: Path, when: str) -> None:
    if when == "before":
        (root / CONFIGURATION).parent.mkdir(parents=True)
        (root / CONFIGURATION).write_text("# mine\n")
    call("--install-units")
    (root / CONFIGURATION).write_text("# mine\n")
    call("--install-units")
    assert (root / CONFIGURATION).read_text() == "# mine\n"
    assert f"{root / CONFIGURATION} was changed, and stays\n" in call("--uninstall-units").said
    assert list(state(root)) == [CONFIGURATION]


def test_what_a_later_version_no_longer_has_goes(call: Callable[..., Outcome], root: Path) -> None:
    call("--install-units")
    gone = root / "opt/one/share/man/man1/gone.1"
    gone.touch()
    record = json.loads((root / RECORD).read_text())
    record["files"][f"/{gone.relative_to(root)}"] = "0"
    (root / RECORD).write_text(json.dumps(record))
    (root / UNIT).write_text("# of an earlier version\n")
    assert call("--install-units").status == 0
    assert not gone.exists()
    assert "ExecStart=" in (root / UNIT).read_text()


def make_file(path: Path) -> None:
    path.write_text("mine\n")


def make_link(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [make_file, make_link, Path.mkdir])
@pytest.mark.parametrize("place", [UNIT, "opt/one/bin/glidecache", "opt/one/share/man/man8/glidecached.8"])
def test_what_others_made_is_not_replaced(
    call: Callable[..., Outcome], root: Path, place: str, make: Callable[[Path], None]
) -> None:
    (root / place).parent.mkdir(parents=True)
    make(root / place)
    before = sorted(root.rglob("*"))
    assert error_of(call("--install-units")) == (
        f"{root / place} would be replaced, and glidecached did not lay it down here: move it away first"
    )
    assert sorted(root.rglob("*")) == before, "nothing is written"


def test_a_link_to_this_very_command_stays_its_makers(call: Callable[..., Outcome], root: Path) -> None:
    """As pipx makes it."""
    theirs = root / "opt/one/bin/glidecached"
    theirs.parent.mkdir(parents=True)
    theirs.symlink_to(os.path.relpath(Path(sys.prefix) / "bin" / "glidecached", theirs.parent))
    assert call("--install-units").status == 0
    call("--uninstall-units")
    assert list(state(root)) == ["opt/one/bin/glidecached"]


def test_a_file_instead_of_a_directory_is_named(call: Callable[..., Outcome], root: Path) -> None:
    (root / "opt/one").mkdir(parents=True)
    (root / "opt/one/share").touch()
    said = error_of(call("--install-units"))
    assert said.startswith(str(root / "opt/one/share/"))
    assert said.endswith(" cannot be written: Not a directory")
    (root / "opt/one/share").unlink()
    assert call("--install-units").status == 0, "what was begun is continued"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is no record of what was installed ("),
        ("[]", "is no record of what was installed ("),
        ('{"version": "1"}', "is no record of what was installed ("),
        (
            '{"version": "1", "files": {"/etc/../root/x": "0"}}',
            "names /etc/../root/x, which is neither below ",
        ),
        ('{"version": "1", "files": {"/var/x": "0"}}', "names /var/x, which is neither below "),
    ],
)
@pytest.mark.parametrize("option", ["--install-units", "--uninstall-units"])
def test_a_damaged_record_removes_nothing(
    call: Callable[..., Outcome], root: Path, option: str, text: str, fault: str
) -> None:
    call("--install-units")
    (root / RECORD).write_text(text)
    before = state(root)
    assert error_of(call(option)).startswith(f"{root / RECORD} {fault}")
    assert state(root) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_who_may_not_write_is_told_so_once(root: Path) -> None:
    command = [sys.executable, "-m", "glidecached", "--install-units", "--prefix", PREFIX]
    done = subprocess.run(
        command_as(SOMEBODY, command),
        env=child_environment(DESTDIR=str(root)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = error_of(Outcome(done.returncode, done.stdout, done.stderr))
    place, _, rest = said.partition(" is no directory that ")
    assert root.is_relative_to(place), "the first that this user cannot pass"
    assert rest == f"uid {SOMEBODY.uid} may write to: do this as root, or give another prefix or DESTDIR"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_read_only_place_is_named(root: Path) -> None:
    command = [sys.executable, "-m", "glidecached", "--install-units", "--prefix", PREFIX]
    mounted = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o ro none "$0" && exec "$@"',
        str(root),
        *command,
    ]
    if subprocess.run([*mounted[:6], "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel, or this container, does not let root mount file systems")
    done = subprocess.run(
        mounted,
        env=child_environment(DESTDIR=str(root)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = error_of(Outcome(done.returncode, done.stdout, done.stderr))
    assert said.startswith(f"{root} is no directory that root may write to: ")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (
            ["--install-units", "--uninstall-units"],
            "--install-units and --uninstall-units exclude each other",
        ),
        (["--enable"], "--enable is for --install-units"),
        (["--uninstall-units", "--enable"], "--enable is for --install-units"),
        (["--prefix", "/opt"], "--prefix is for --install-units and --uninstall-units"),
        (["--install-units", "--embedded"], "--embedded is for a daemon, and --install-units starts none"),
        (
            ["--uninstall-units", "--runtime-dir", "/run/x"],
            "--runtime-dir is for a daemon, and --uninstall-units starts none",
        ),
    ],
)
def test_options_that_do_not_belong_together_are_refused(options: list[str], fault: str) -> None:
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert fault in done.stderr


@pytest.mark.parametrize("directory", [*activation.UNIT_DIRECTORIES[1:], "/etc/systemd/system"])
def test_another_unit_of_the_name_is_told_of(
    call: Callable[..., Outcome], root: Path, directory: str
) -> None:
    prefix = PREFIX if directory != "/etc/systemd/system" else "/usr/local"
    assert " is there as well" not in call("--install-units", prefix=prefix).fault
    other = root / directory[1:] / "glidecached.service"
    other.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("[Service]\nExecStart=/usr/bin/another\n")
    warning = (
        f"glidecached: warning: {other} is there as well, and systemd takes the one in /etc/systemd/system: "
    )
    assert warning in call("--install-units", prefix=prefix).fault


def test_nothing_is_enabled_elsewhere(call: Callable[..., Outcome], root: Path) -> None:
    said = error_of(call("--install-units", "--enable"))
    assert said.startswith("--enable cannot be done: with DESTDIR nothing is enabled; ")
    assert state(root) == {}


def test_without_systemd_enabling_is_refused_first(
    call: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "_RUNS_THIS_HOST", tmp_path / "nothing")
    said = error_of(call("--install-units", "--enable", prefix=str(tmp_path / "prefix"), destdir=""))
    assert "systemd does not run this host" in said
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("failing", range(len(activation.START)))
def test_the_step_that_fails_is_named(failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that stand for systemd's note their arguments; one of them fails."""
    named = " ".join(activation.START[failing])
    for program in {command[0] for command in activation.START}:
        path = tmp_path / program
        path.write_text(
            f'#!/bin/sh\nset -- {program} "$@"\necho "$*" >>"{tmp_path}/calls"\n'
            f'[ "$*" != "{named}" ] || {{ echo "no room" >&2; exit 3; }}\n'
        )
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HostError) as caught:
        activation.enable()
    assert str(caught.value) == f"`{named}` failed with status 3 (no room); what was laid down stays"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == [" ".join(command) for command in activation.START[: failing + 1]]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_the_unit_hides_is_refused(hidden: str) -> None:
    assert f"\n{HIDDEN[hidden]}\n" in (ROOT / "systemd" / "glidecached.service").read_text()
    path = f"{hidden}/environment/bin/glidecached"
    (hindrance,) = Installation(scripts="", parts=(path,)).hindrances(Places())
    assert hindrance.startswith(
        f"the service could not reach {path}, since {HIDDEN[hidden]} of its unit hides {hidden}: install "
    )


def test_what_others_may_not_enter_is_refused_by_its_name() -> None:
    closed = Path(f"/dev/shm/glidecached-closed-{os.getpid()}")  # noqa: S108 - hidden by nothing
    inside = closed / "open" / "glidecached"
    try:
        inside.parent.mkdir(parents=True)
        inside.touch(0o644)
        closed.chmod(0o755)
        installation = Installation(scripts="", parts=(str(inside),))
        assert list(installation.hindrances(Places())) == []
        for path, mode in ((closed, 0o700), (inside, 0o600)):
            before = path.stat().st_mode & 0o777
            path.chmod(mode)
            (hindrance,) = installation.hindrances(Places())
            assert f"since only some users may enter or read {path}: chmod o+rX {path}, or " in hindrance
            path.chmod(before)
    finally:
        shutil.rmtree(closed)


def test_an_installation_without_units_says_so(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"has no units in .*: install its wheel again"):
        shipped_files.ShippedFiles(tmp_path)
