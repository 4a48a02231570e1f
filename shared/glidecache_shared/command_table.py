"""The one table of commands, for client and daemon: their keys, lanes, routes, refusals, and which read or block.

A command may travel on a connection that clients share only if the table lists it as safe: one request, one immediate
reply, and an unchanged connection (isolation I3). A command that is not in the table counts as a write with its first
argument as its key, and gets a connection of its own. A test compares the table with the servers.

The table is text (`command_facts`), read when the first command is looked up: it does not slow `import glidecache`.
"""

from __future__ import annotations

from glidecache_shared.command_facts import ADVICE, TABLE
from glidecache_shared.command_options import (
    FUNCTIONS,
    MS_NS,
    SECOND_NS,
    counted,
    option,
    walk_streams,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from glidecache_shared.command_options import Finder

SHARED = 0
"""The lane of safe commands: the connection that all clients of a target share."""
SCRIPTS = 1
"""The lane of scripts and functions, which may run for long: a second shared connection, only for them."""
OUT_OF_BAND = 2
"""The lane of commands that must reach a busy or paused server: never queued behind work."""
DEDICATED = 3
"""The lane of everything else: a connection of its own, from the bounded pool."""

ANYWHERE = 0
"""A command without keys: any primary of a cluster may answer."""
ALL_NODES = 1
ALL_PRIMARIES = 2
NEEDS_ROUTE = 3
"""A command that concerns one node, without naming it."""
SLOT_ARGUMENT = 4
"""A command whose third word is the number of the slot that it is about."""

BY_NODE = "by_node"
"""The policy that keeps several nodes' replies apart: a map from address to reply."""

REFUSED = "is bound to one connection"
"""The words behind the name of a command in the reason for its refusal."""

_LANES = {"scripts": SCRIPTS, "oob": OUT_OF_BAND, "dedicated": DEDICATED, "refused": DEDICATED}
_SPREADS = {"nodes": ALL_NODES, "primaries": ALL_PRIMARIES, "route": NEEDS_ROUTE, "slot": SLOT_ARGUMENT}
_FLAGS = {"read": "reads", "lives": "keeps_values", "server": "about_server"}
_UNITS_NS = {"s": SECOND_NS, "ms": MS_NS}


class Row:
    """The facts about one command, or one subcommand, as it was called. Never changed once it is made."""

    __slots__ = (
        *(
            "about_server",
            "blocks",
            "finder",
            "first",
            "keeps_values",
            "lane",
            "lane_in_transaction",
            "last",
            "name",
            "policy",
        ),
        *(
            "reads",
            "refusal",
            "split",
            "spread",
            "step",
            "subcommands",
            "timeout_place",
            "timeout_unit_ns",
            "variant",
        ),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        """The command, and the subcommand behind a space, in capitals."""
        self.reads = False
        """True if it certainly changes nothing on the server."""
        self.keeps_values = False
        """True if it changes only when keys or their fields end."""
        self.blocks = False
        """True if the server may keep the reply back until something happens. Never in a transaction."""
        self.refusal: str | None = None
        """The reason why it cannot run on the daemon's connections, and what to use instead."""
        self.lane = SHARED
        self.lane_in_transaction = SHARED
        self.spread = ANYWHERE
        self.policy = BY_NODE
        self.split = 0
        """The number of arguments that belong together where it is split by slot; 0: it is not split."""
        self.about_server = False
        """True if it is about the server that answers, so that no other can answer as well."""
        self.first = self.last = 0
        """The place of the first key, 0 for none, and of the last, counted from the end if it is negative."""
        self.step = 1
        self.finder: Finder | None = None
        self.timeout_place = self.timeout_unit_ns = 0
        self.subcommands: dict[bytes, Row] | None = None
        self.variant: Callable[[Sequence[bytes]], Row] | None = None

    def __repr__(self) -> str:
        """Show the command's name."""
        return f"<Row {self.name}>"

    def find_keys(self, arguments: Sequence[bytes]) -> Sequence[bytes]:
        """Return the keys of a command that this row is about."""
        if self.finder is not None:
            return self.finder(arguments)
        first, last = self.first, self.last
        if first == 0:
            return ()
        return arguments[first : len(arguments) + last + 1 if last < 0 else last + 1 : self.step]


def row_of(arguments: Sequence[bytes]) -> Row:
    """Return the row of a command, its name first. One look-up, unless options matter."""
    return _PLAIN.get(arguments[0]) or _find(arguments)


def is_plain(name: bytes) -> bool:
    """Return whether the name alone, written in one case, decides a command's row: no subcommand or option matters."""
    _load()
    return name in _PLAIN


def find_keys(arguments: Sequence[bytes]) -> Sequence[bytes]:
    """Return the keys of a command in their order; none where it has none, or is malformed."""
    return row_of(arguments).find_keys(arguments)


def survey(commands: Sequence[Sequence[bytes]], *, atomic: bool) -> tuple[int, bool, str | None]:
    """Return the lane of a batch, whether all of it only reads, and the first refusal in it.

    A batch goes whole, on the lane of its most demanding member. It goes out of band only if all of it does: work must
    not be queued there. Nothing blocks in a transaction (`atomic`).
    """
    rows = _rows_of(commands)
    lane = most_demanding({row.lane_in_transaction if atomic else row.lane for row in rows})
    refused = None
    if any(row.refusal is not None for row in rows):
        refused = next(filter(None, (row_of(command).refusal for command in commands)), None)
    return lane, all(row.reads for row in rows), refused


def most_demanding(lanes: Iterable[int]) -> int:
    """Return the lane of a whole, from the lanes of its parts: commands, or slices of a batch."""
    different = set(lanes)
    lane = max(different, default=SHARED)
    return DEDICATED if lane == OUT_OF_BAND and len(different) > 1 else lane


def any_blocks(commands: Sequence[Sequence[bytes]]) -> bool:
    """Return whether the server may keep back the reply to any of the commands, outside of a transaction."""
    return any(row.blocks for row in _rows_of(commands))


def is_known_read(arguments: Sequence[bytes]) -> bool:
    """Return whether the command, its name first, certainly changes nothing on the server."""
    return row_of(arguments).reads


def is_known(arguments: Sequence[bytes]) -> bool:
    """Return whether the table has the command, its name first."""
    return row_of(arguments) not in (_UNKNOWN, _UNKNOWN_SUBCOMMAND)


def irregular_names() -> frozenset[bytes]:
    """Return the commands whose first argument is not, or not always, their one key."""
    _load()
    return frozenset(name for name, row in _ROWS.items() if not _has_one_key(row))


def names_of_keys_alone() -> frozenset[bytes]:
    """Return the commands whose arguments are all keys: a single argument is the one key."""
    _load()
    return frozenset(name for name, row in _ROWS.items() if (row.first, row.last, row.step) == (1, -1, 1))


def all_rows() -> dict[str, Row]:
    """Return the whole table, by command and subcommand."""
    _load()
    rows = list(_ROWS.values())
    for row in _ROWS.values():
        rows += (row.subcommands or {}).values()
    return {row.name: row for row in rows}


def _rows_of(commands: Sequence[Sequence[bytes]]) -> set[Row]:
    """Return the distinct rows of many commands, at little more than one lookup each."""
    _load()
    rows = set()
    special = set()
    for name in {command[0] for command in commands}:
        row = _PLAIN.get(name.upper())
        if row is None:
            special.add(name)
        else:
            rows.add(row)
    if special:
        rows.update(_find(command) for command in commands if command[0] in special)
    return rows


def _find(arguments: Sequence[bytes]) -> Row:
    """Return the row of a command that is not a plain name in one case: by its subcommand, its options, or unknown."""
    _load()
    row = _ROWS.get(arguments[0].upper(), _UNKNOWN)
    if row.subcommands is not None and len(arguments) > 1:
        return row.subcommands.get(arguments[1].upper(), _UNKNOWN_SUBCOMMAND)
    return row if row.variant is None else row.variant(arguments)


def _has_one_key(row: Row) -> bool:
    return (row.first, row.last) == (1, 1) and row.finder is None


def _by_block(row: Row) -> Callable[[Sequence[bytes]], Row]:
    """Choose between the rows of a blocking and a non-blocking command."""
    blocking = _copy(row)
    blocking.blocks = True
    blocking.lane = DEDICATED
    unclear = _copy(row)
    unclear.lane = unclear.lane_in_transaction = DEDICATED

    def choose(arguments: Sequence[bytes]) -> Row:
        _, block, understood = walk_streams(arguments)
        if block:
            return blocking
        return row if understood else unclear

    blocking.variant = unclear.variant = choose
    return choose


def _of_debug(row: Row) -> Callable[[Sequence[bytes]], Row]:
    """Choose between the DEBUG subcommands that act on a server and those that would act on the daemon's connection."""
    refused = _copy(row)
    refused.name = "DEBUG PROTOCOL"
    refused.refusal = _refusal_text(refused.name)

    def choose(arguments: Sequence[bytes]) -> Row:
        return refused if len(arguments) > 1 and option(arguments[1]) == b"PROTOCOL" else row

    return choose


_VARIANTS = {"by_block": _by_block, "of_debug": _of_debug}

_PLAIN: dict[bytes, Row] = {}
"""The rows of commands that their name alone determines, by the name in capitals and in small letters."""
_ROWS: dict[bytes, Row] = {}
"""All commands, by the name in capitals."""


def _unknown(name: str) -> Row:
    row = Row(name)
    row.lane = row.lane_in_transaction = DEDICATED
    return row


_UNKNOWN = _unknown("unknown")
_UNKNOWN.first = _UNKNOWN.last = 1
_UNKNOWN_SUBCOMMAND = _unknown("unknown subcommand")


def _load() -> None:
    """Read the table, the first time. Several threads may do so at once: each makes the same, whole table."""
    if _ROWS:
        return
    rows: dict[bytes, Row] = {}
    for line in TABLE.replace("\n ", " ").splitlines():
        words, _, names = line.rpartition("|")
        for name in names.split():
            container, _, subcommand = name.partition(":")
            row = _read_row(name.replace(":", " "), words.split())
            if not subcommand:
                row.subcommands = rows[name.encode()].subcommands if name.encode() in rows else None
                rows[name.encode()] = row
                continue
            above = rows.setdefault(container.encode(), _unknown(container))
            if above.subcommands is None:
                above.subcommands = {}
            above.subcommands[subcommand.encode()] = row
    plain = {name: row for name, row in rows.items() if row.subcommands is None and row.variant is None}
    _PLAIN.update({name.lower(): row for name, row in plain.items()})
    _PLAIN.update(plain)
    _ROWS.update(rows)


def _read_row(name: str, facts: list[str]) -> Row:
    row = Row(name)
    for fact in facts:
        word, _, value = fact.partition("=")
        if value:
            _VALUES[word](row, value)
        elif word in _LANES:
            row.lane = row.lane_in_transaction = _LANES[word]
            row.refusal = _refusal_text(name) if word == "refused" else None
        elif word in _SPREADS:
            row.spread = _SPREADS[word]
        else:
            setattr(row, _FLAGS[word], True)
    return row


def _read_keys(row: Row, value: str) -> None:
    numbers = [int(number) for number in value.split(",")]
    row.first, row.last, row.step = (*numbers, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]


def _read_count(row: Row, value: str, *, stores: bool = False) -> None:
    place, _, step = value.partition(",")
    row.finder = counted(int(place), int(step or 1), stores=stores)


def _read_timeout(row: Row, value: str) -> None:
    place, _, unit = value.partition(",")
    row.blocks, row.lane = True, DEDICATED
    row.timeout_place, row.timeout_unit_ns = int(place), _UNITS_NS[unit]


_VALUES: dict[str, Callable[[Row, str], None]] = {
    "k": _read_keys,
    "n": _read_count,
    "N": lambda row, value: _read_count(row, value, stores=True),
    "f": lambda row, value: setattr(row, "finder", FUNCTIONS[value]),
    "t": _read_timeout,
    "p": lambda row, value: setattr(row, "policy", value),
    "split": lambda row, value: setattr(row, "split", int(value)),
    # Behind all other facts: it copies them.
    "o": lambda row, value: setattr(row, "variant", _VARIANTS[value](row)),
}


def _refusal_text(name: str) -> str:
    return f"{name} {REFUSED}, and glidecached's connections are shared: {ADVICE[name]}"


def _copy(row: Row) -> Row:
    copy = Row(row.name)
    for slot in Row.__slots__:
        setattr(copy, slot, getattr(row, slot))
    return copy
