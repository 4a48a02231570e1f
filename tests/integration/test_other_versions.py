"""A real daemon of another release: what the commands and a client with servers of its own do about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from glidecache import DaemonUnavailableError, GlideClientConfiguration, NodeAddress
from glidecache.sync import GlideClient
from glidecache_shared import __version__, protocol
from glidecache_shared.pool.reader import LAYOUT_VERSION
from support.hidden_modules import start
from support.other_daemon import OtherDaemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.valkey_server import ValkeyServer

OPERATOR = "from glidecached.cli.entry_points import glidecache\nglidecache()"
SECONDS = 60.0


@pytest.fixture(scope="module")
def make_other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int, int], OtherDaemon]]:
    """Start a daemon with these versions of protocol and layout; one of each kind serves the module."""
    made: dict[tuple[int, int], OtherDaemon] = {}

    def make(*versions: int) -> OtherDaemon:
        kind = versions[0], versions[1]
        if kind not in made:
            made[kind] = OtherDaemon(tmp_path_factory.mktemp("other"), kind)
            made[kind].start()
        return made[kind]

    yield make
    for daemon in made.values():
        daemon.discard()


def run(runtime_dir: Path, *arguments: str) -> tuple[int | None, str]:
    """Return the output of `glidecache`, and its exit status."""
    process = start(OPERATOR, *arguments, "--runtime-dir", str(runtime_dir))
    output, errors = process.communicate(timeout=SECONDS)
    return process.returncode, output + errors


OWN = protocol.PROTOCOL_VERSION
ADVICE = {
    OWN + 1: "install glidecached 9.0.0 for this process, and restart it",
    OWN - 1: f"upgrade the daemon to glidecached {__version__}, and restart it",
}


@pytest.mark.parametrize("theirs", [OWN + 1, OWN - 1])
def test_another_protocol(
    make_other: Callable[..., OtherDaemon],
    valkey: ValkeyServer,
    theirs: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = make_other(theirs, LAYOUT_VERSION).runtime_dir
    status, pinged = run(place, "ping")
    assert status == 0
    assert "glidecached 9.0.0 answers, pid " in pinged
    assert f"; this command is {__version__} and speaks protocol {OWN}, the daemon {theirs}\n" in pinged
    fact = (
        f"glidecached 9.0.0 at {place} speaks protocol {theirs}, this command ({__version__}) protocol {OWN}"
    )
    assert run(place, "stats") == (1, f"{fact}: {ADVICE[theirs]}\n")
    found = {each["check"]: each for each in json.loads(run(place, "doctor", "--json")[1])}
    assert found["versions"] == {
        "check": "versions",
        "status": "fail",
        "seen": fact,
        "advice": ADVICE[theirs],
    }
    with pytest.raises(DaemonUnavailableError, match=f"speaks protocol {theirs}, .*{ADVICE[theirs]}$"):
        GlideClient.create(GlideClientConfiguration(runtime_dir=place))
    here = [NodeAddress("127.0.0.1", valkey.port)]
    with GlideClient.create(GlideClientConfiguration(here, runtime_dir=place)) as client:
        client.set("k", "v")
        assert client.get("k") == b"v"
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert f"{ADVICE[theirs]}; meanwhile commands go to the servers directly" in warning


def test_another_layout_is_none_of_an_operators_business(make_other: Callable[..., OtherDaemon]) -> None:
    place = make_other(OWN, LAYOUT_VERSION + 1).runtime_dir
    assert run(place, "ping")[1].endswith(f"; this command is {__version__}\n")
    assert run(place, "stats")[0] == 0
    found = {each["check"]: each for each in json.loads(run(place, "doctor", "--json")[1])}
    assert found["versions"]["status"] == "fail"
    assert f"keeps pools of layout {LAYOUT_VERSION + 1}" in found["versions"]["seen"]


def test_another_release_alone_is_a_warning_of_doctor(make_other: Callable[..., OtherDaemon]) -> None:
    place = make_other(OWN, LAYOUT_VERSION).runtime_dir
    assert run(place, "ping")[1].endswith(f"; this command is {__version__}\n")
    found = {each["check"]: each for each in json.loads(run(place, "doctor", "--json")[1])}
    assert found["versions"]["status"] == "warn"
    assert "daemon 9.0.0" in found["versions"]["seen"]
