"""One machine with a real systemd for all tests of this folder, and the daemon's service in it, fresh for each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from support.machine import Machine, why_not
from support.service import CONFIGURATION, DROP_IN, TABLES, UNIT, Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine. Where none can be started the tests are skipped; in CI, what could be installed has to be."""
    reason = why_not()
    if reason is not None:
        if os.environ.get("CI") == "true" and "is not installed" in reason:
            pytest.fail(reason)
        pytest.skip(reason)
    machine = Machine(tmp_path_factory.mktemp("machine"))
    try:
        machine.start()
        yield machine
    finally:
        machine.discard()


@pytest.fixture(scope="session")
def valkey(machine: Machine) -> Valkey:
    """A real Valkey in the machine."""
    return Valkey(machine)


@pytest.fixture
def service(machine: Machine, valkey: Valkey) -> Iterator[Machine]:
    """The machine, with the service configured and not started; stopped afterwards, and its pools removed."""
    del valkey
    machine.write(CONFIGURATION, TABLES)
    yield machine
    machine.run("systemctl", "stop", UNIT)
    machine.run("systemctl", "reset-failed", UNIT, check=False)
    machine.run("sh", "-c", f"rm -rf {DROP_IN} /dev/shm/glidecached-main/*")
    machine.run("systemctl", "daemon-reload")
