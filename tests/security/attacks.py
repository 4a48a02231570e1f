"""What a hostile process of another user may try: functions for `support.workers.Worker`, run over there.

Each says what became of it: None where it succeeded, else the error's name (`"EACCES"`).
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from support.users import User, become

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from support.worker_tasks import State

_WRITABLE_ACCESS_LIST = bytes.fromhex("02000000") + b"".join(
    bytes.fromhex(entry) for entry in ("01000600ffffffff", "04000600ffffffff", "20000600ffffffff")
)
"""`rw-` for everybody, as the kernel writes it."""


def outcome(attack: Callable[[], object]) -> str | None:
    """The name of the error that stopped it, or None."""
    try:
        attack()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None


def open_file(state: State, path: str, flags: int) -> str | None:
    """Open it, and keep nothing."""
    del state
    return outcome(lambda: os.close(os.open(path, flags)))


def list_directory(state: State, path: str) -> str | None:
    del state
    return outcome(lambda: list(Path(path).iterdir()))


def call_on(state: State, path: str) -> str | None:
    """Connect to the socket."""
    del state
    with socket.socket(socket.AF_UNIX) as caller:
        return outcome(lambda: caller.connect(path))


def damage(state: State, path: str) -> dict[str, str | None]:
    """Every way there is to change a file, its place or its permissions; each by its name."""
    del state
    file = Path(path)
    # On the same file system, where everybody may make files.
    own = str(file.parents[1] / f"glidecached-own-{os.getpid()}")
    Path(own).write_bytes(b"forged")
    attacks: dict[str, Callable[[], object]] = {
        "read and write": lambda: os.open(path, os.O_RDWR),
        "write and truncate": lambda: os.open(path, os.O_WRONLY | os.O_TRUNC),
        "append": lambda: os.open(path, os.O_WRONLY | os.O_APPEND),
        "truncate by name": lambda: os.truncate(path, 0),
        "truncate by descriptor": lambda: _with_descriptor(path, lambda number: os.ftruncate(number, 0)),
        "map for writing": lambda: _with_descriptor(path, _map_for_writing),
        "open again by the descriptor": lambda: _with_descriptor(path, _open_again),
        "change its mode": lambda: file.chmod(0o666),
        "change its owner": lambda: os.chown(path, os.getuid(), -1),
        "change its access list": lambda: os.setxattr(path, "system.posix_acl_access", _WRITABLE_ACCESS_LIST),
        "change its times": lambda: os.utime(path, (1, 1)),
        "unlink": file.unlink,
        "rename": lambda: file.rename(f"{path}.old"),
        "put another in its place": lambda: os.rename(own, path),  # noqa: PTH104 - as the other attacks
        "put a link in its directory": lambda: os.symlink(own, f"{path}.link"),  # noqa: PTH211
        "put a file in its directory": lambda: Path(f"{path}.new").touch(),
    }
    try:
        return {name: outcome(attack) for name, attack in attacks.items()}
    finally:
        Path(own).unlink(missing_ok=True)


def seize(state: State, path: str) -> str | None:
    """Take the exclusive lock of a file that this process may only read, and keep it."""
    descriptor = os.open(path, os.O_RDONLY)
    state.kept.append(descriptor)
    return outcome(lambda: fcntl.flock(descriptor, fcntl.LOCK_EX))


def let_go(state: State) -> None:
    """Close what was kept."""
    while state.kept:
        os.close(state.kept.pop())


def spoil(state: State, path: str) -> None:
    """Cut a writable file to nothing, and write over what is left."""
    del state
    with Path(path).open("r+b") as file:
        file.truncate(0)
        file.write(b"\xff" * 4_096)


def listen(state: State, path: str) -> None:
    """Wait at a socket as a daemon would, for as long as this process lives."""
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    Path(path).chmod(0o777)
    listener.listen()
    state.kept.append(listener.detach())


def has_callers(state: State) -> int:
    """How many have connected to the socket that this process listens at."""
    listener = socket.socket(fileno=os.dup(state.kept[-1]))
    listener.setblocking(False)
    callers = 0
    with listener:
        while True:
            try:
                connected, _ = listener.accept()
            except BlockingIOError:
                return callers
            connected.close()
            callers += 1


def make_directory(state: State, path: str, mode: int) -> None:
    del state
    Path(path).mkdir()
    Path(path).chmod(mode)


def link_to(state: State, path: str, target: str) -> None:
    del state
    Path(path).symlink_to(target)


def ask(state: State, runtime_dir: str, operation: int, body: Sequence[object]) -> object:
    """One request of the protocol by hand: its result, or the code of its refusal in a list."""
    from support.wire import ReplyRefused, WireClient

    del state
    with WireClient(Path(runtime_dir)) as wire:
        wire.hello()
        try:
            return wire.request(operation, *body)
        except ReplyRefused as refusal:
            return [refusal.code, refusal.message]


def get_in_fork_as(state: State, user: User, key: str) -> str:
    """Fork, be another user there, and read with the inherited client: the value, or what the error says."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            become(user)
            try:
                answer = str(state.connected.get(key))
            except Exception as error:  # noqa: BLE001 - whatever it was, the test wants to see it
                answer = f"{type(error).__name__}: {error}"
            os.write(write_end, answer.encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


def _with_descriptor(path: str, use: Callable[[int], object]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        use(descriptor)
    finally:
        os.close(descriptor)


def _map_for_writing(descriptor: int) -> None:
    mmap.mmap(descriptor, 1, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE).close()


def _open_again(descriptor: int) -> None:
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR))


def take_caches(
    state: State,
    runtime_dir: str,
    port: int,
    names: Sequence[str],
    hold: bool,
    database: int = 0,
) -> list[tuple[int, str] | None]:
    """Attach to a small cache of each name, and hold it if `hold`; return each refusal's code and text, or None."""
    from support.wire import ReplyRefused, WireClient

    settings = {"max_cache_kb": 1, "entry_ttl_ms": 0, "eviction_policy": "LRU", "enable_metrics": True}
    answers: list[tuple[int, str] | None] = []
    with WireClient(Path(runtime_dir)) as wire:
        for name in names:
            cache = {"name": name, "settings": settings}
            try:
                session = wire.attach(addresses=[["127.0.0.1", port]], cache=cache, database_id=database)
            except ReplyRefused as refused:
                answers.append((refused.code, refused.message))
                continue
            answers.append(None)
            if hold:
                descriptor = os.open(session["pool"]["lease_path"], os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                state.kept.append(descriptor)
    return answers
