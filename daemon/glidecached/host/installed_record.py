"""The record of what was laid down below a prefix: what belongs to glidecached there, and nothing else does."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glidecached.host.host_errors import HostError, NothingInstalledError

if TYPE_CHECKING:
    from pathlib import Path

    from glidecached.host.places import Places

_LINK = "-> "


@dataclass(slots=True, kw_only=True)
class InstalledRecord:
    """The version that laid the files down, and each file's digest by its path on the host."""

    version: str = ""
    digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, places: Places) -> InstalledRecord:
        """Return the record below the prefix. Raises NothingInstalledError, or HostError where it is damaged."""
        path = places.staged(places.record)
        try:
            found = json.loads(path.read_bytes())
            record = cls(version=str(found["version"]), digests=dict(found["files"]))
        except (FileNotFoundError, NotADirectoryError):
            message = f"nothing is recorded as installed below {places.prefix}: there is no {path}"
            raise NothingInstalledError(message) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            message = f"{path} is no record of what was installed ({error}): remove it, and install again"
            raise HostError(message) from None
        roots = (f"{places.prefix}/", f"{places.sysconfdir}/")
        strange = [name for name in record.digests if not name.startswith(roots) or ".." in name.split("/")]
        if strange:
            message = (
                f"{path} names {strange[0]}, which is neither below {places.prefix} nor {places.sysconfdir}"
            )
            raise HostError(message)
        return record

    def text(self) -> str:
        """Return it as it is written to the file."""
        files = dict(sorted(self.digests.items()))
        return json.dumps({"version": self.version, "files": files}, indent=1) + "\n"


def digest(content: bytes | str) -> str:
    """Return what the record has for a file with these bytes, or for a link that leads to this path."""
    return _LINK + content if isinstance(content, str) else hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str | None:
    """Return the same for what is there: None for nothing, and something else for what is neither file nor link."""
    if path.is_symlink():
        return digest(os.readlink(path))  # noqa: PTH115 - the text as it is
    if path.is_file():
        return digest(path.read_bytes())
    return "neither file nor link" if os.path.lexists(path) else None
