"""A worker process: `python -m chaos.worker ORDERS`. It reads, checks and writes until its standard input ends.

Each of its lanes (threads with the blocking client, tasks with the asyncio client) makes one call after the other.
What it has done stands in files, so that nothing is lost when it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import glidecache
from chaos.journal import DONE, NOT_RUN, Journal
from chaos.tally import Count, Tally
from chaos.values import METHODS, Key, LieError, make_keys, version_of
from chaos.versions import Floors, Versions
from glidecache import ClosingError, DaemonUnavailableError, GlideClientConfiguration, RequestError
from glidecache import ConnectionError as GlideConnectionError
from glidecache import TimeoutError as GlideTimeoutError

if TYPE_CHECKING:
    from glidecache import ClientSideCache

READS_PER_WRITE = 12
MISSING_PER_READ = 0.05
RETRY_S = 0.01
NOTED_EXCESS_NS = 500_000_000
"""A value that is so much older than the TTL allows is written down; whether it may be is for the stage to say."""
_MOST_COMPLAINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What one worker is told, in a pickle. Its files begin with `path`; `ttl_ms` is its cache's."""

    path: Path
    number: int
    kind: str
    cache: ClientSideCache
    ttl_ms: int
    fallback: Literal["direct", "error"]
    port: int
    runtime_dir: Path
    request_timeout_ms: int
    keys: int
    versions: Path
    floors: Path
    forget_share: float
    lanes: int
    pause_s: float

    @property
    def tally(self) -> Path:
        return self.path.with_suffix(".tally")

    @property
    def complaints(self) -> Path:
        return self.path.with_suffix(".complaints")

    def journal(self, lane: int, command: str) -> Path:
        """Where the outcomes of a lane's writes with this command are."""
        return self.path.with_suffix(f".{lane}.{command}")

    def target(self, lane: int, command: str) -> str:
        """The key that these writes go to; no other lane's do."""
        return f"{command}:{self.path.name}:{lane}"


class Way(Protocol):
    """How a lane calls and waits: both clients have one, so that a lane is written once."""

    client: Any

    async def call(self, method: str, *arguments: object) -> Any: ...
    async def pause(self, seconds: float) -> None: ...


