"""The runner of all checks, in an order in which each can rely on those before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glidecached.doctor.check_advice import check_advice
from glidecached.doctor.check_config import check_configuration, check_secrets
from glidecached.doctor.check_endpoint import check_answer, check_runtime_dir, check_socket, check_versions
from glidecached.doctor.check_huge_pages import check_huge_pages
from glidecached.doctor.check_pool_files import check_entries, check_orphans, check_permissions
from glidecached.doctor.check_process import check_clock, check_limits, check_memory
from glidecached.doctor.check_scheduling import check_scheduling
from glidecached.doctor.check_storage import check_file_system, check_pool_dir, check_room
from glidecached.doctor.check_systemd import check_remove_ipc, check_unit
from glidecached.doctor.check_upstreams import check_upstreams
from glidecached.doctor.result import skipped
from glidecached.doctor.vantage import POOLS_UNSEEN, pools_unseen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glidecached.doctor.context import DoctorContext
    from glidecached.doctor.result import Finding

CHECKS = (
    check_configuration,
    check_secrets,
    check_runtime_dir,
    check_socket,
    check_answer,
    check_versions,
    check_pool_dir,
    check_file_system,
    check_room,
    check_huge_pages,
    check_limits,
    check_memory,
    check_scheduling,
    check_clock,
    check_unit,
    check_remove_ipc,
    check_permissions,
    check_orphans,
    check_entries,
    check_upstreams,
    check_advice,
)

_OF_POOLS = {
    check_file_system: "file system",
    check_room: "room",
    check_huge_pages: "huge pages",
    check_permissions: "pool permissions",
    check_orphans: "orphaned files",
    check_entries: "entries",
}
"""The checks that look at the daemon's files, with their names: another directory in their place says nothing."""


def examine(context: DoctorContext) -> Iterator[Finding]:
    """Yield every check's findings.

    What this user may not see, or what ends during the check, is skipped.
    """
    for check in CHECKS:
        if check in _OF_POOLS and pools_unseen(context):
            yield skipped(_OF_POOLS[check], POOLS_UNSEEN)
            continue
        try:
            yield from check(context)
        except OSError as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield skipped(name, f"cannot be checked: {error}")
