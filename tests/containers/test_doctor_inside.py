"""`glidecache doctor` and `ping` from workers' containers: they name what the container lacks, and nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from containers.conftest import DAEMON_ID, OTHER_FIRST_ID, Site, worker_box
from glidecache import ClientSideCache
from glidecached.doctor.check_upstreams import check_upstreams
from glidecached.doctor.context import Configuration, Contact, DoctorContext, Process
from support.contained_daemon import POOL_DIR, RUNTIME_DIR, run_in
from support.container import why_no_clock
from support.valkey_server import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.workers import Worker

OPERATOR = (sys.executable, "-c", "import sys; from glidecached.cli.operator import main; sys.exit(main())")
UNREACHABLE = 3


def doctor(site: Site, **box: Any) -> dict[str, list[dict[str, str]]]:
    """Return the findings from a worker's container, by their checks."""
    done = run_in(worker_box(site.volumes, **box), [*OPERATOR, "doctor", "--json"])
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(done.stdout or "null") or pytest.fail(done.stderr):
        found.setdefault(finding["check"], []).append(finding)
    return found


def failing(found: dict[str, list[dict[str, str]]]) -> set[str]:
    return {check for check, findings in found.items() if any(each["status"] == "fail" for each in findings)}


def warned(found: dict[str, list[dict[str, str]]]) -> set[str]:
    return {check for check, findings in found.items() if any(each["status"] == "warn" for each in findings)}


@pytest.fixture
def used_site(site: Site, start_worker: Callable[..., Worker]) -> Site:
    """One whose cache has files."""
    worker = start_worker(site.volumes)
    worker.connect("blocking", client_side_cache=ClientSideCache.named("catalog"))
    worker.call("get", "k")
    return site


@pytest.mark.parametrize("uid", [61_030, DAEMON_ID, 0])
def test_nothing_fails_where_all_is_mounted(used_site: Site, uid: int) -> None:
    found = doctor(used_site, uid=uid)
    assert (failing(found), warned(found)) == (set(), set()), found
    assert found["clock"][0]["status"] == "ok"
    assert found["pool directory"][0]["status"] == "ok"
    assert found["configuration"][0]["status"] == "skipped", "it is in the daemon's container"


@pytest.mark.parametrize("uid", [61_030, DAEMON_ID])
@pytest.mark.parametrize("instead", [False, True], ids=["nothing there", "another directory there"])
def test_a_pool_directory_that_is_not_mounted_is_the_only_fault(
    used_site: Site, uid: int, *, instead: bool
) -> None:
    """The daemon's files are whole: none of them is reported as missing, and no other file system as too small."""
    volumes = used_site.volumes
    binds = {RUNTIME_DIR: str(volumes.runtime_dir), **({POOL_DIR: str(volumes.empty)} if instead else {})}
    found = doctor(used_site, binds=binds, uid=uid)
    assert (failing(found), warned(found)) == ({"pool directory"}, set()), found
    (finding,) = found["pool directory"]
    assert f"mount the daemon's {POOL_DIR} there" in finding["advice"]
    assert ("not the daemon's directory" in finding["seen"]) == instead
    for check in ("file system", "room", "pool permissions", "orphaned files", "entries"):
        assert found[check][0]["status"] == "skipped", check


def test_a_read_only_pool_directory_fails(used_site: Site) -> None:
    volumes = used_site.volumes
    binds = {RUNTIME_DIR: str(volumes.runtime_dir), f"{POOL_DIR}:ro": str(volumes.pool_dir)}
    (finding,) = doctor(used_site, binds=binds)["pool directory"]
    assert finding["status"] == "fail"
    assert "read-only" in finding["seen"]
    assert "readOnly" in finding["advice"]


def test_another_time_namespace_fails(used_site: Site) -> None:
    reason = why_no_clock()
    if reason is not None:
        pytest.skip(reason)
    found = doctor(used_site, clock_offset_s=1_000)
    assert failing(found) == {"clock"}, found
    assert "another time namespace" in found["clock"][0]["seen"]
    assert "unshare --time" in found["clock"][0]["advice"]


def test_a_missing_group_is_the_only_fault(used_site: Site) -> None:
    found = doctor(used_site, groups=())
    assert (failing(found), warned(found)) == ({"socket"}, set()), found
    (finding,) = found["socket"]
    assert f"may not enter {RUNTIME_DIR} (uid {DAEMON_ID}, gid {DAEMON_ID}, mode 0750)" in finding["seen"]
    assert f"supplementalGroups: [{DAEMON_ID}]" in finding["advice"]
    assert found["pool directory"][0]["status"] == "skipped"


def test_a_runtime_directory_that_is_not_mounted_is_told(used_site: Site) -> None:
    found = doctor(used_site, binds={})
    assert failing(found) == {"runtime directory", "socket"}
    for check in ("runtime directory", "socket"):
        assert "in a container, mount the daemon's runtime directory there" in found[check][0]["advice"]


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ({"groups": ()}, f"supplementalGroups: [{DAEMON_ID}]"),
        (
            {"binds": {}},
            "this directory does not exist; start it: glidecached, or systemctl start glidecached",
        ),
        ({"first_id": OTHER_FIRST_ID, "groups": ()}, "keep-groups"),
    ],
    ids=["group", "mount", "user namespace"],
)
def test_ping_says_the_same(site: Site, box: dict[str, Any], said: str) -> None:
    done = run_in(worker_box(site.volumes, **box), [*OPERATOR, "ping"])
    assert done.returncode == UNREACHABLE
    assert said in done.stderr


@pytest.mark.parametrize(
    ("pid", "status"), [(0, "skipped"), (os.getpid(), "warn")], ids=["elsewhere", "here"]
)
def test_an_unused_upstream_is_tried_only_from_the_daemons_network(pid: int, status: str) -> None:
    upstream = {
        "name": "default",
        "mode": "standalone",
        "addresses": [f"{HOST}:{free_port()}"],
        "database": 0,
        "connected_to": None,
        "last_error": None,
    }
    context = DoctorContext(
        configuration=Configuration(path=None, config=None),
        runtime_dir="/nowhere",
        pool_dir=Path("/nowhere"),
        contact=Contact(process=Process(pid=pid, uid=0), stats={"upstreams": [upstream]}),
    )
    (finding,) = check_upstreams(context)
    assert finding.status == status, finding
