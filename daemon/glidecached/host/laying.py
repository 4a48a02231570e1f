"""Files laid down for a host, and removed again: `--install-units`, `--uninstall-units`, `make install`."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from glidecache_shared import __version__
from glidecached.host.host_errors import HostError, NothingInstalledError
from glidecached.host.installation import COMMANDS
from glidecached.host.installed_record import InstalledRecord, digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from glidecached.host.installation import Installation
    from glidecached.host.places import Places
    from glidecached.host.shipped_files import ShippedFiles

_UNIT_COMMANDS = "/usr/local/bin/"
_UNIT_SYSCONFDIR = "/etc/glidecached"
_SHOWN = 3


def files_of(
    shipped: ShippedFiles,
    installation: Installation,
    places: Places,
    completions: Mapping[tuple[str, str], str],
) -> dict[str, bytes | str]:
    """Return every file but the configuration by its path on the host: its bytes, or where a link leads.

    `completions` has the script for each shell and command. Raises HostError for a path that units cannot name.
    """
    files: dict[str, bytes | str] = {}
    for name, text in shipped.units():
        files[f"{places.units}/{name}"] = _with_paths(text, installation, places)
    files[places.sysusers] = _with_paths(
        shipped.text("systemd/sysusers.d/glidecached.conf"), installation, places
    )
    files[places.tmpfiles] = _with_paths(
        shipped.text("systemd/tmpfiles.d/glidecached.conf"), installation, places
    )
    files[places.example] = _with_paths(shipped.text("glidecached.toml.example"), installation, places)
    for name, text in shipped.manual_pages():
        files[places.manual_page(name)] = _with_paths(text, installation, places)
    for (shell, command), text in completions.items():
        files[places.completion(shell, command)] = text.encode()
    for command in COMMANDS:
        link = installation.link(command, places)
        if link is not None:
            files[places.command(command)] = link
    return files


def lay_down(files: Mapping[str, bytes | str], configuration: bytes, places: Places) -> InstalledRecord:
    """Write the files, and the configuration where there is none; return the record of them.

    What an earlier call laid down, and this one does not, is removed. The same call again changes nothing. Raises
    HostError before anything is written where a file of others is in the way or a directory cannot be written, and
    where writing fails.
    """
    places.check_writable()
    try:
        before = InstalledRecord.read(places)
    except NothingInstalledError:
        before = InstalledRecord()
    files = {
        path: content
        for path, content in files.items()
        if path in before.digests or not _made_by_others(content, places.staged(path))
    }
    _check_for_others(files, before, places)
    digests = {path: digest(content) for path, content in files.items()}
    target = places.staged(places.configuration)
    if digest_of(target) in {None, digest(configuration)}:
        files = {**files, places.configuration: configuration}
        digests[places.configuration] = digest(configuration)
    elif places.configuration in before.digests:
        digests[places.configuration] = before.digests[places.configuration]
    record = InstalledRecord(version=__version__, digests=digests)
    # Whatever interrupts it: what is there by then is recorded.
    both = InstalledRecord(version=__version__, digests=before.digests | digests)
    _write(places.staged(places.record), both.text().encode())
    for path, content in files.items():
        _write(places.staged(path), content)
    for path in before.digests.keys() - digests.keys():
        _remove(places.staged(path))
    _write(places.staged(places.record), record.text().encode())
    return record


def take_away(places: Places) -> list[Path]:
    """Remove what is recorded, and the record; return what stays: a configuration that was changed.

    Raises NothingInstalledError, and HostError where something cannot be removed.
    """
    places.check_writable()
    record = InstalledRecord.read(places)
    kept = []
    for path, recorded in record.digests.items():
        place = places.staged(path)
        if path == places.configuration and digest_of(place) not in {None, recorded}:
            kept.append(place)
        else:
            _remove(place)
    configuration = places.staged(places.configuration)
    if places.configuration not in record.digests and configuration.exists():
        kept.append(configuration)
    _remove(places.staged(places.record))
    for directory in places.own_directories():
        with contextlib.suppress(OSError):  # others' files are in it
            places.staged(directory).rmdir()
    return kept


def _with_paths(text: str, installation: Installation, places: Places) -> bytes:
    """Return a shipped file with the host's own paths."""
    for command in COMMANDS:
        text = text.replace(f"{_UNIT_COMMANDS}{command} ", f"{installation.command(command, places)} ")
    return text.replace(_UNIT_SYSCONFDIR, f"{places.sysconfdir}/glidecached").encode()


def _made_by_others(content: bytes | str, place: Path) -> bool:
    """Return whether somebody else's link, as pipx makes it, leads to the command already."""
    if not isinstance(content, str) or not place.is_symlink() or os.readlink(place) == content:  # noqa: PTH115
        return False
    try:
        return place.samefile(place.parent / content)
    except OSError:  # one of them leads nowhere
        return False


def _check_for_others(files: Mapping[str, bytes | str], before: InstalledRecord, places: Places) -> None:
    in_the_way = []
    for path, content in files.items():
        found = digest_of(places.staged(path))
        if path not in before.digests and found not in {None, digest(content)}:
            in_the_way.append(str(places.staged(path)))
    if in_the_way:
        names = ", ".join(in_the_way[:_SHOWN])
        more = f" and {len(in_the_way) - _SHOWN} more" if len(in_the_way) > _SHOWN else ""
        message = (
            f"{names}{more} would be replaced, and glidecached did not lay it down here: move it away first"
        )
        raise HostError(message)


def _write(path: Path, content: bytes | str) -> None:
    """Write a file or a link in one step: a reader finds the old or the new one."""
    if digest_of(path) == digest(content):
        return
    new = path.with_name(f".{path.name}.new")
    try:
        _make_directories(path.parent)
        new.unlink(missing_ok=True)
        if isinstance(content, str):
            new.symlink_to(content)
        else:
            new.write_bytes(content)
            new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        message = f"{path} cannot be written: {error.strerror or error}"
        raise HostError(message) from None


def _make_directories(directory: Path) -> None:
    """Make it, and those above it, with the usual rights: the service's user reads there, whatever the umask is."""
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for made in reversed(missing):
        made.mkdir()
        made.chmod(0o755)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be removed: {error.strerror or error}"
        raise HostError(message) from None
