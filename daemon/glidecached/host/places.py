"""The places of files on a host: the directories that PREFIX, SYSCONFDIR and DESTDIR choose."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from glidecached.host.host_errors import HostError

DEFAULT_PREFIX = "/usr/local"
DEFAULT_SYSCONFDIR = "/etc"
SHELLS = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/site-functions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}
"""The shells with completions, and where below `share` each looks for a command's."""

# A unit's ExecStart= and a script's first line take others apart.
_USABLE = re.compile(r"[A-Za-z0-9/._+-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The directories of one installation.

    Paths are the host's own, as units and records name them. `staged` gives the path to write to: below `destdir`,
    which is empty or an absolute path. Raises HostError for a prefix or sysconfdir that cannot be used.
    """

    prefix: str = DEFAULT_PREFIX
    sysconfdir: str = DEFAULT_SYSCONFDIR
    destdir: str = ""

    def __post_init__(self) -> None:
        for path in (self.prefix, self.sysconfdir):
            check_path("PREFIX and SYSCONFDIR", path)
        object.__setattr__(self, "prefix", os.path.normpath(self.prefix))
        object.__setattr__(self, "sysconfdir", os.path.normpath(self.sysconfdir))
        object.__setattr__(self, "destdir", os.path.abspath(self.destdir) if self.destdir else "")  # noqa: PTH100 - links stay

    @property
    def units(self) -> str:
        """The directory of units."""
        return f"{self._systemd}/systemd/system"

    @property
    def _systemd(self) -> str:
        """The path below which systemd's tools have their directories.

        They look into /usr/lib and /usr/local/lib; units of any other prefix belong to the host's administrator.
        """
        return f"{self.prefix}/lib" if self.prefix in {"/usr", "/usr/local"} else self.sysconfdir

    @property
    def sysusers(self) -> str:
        """The declaration of the service's user and group."""
        return f"{self._systemd}/sysusers.d/glidecached.conf"

    @property
    def tmpfiles(self) -> str:
        """The declaration of the pools' directory."""
        return f"{self._systemd}/tmpfiles.d/glidecached.conf"  # noqa: S108 - systemd's, not a temporary one

    @property
    def configuration(self) -> str:
        """The service's configuration."""
        return f"{self.sysconfdir}/glidecached/glidecached.toml"

    @property
    def example(self) -> str:
        """The configuration's commented example."""
        return f"{self.prefix}/share/doc/glidecached/glidecached.toml.example"

    @property
    def record(self) -> str:
        """The list of what was laid down."""
        return f"{self.prefix}/share/glidecached/installed.json"

    def command(self, name: str) -> str:
        """Return the path of a command."""
        return f"{self.prefix}/bin/{name}"

    def manual_page(self, name: str) -> str:
        """Return the path of a manual page, whose name ends with its section."""
        return f"{self.prefix}/share/man/man{name.rpartition('.')[2]}/{name}"

    def completion(self, shell: str, command: str) -> str:
        """Return the path of one shell's completions for a command."""
        return f"{self.prefix}/share/{SHELLS[shell].format(command)}"

    def staged(self, path: str) -> Path:
        """Return where the file that the host is to have as `path` is written."""
        return Path(self.destdir + path)

    def on_host(self, path: str) -> str:
        """Return the path that the host will have for a file that exists now: `destdir` is taken off."""
        inside = self.destdir and path.startswith(f"{self.destdir}/")
        return path[len(self.destdir) :] if inside else path

    def own_directories(self) -> list[str]:
        """Return the directories that hold nothing of others: they go when they are empty."""
        return [os.path.dirname(path) for path in (self.configuration, self.example, self.record)]  # noqa: PTH120

    def check_writable(self) -> None:
        """Raise HostError where this user cannot write below the prefix or sysconfdir.

        Said at once, and once: not by each of some dozen files.
        """
        for path in (self.prefix, self.sysconfdir):
            place = self.staged(path)
            while not os.path.lexists(place):
                place = place.parent
            if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
                message = (
                    f"{place} is no directory that {_user()} may write to: do this as root, or give another prefix or "
                    "DESTDIR"
                )
                raise HostError(message)


def check_path(what: str, path: str) -> None:
    """Raise HostError for a path that units and scripts cannot name."""
    if not path.startswith("/"):
        message = f"{what} must be absolute paths, and {path} is not"
        raise HostError(message)
    if not _USABLE.fullmatch(path):
        message = f"{what} may have letters, digits and / . _ + - in them; '{path}' has others"
        raise HostError(message)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user without an account
        return f"uid {os.geteuid()}"
