"""The runtime directory, where clients find the daemon: its path, its ZeroMQ endpoint, and its trusted owners.

Both sides use one rule (I11), from `glidecache_shared.trusted_path`. Only `ensure_runtime_dir`, which the daemon
calls, creates anything. The stub imports this module at its own import, so this one imports very little.
"""

from __future__ import annotations

import os
import stat

from glidecache_shared.trusted_path import check_directory

SOCKET_NAME = "glidecached.sock"
ENVIRONMENT_VARIABLE = "GLIDECACHED_RUNTIME_DIR"
SYSTEM_RUNTIME_DIR = "/run/glidecached"
PRIVATE_MODE = 0o700
START = "start it: glidecached, or systemctl start glidecached (docs: getting-started)"
"""The part that all texts have which find no daemon."""

_MAX_SOCKET_PATH_BYTES = 107
"""`sun_path` holds 108 bytes on Linux, the closing zero included."""


def find_runtime_dir(explicit: str | None = None) -> str:
    """Return the runtime directory, as an absolute path that need not exist: the first of these that is given.

    `explicit` (`--runtime-dir`, a client's `runtime_dir=`), `$GLIDECACHED_RUNTIME_DIR`, `/run/glidecached` if it
    exists, `$XDG_RUNTIME_DIR/glidecached`, and last the private fallback, `<temporary directory>/glidecached-<uid>`.
    Root skips an `XDG_RUNTIME_DIR` that is not its own: `su` and `sudo -E` keep the caller's.
    """
    given = explicit or os.environ.get(ENVIRONMENT_VARIABLE)
    if given:
        return os.path.abspath(os.fspath(given))
    if os.path.isdir(SYSTEM_RUNTIME_DIR):
        return SYSTEM_RUNTIME_DIR
    xdg_runtime_dir = os.environ.get("XDG_RUNTIME_DIR")
    if xdg_runtime_dir and not (os.geteuid() == 0 and _is_another_users(xdg_runtime_dir)):
        return os.path.join(os.path.abspath(xdg_runtime_dir), "glidecached")
    return _private_fallback()


def socket_path(runtime_dir: str) -> str:
    """Return the path of the daemon's socket. Raises `ValueError` if it is longer than a socket's address can be."""
    path = os.path.join(runtime_dir, SOCKET_NAME)
    length = len(os.fsencode(path))
    if length > _MAX_SOCKET_PATH_BYTES:
        message = (
            f"the runtime directory {runtime_dir!r} is too long: the path of its socket has {length} bytes, "
            f"a Unix socket's address at most {_MAX_SOCKET_PATH_BYTES}; choose a shorter directory"
        )
        raise ValueError(message)
    return path


def endpoint(runtime_dir: str) -> str:
    """Return the ZeroMQ address of the daemon in `runtime_dir`. Raises `ValueError` as `socket_path`."""
    return f"ipc://{socket_path(runtime_dir)}"


def check_endpoint(runtime_dir: str) -> int:
    """Return the owner's uid of the socket in `runtime_dir`, if a client may trust it with its data.

    The runtime directory is trusted by its whole path (I11). The socket must belong to root, to the caller's own uid,
    or to the owner of the runtime directory. The private fallback is the exception: any user can take its place under
    the temporary directory, so it must be the caller's own. Raises `FileNotFoundError` when there is no socket,
    `PermissionError` when the path or the socket cannot be trusted, and with an `errno` when the caller has no access,
    `OSError` for a loop of links, `ValueError` as `socket_path`.
    """
    path = socket_path(runtime_dir)
    try:
        found = os.lstat(path)
        directory = check_directory(runtime_dir, last_owner=found.st_uid)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(error.errno, "no glidecached socket", path) from error
    except PermissionError as error:
        if error.errno is None:
            raise
        from glidecache_shared.refused_access import refusal  # for a message alone

        raise PermissionError(error.errno, str(refusal(path))) from error
    if not stat.S_ISSOCK(found.st_mode):
        message = f"{path} is not a socket; glidecached's would be one"
        raise FileNotFoundError(message)
    own_uid = os.geteuid()
    if found.st_uid in (0, own_uid):
        return found.st_uid
    # In a sticky directory that others may write, a socket of another uid may be any user's.
    closed = not directory.st_mode & stat.S_ISVTX
    if closed and found.st_uid == directory.st_uid and runtime_dir != _private_fallback():
        return found.st_uid
    from glidecache_shared.refused_access import named_uid, own_namespace_advice  # for a message alone

    message = (
        f"the socket {path} belongs to {named_uid(found.st_uid)}, in a directory of {named_uid(directory.st_uid)} "
        f"with mode {stat.S_IMODE(directory.st_mode):04o}; it must belong to root, to this process's uid {own_uid}, "
        "or to the owner of a runtime directory that neither group nor others can write"
        f"{own_namespace_advice(found.st_uid, directory.st_uid)}"
    )
    raise PermissionError(message)


