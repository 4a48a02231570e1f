"""The unit files themselves: what systemd says of them, and that the template is the service for several."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from support.process import ROOT
from support.service import CONNECT, READ, TABLES

if TYPE_CHECKING:
    from support.machine import Machine
    from support.service import Valkey

MOST_EXPOSED = 1.5
UNITS = ["glidecached.service", "glidecached@orders.service"]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong(machine: Machine, unit: str) -> None:
    machine.run("sh", "-c", f"systemd-analyze verify --man=no {unit} >/tmp/found 2>&1")
    assert machine.run("cat", "/tmp/found") == ""  # noqa: S108 - the machine's own


@pytest.mark.parametrize("unit", UNITS)
def test_little_is_exposed(machine: Machine, unit: str) -> None:
    security = ("systemd-analyze", "security", "--offline=true", "--no-pager")
    path = f"/etc/systemd/system/{unit.replace('orders', '')}"
    assert machine.ok(*security, f"--threshold={MOST_EXPOSED * 10:.0f}", path)
    assert not machine.ok(*security, "--threshold=5", path), "the threshold is what decides"


def test_what_is_left_out_has_its_reason_in_the_unit(machine: Machine) -> None:
    found = json.loads(
        machine.run(
            *("systemd-analyze", "security", "--offline=true", "--no-pager", "--json=short"),
            "/etc/systemd/system/glidecached.service",
        )
    )
    left_out = [entry["name"] for entry in found if entry["set"] is False]
    assert len(left_out) > 5
    reasons = (ROOT / "systemd" / "glidecached.service").read_text().partition("# Not set on purpose")[2]
    for name in left_out:
        for directive in re.findall(r"(\w+)=", name):
            assert f"{directive}=" in reasons, name


def test_what_is_shipped_starts(machine: Machine) -> None:
    machine.run(
        "sh", "-c", "mkdir -p /etc/glidecached; cp /opt/sources/systemd/glidecached.toml /etc/glidecached"
    )
    machine.run("systemctl", "start", "glidecached.service")
    machine.run("systemctl", "stop", "glidecached.service")


def test_the_template_differs_in_names_alone() -> None:
    service, template = (
        (ROOT / "systemd" / name).read_text().partition("[Unit]")[2]
        for name in ("glidecached.service", "glidecached@.service")
    )
    for of_service, of_template in (
        ("glidecached.toml ", "%i.toml "),
        ("%t/glidecached", "%t/glidecached-%i"),
        ("RuntimeDirectory=glidecached", "RuntimeDirectory=glidecached-%i"),
        ("glidecached/password", "glidecached/%i.password"),
        ("glidecached.service/password", "glidecached@%i.service/password"),
        ("edit glidecached`", "edit glidecached@%i`"),
        ("reset-failed glidecached`", "reset-failed glidecached@%i`"),
        ("Description=glidecached,", "Description=glidecached %i,"),
    ):
        assert of_service in service
        service = service.replace(of_service, of_template)
    assert template == service


def test_two_daemons_serve_side_by_side(service: Machine, valkey: Valkey) -> None:
    orders = "\n".join(line for line in TABLES.splitlines() if "_dir" not in line)
    service.write("/etc/glidecached/orders.toml", orders)
    service.run("systemctl", "start", "glidecached.service", "glidecached@orders.service")
    try:
        valkey.command("SET", "shared", "value")
        both = [
            service.python(READ, "shared", "shared", user="insider", runtime_dir=directory)
            for directory in ("/run/glidecached", "/run/glidecached-orders")
        ]
        assert both == [{"values": ["value", "value"], "hits": 1}] * 2, "each has a cache of its own"
        refused = service.python(CONNECT, user="outsider", runtime_dir="/run/glidecached-orders")
        assert "Permission denied" in json.dumps(refused)
    finally:
        service.run("systemctl", "stop", "glidecached@orders.service")
