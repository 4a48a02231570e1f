"""What can go wrong: each fault begins, lasts, and is mended."""

from __future__ import annotations

import abc
import signal
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import random

    from chaos.stage import Stage


class Fault(abc.ABC):
    """One thing that goes wrong, with what it hits. Two faults of different subjects may overlap."""

    subject: ClassVar[str]
    lasts_s: ClassVar[tuple[float, float]] = (0.02, 0.6)

    @property
    def name(self) -> str:
        return type(self).__name__

    @abc.abstractmethod
    def begin(self, stage: Stage) -> None:
        """Let it go wrong."""

    @abc.abstractmethod
    def end(self, stage: Stage) -> None:
        """Mend what can be mended from outside; the rest heals by itself."""

    def duration_s(self, chance: random.Random) -> float:
        """How long it lasts."""
        return chance.uniform(*self.lasts_s)


class DaemonKilled(Fault):
    """SIGKILL, and another daemon on the same directories."""

    subject = "daemon"

    def begin(self, stage: Stage) -> None:
        stage.daemon.kill()

    def end(self, stage: Stage) -> None:
        stage.daemon.start()
        stage.daemons_started += 1


class DaemonUpgraded(Fault):
    """SIGTERM, and another daemon on the same directories."""

    subject = "daemon"

    def begin(self, stage: Stage) -> None:
        stage.daemon.stop(signal.SIGTERM)

    def end(self, stage: Stage) -> None:
        stage.daemon.start()
        stage.daemons_started += 1


class DaemonHangs(Fault):
    """SIGSTOP, and SIGCONT before the grace is over."""

    subject = "daemon"
    lasts_s = (0.05, 0.7)

    def begin(self, stage: Stage) -> None:
        stage.pauses.begin()
        stage.daemon.pause()

    def end(self, stage: Stage) -> None:
        stage.daemon.resume()
        stage.pauses.end()


class DaemonHangsPastGrace(DaemonHangs):
    """SIGSTOP, and SIGCONT when nobody trusts the pools any more."""

    lasts_s = (1.2, 1.8)


class WorkerKilled(Fault):
    """SIGKILL of a worker wherever it is, and another comes in its place."""

    subject = "workers"

    def __init__(self, chance: random.Random, places: int) -> None:
        self._place = chance.randrange(places)

    def begin(self, stage: Stage) -> None:
        stage.team.kill(self._place)

    def end(self, stage: Stage) -> None:
        stage.team.replace(self._place)


class ServerKilled(Fault):
    """SIGKILL of Valkey, which comes back on its port with what it had acknowledged."""

    subject = "server"

    def begin(self, stage: Stage) -> None:
        stage.server.kill()

    def end(self, stage: Stage) -> None:
        stage.server.restart()


class ServerHangs(Fault):
    """SIGSTOP and SIGCONT of Valkey."""

    subject = "server"
    lasts_s = (0.05, 1.0)

    def begin(self, stage: Stage) -> None:
        stage.server.pause()

    def end(self, stage: Stage) -> None:
        stage.server.resume()


class ConnectionsCut(Fault):
    """Valkey closes all connections, wherever in a request they are."""

    subject = "server"
    lasts_s = (0.0, 0.1)

    def begin(self, stage: Stage) -> None:
        stage.server.admin.client_kill_filter(_type="normal", skipme=True)

    def end(self, stage: Stage) -> None:
        pass  # who was cut off connects again


class CallersDie(Fault):
    """Callers wait for jobs, and die; jobs that are pushed afterwards must stay."""

    subject = "callers"
    lasts_s = (0.05, 0.4)
    callers = 20
    jobs = 5

    def begin(self, stage: Stage) -> None:
        stage.jobs.wait(self.callers)

    def end(self, stage: Stage) -> None:
        stage.jobs.die()
        stage.afterwards.append(lambda: stage.jobs.push(self.jobs))


class HostileMembers(Fault):
    """Members of the group send raw frames, unfinished ones and floods, and do not read their answers."""

    subject = "members"
    lasts_s = (0.3, 1.0)

    def begin(self, stage: Stage) -> None:
        stage.let_hostile_in()

    def end(self, stage: Stage) -> None:
        stage.turn_hostile_out()


class FilesVanish(Fault):
    """Files of live pools are removed; workers that come afterwards must attach all the same."""

    subject = "daemon"
    lasts_s = (0.0, 0.3)
    suffixes: ClassVar[tuple[str, ...]] = ("pool", "board", "lease")

    def begin(self, stage: Stage) -> None:
        for name in stage.daemon.pool_files():
            if name.endswith(self.suffixes):
                (stage.daemon.pool_dir / name).unlink(missing_ok=True)

    def end(self, stage: Stage) -> None:
        stage.afterwards.append(stage.wait_until_attachable)


class PoolsVanish(FilesVanish):
    """The pools alone vanish."""

    suffixes = ("pool",)


class BoardsVanish(FilesVanish):
    """The boards alone vanish."""

    suffixes = ("board",)


class LeasesVanish(FilesVanish):
    """The leases alone vanish."""

    suffixes = ("lease",)


class SocketVanishes(FilesVanish):
    """The daemon's socket vanishes."""

    def begin(self, stage: Stage) -> None:
        (stage.daemon.runtime_dir / "glidecached.sock").unlink(missing_ok=True)


OF_EVERY_KIND: tuple[type[Fault], ...] = (
    DaemonKilled,
    DaemonUpgraded,
    DaemonHangs,
    DaemonHangsPastGrace,
    WorkerKilled,
    ServerKilled,
    ServerHangs,
    ConnectionsCut,
    CallersDie,
    HostileMembers,
    FilesVanish,
    PoolsVanish,
    BoardsVanish,
    LeasesVanish,
    SocketVanishes,
)


def choose(chance: random.Random, places: int) -> list[Fault]:
    """One fault, or now and then two of different subjects."""
    overlap = chance.random() < 0.2
    faults: list[Fault] = []
    while len(faults) < 1 + overlap:
        kind = chance.choice(OF_EVERY_KIND)
        if all(fault.subject != kind.subject for fault in faults):
            faults.append(WorkerKilled(chance, places) if kind is WorkerKilled else kind())
    return faults
