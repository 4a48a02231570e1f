"""Doctor's look at upstreams that the daemon has not used yet."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

from glidecached.doctor.check_upstreams import check_upstreams
from glidecached.doctor.context import Configuration, Contact, DoctorContext
from glidecached.doctor.result import Finding, Status
from glidecached.handlers.admin import bounded_upstreams
from support.valkey_server import HOST, free_port


def finding_of(addresses: list[str], name: str | None) -> Finding:
    """Return the finding about an unused upstream with these addresses, as STATS' bounded lists have them."""
    upstream: dict[str, Any] = {
        "name": name,
        "identity": "its addresses",
        "addresses": addresses,
        "connected_to": None,
        "last_error": None,
    }
    (bounded,), _ = bounded_upstreams([upstream])
    context = DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir="/nowhere",
        pool_dir=Path("/nowhere"),
        contact=Contact(stats={"upstreams": [bounded], "caches": []}),
    )
    (finding,) = check_upstreams(context)
    return finding


@pytest.mark.parametrize("number", [1, 16, 17, 256])
@pytest.mark.parametrize(("name", "status"), [("mine", Status.WARN), (None, Status.SKIPPED)])
def test_any_number_of_addresses_is_tried(number: int, name: str | None, status: Status) -> None:
    addresses = [f"{HOST}:{free_port()}" for _ in range(number)]
    found = finding_of(addresses, name)
    assert found.status == status
    assert addresses[0] in found.seen
    assert bool(re.search(r"; and \d+ more", found.seen)) == (number > 16)


def test_one_that_accepts_connections_is_enough() -> None:
    with socket.create_server((HOST, 0)) as listener:
        addresses = [f"{HOST}:{free_port()}", f"{HOST}:{listener.getsockname()[1]}"]
        assert finding_of(addresses, "mine").status == Status.OK