def missing_socket(runtime_dir: str) -> str:
    """Return the text behind `glidecached at <directory>` for a socket that `check_endpoint` did not find.

    A container that lacks the mount looks like a host without a daemon: only the text can tell what to look at.
    """
    if _is_no_socket(socket_path(runtime_dir)):
        return f"is not running: {SOCKET_NAME} there is not a socket; remove it, and {START}"
    if os.path.isdir(runtime_dir):
        return (
            f"is not running: it has no socket there; {START}; in a container, that directory must be the daemon's, "
            "mounted, not one of the container's own"
        )
    what = "is not a directory" if os.path.lexists(runtime_dir) else "does not exist"
    return (
        f"is not running: this directory {what}; {START}; in a container, mount the daemon's runtime directory, and "
        f"name it in ${ENVIRONMENT_VARIABLE} if it is not {SYSTEM_RUNTIME_DIR}"
    )


def ensure_runtime_dir(path: str) -> None:
    """Make the daemon's runtime directory if it is missing, and refuse one that is not safely the daemon's.

    A missing directory is made with mode 0700; its parent must exist. An operator who wants other users to reach the
    daemon makes it beforehand, or lets the service manager do so. An existing one must be a directory that root or the
    caller owns, and its whole path must be trusted (I11). The private fallback must be the caller's own, no symbolic
    link, and is set back to 0700. Raises `PermissionError`, `NotADirectoryError`, `FileNotFoundError`, or `ValueError`
    (path too long).
    """
    socket_path(path)
    private = path == _private_fallback()
    check_directory(os.path.dirname(path))
    try:
        os.mkdir(path, PRIVATE_MODE)
    except FileExistsError:
        found = os.lstat(path) if private else os.stat(path)
    else:
        check_directory(path)
        return
    if not stat.S_ISDIR(found.st_mode):
        message = f"the runtime directory {path} is not a directory; remove it, or choose another one"
        raise NotADirectoryError(message)
    own_uid = os.geteuid()
    accepted = (own_uid,) if private else (0, own_uid)
    if found.st_uid not in accepted:
        right = f"uid {own_uid}" if private or own_uid == 0 else f"uid {own_uid} or root"
        message = (
            f"the runtime directory {path} belongs to uid {found.st_uid}; it must belong to {right}: "
            f"choose another one by --runtime-dir or ${ENVIRONMENT_VARIABLE}"
        )
        raise PermissionError(message)
    if private and stat.S_IMODE(found.st_mode) != PRIVATE_MODE:
        os.chmod(path, PRIVATE_MODE)
    check_directory(path)


def _is_no_socket(path: str) -> bool:
    """Return whether another kind of file has the socket's name."""
    try:
        return not stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False


def _is_another_users(directory: str) -> bool:
    try:
        return os.stat(directory).st_uid != os.geteuid()
    except OSError:
        return False  # it is missing: the code that uses it reports that


def _private_fallback() -> str:
    return os.path.join(_temporary_directory(), f"glidecached-{os.geteuid()}")


def _temporary_directory() -> str:
    # Not `tempfile.gettempdir`: it imports `random`, `shutil` and more, and probes by writing a file.
    for variable in ("TMPDIR", "TEMP", "TMP"):
        directory = os.environ.get(variable)
        if directory and os.path.isdir(directory):
            return os.path.abspath(directory)
    return "/tmp"  # noqa: S108 - what is trusted is the directory below it, whose owner is checked