class BlockingWay:
    """Nothing here suspends."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def call(self, method: str, *arguments: object) -> Any:
        return getattr(self.client, method)(*arguments)

    async def pause(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - of a thread of its own


class AsyncioWay:
    """For one event loop."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def call(self, method: str, *arguments: object) -> Any:
        return await getattr(self.client, method)(*arguments)

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Complaints:
    """A file with a line for everything that ought not to be. For any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._left = _MOST_COMPLAINTS

    def add(self, **complaint: object) -> None:
        if self._left > 0:
            self._left -= 1
            self._file.write(json.dumps(complaint) + "\n")


class Lane:
    """One call after the other, each counted, timed and checked."""

    def __init__(self, orders: Orders, lane: int, row: memoryview, way: Way, complaints: Complaints) -> None:
        self._row = row
        self._way = way
        self._complaints = complaints
        self._keys = make_keys(orders.keys)
        self._versions = Versions(orders.versions, orders.keys)
        self._floors = Floors(orders.floors, orders.keys)
        self._forget_share = orders.forget_share
        self._ttl_ns = orders.ttl_ms * 1_000_000
        self._random = random.Random(orders.number * 1_000 + lane)
        self._journals = {name: Journal(orders.journal(lane, name)) for name in ("incr", "rpush")}
        self._targets = {name: orders.target(lane, name) for name in self._journals}
        self._pause_s = orders.pause_s
        self._last_count = 0

    async def run(self, stop: threading.Event) -> None:
        """Go on until `stop` is set."""
        while not stop.is_set():
            for _ in range(READS_PER_WRITE):
                await self._read(self._random.choice(self._keys))
            if self._random.random() < self._forget_share:
                await self._forget(self._just_written())
            await self._write("incr")
            await self._write("rpush")
            await self._way.pause(self._pause_s)

    async def _read(self, key: Key) -> None:
        if self._random.random() < MISSING_PER_READ:
            return await self._read_missing(key.number)
        floor = self._floors.of(key.number)
        began_ns = time.monotonic_ns()
        try:
            value = await self._timed(METHODS[key.kind], key.name)
        except RequestError:
            return None
        self._row[Count.READS] += 1
        try:
            version = version_of(key, value)
        except LieError as lie:
            return self._complain(lie=str(lie))
        newest = self._versions.newest(key.number)
        if version > newest:
            return self._complain(lie=f"{key.name} reads version {version}, and {newest} is the newest")
        if version < floor:
            return self._complain(
                lie=f"{key.name} reads version {version}, and those before {floor} were forgotten"
            )
        replaced_ns = self._versions.replaced_ns(key.number, version)
        if replaced_ns and self._ttl_ns:
            self._note_age(key.name, version, replaced_ns, began_ns)
        return None

    def _note_age(self, key: str, version: int, replaced_ns: int, began_ns: int) -> None:
        """A value that had been replaced when the read began."""
        age_ns = began_ns - replaced_ns
        self._row[Count.STALEST_NS] = max(self._row[Count.STALEST_NS], age_ns)
        if age_ns > self._ttl_ns + NOTED_EXCESS_NS:
            self._complain(stale=f"{key} version {version}", replaced_ns=replaced_ns, read_ns=began_ns)

    async def _read_missing(self, number: int) -> None:
        try:
            value = await self._timed("get", f"chaos:missing:{number}")
        except RequestError:
            return
        self._row[Count.READS] += 1
        if value is not None:
            self._complain(lie=f"chaos:missing:{number} reads {value!r}")

    def _just_written(self) -> Key:
        """The key for which an older answer is most likely to be under way still."""
        return max(self._keys, key=lambda key: self._versions.written_ns(key.number))

    async def _forget(self, key: Key) -> None:
        """Forget a key, and read it: neither this lane nor any other may read what the server had before (C25)."""
        oldest = self._versions.oldest(key.number)
        try:
            await self._timed("forget", [key.name])
        except (GlideTimeoutError, GlideConnectionError, RequestError):
            return
        self._floors.raise_to(key.number, oldest)
        self._row[Count.FORGETS] += 1
        await self._read(key)

    async def _write(self, command: str) -> None:
        journal = self._journals[command]
        number = journal.begin()
        arguments = (
            (self._targets[command],) if command == "incr" else (self._targets[command], [str(number)])
        )
        try:
            length = await self._timed(command, *arguments)
        except (GlideTimeoutError, GlideConnectionError) as error:
            if isinstance(error, DaemonUnavailableError):
                journal.end(number, NOT_RUN)
            return
        except RequestError:
            journal.end(number, NOT_RUN)
            return
        journal.end(number, DONE)
        row = self._row
        row[Count.WRITES] += 1
        row[Count.INSTANCE] = _instance(self._way.client)
        row[Count.ACKNOWLEDGED_NS] = time.monotonic_ns()
        if command == "incr":
            if not self._last_count < length <= number + 1:
                self._complain(lie=f"INCR {number} answers {length} after {self._last_count}")
            self._last_count = length

    async def _timed(self, method: str, *arguments: object) -> Any:
        row = self._row
        began_ns = row[Count.BEGUN_NS] = time.monotonic_ns()
        try:
            return await self._way.call(method, *arguments)
        except DaemonUnavailableError:
            row[Count.UNAVAILABLE] += 1
            raise
        except GlideTimeoutError:
            row[Count.TIMEOUTS] += 1
            raise
        except GlideConnectionError:
            row[Count.CONNECTIONS] += 1
            raise
        except RequestError as error:
            row[Count.REFUSED] += 1
            if not str(error).startswith("LOADING"):
                self._complain(refused=f"{method}: {type(error).__name__}: {error}")
            raise
        finally:
            row[Count.BEGUN_NS] = 0
            ended_ns = time.monotonic_ns()
            if ended_ns - began_ns > row[Count.LONGEST_NS]:
                row[Count.LONGEST_NS] = ended_ns - began_ns
                row[Count.LONGEST_ENDED_NS] = ended_ns

    def _complain(self, **complaint: object) -> None:
        self._row[Count.COMPLAINTS] += 1
        self._complaints.add(**complaint)


def _instance(client: Any) -> int:
    """The daemon process that this client's writes go through; 0 while they go to the server directly."""
    session = client._session
    attachment = session.state.attachment
    return 0 if session.state.outage or attachment is None else attachment.instance_id


def _configuration(orders: Orders) -> GlideClientConfiguration:
    return GlideClientConfiguration(
        [glidecache.NodeAddress("127.0.0.1", orders.port)],
        client_side_cache=orders.cache,
        request_timeout=orders.request_timeout_ms,
        fallback=orders.fallback,
        runtime_dir=str(orders.runtime_dir),
        lazy_connect=True,
    )


def _run_threads(orders: Orders, tally: Tally, complaints: Complaints, stop: threading.Event) -> None:
    import glidecache.sync
    from glidecache.sync.connection import run_blocking

    client = None
    while client is None:
        try:
            client = glidecache.sync.GlideClient.create(_configuration(orders))
        except (RequestError, ClosingError):  # a worker may be started while there is no daemon
            if stop.wait(RETRY_S):
                return
    way = BlockingWay(client)
    lanes = [Lane(orders, lane, row, way, complaints) for lane, row in enumerate(tally.lanes)]
    with client, ThreadPoolExecutor(len(lanes)) as threads:
        for done in [threads.submit(run_blocking, lane.run(stop)) for lane in lanes]:
            done.result()


async def _run_tasks(orders: Orders, tally: Tally, complaints: Complaints, stop: threading.Event) -> None:
    client = None
    while client is None:
        try:
            client = await glidecache.GlideClient.create(_configuration(orders))
        except (RequestError, ClosingError):
            await asyncio.sleep(RETRY_S)
            if stop.is_set():
                return
    way = AsyncioWay(client)
    lanes = [Lane(orders, lane, row, way, complaints) for lane, row in enumerate(tally.lanes)]
    async with client, asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(lane.run(stop))


def main() -> None:
    """Do what the orders say, until standard input ends."""
    orders: Orders = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301 - the stage's own file
    stop = threading.Event()

    def listen() -> None:
        while os.read(0, 1):
            pass
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    tally = Tally(orders.tally, orders.lanes)
    complaints = Complaints(orders.complaints)
    if orders.kind == "blocking":
        _run_threads(orders, tally, complaints, stop)
    else:
        asyncio.run(_run_tasks(orders, tally, complaints, stop))


if __name__ == "__main__":
    main()
