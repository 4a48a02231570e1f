"""Calls: what is written to the server, and what becomes of its replies."""

from __future__ import annotations

from typing import Any

import libvalkey
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glidecache_shared.protocol import ERROR_EXEC_ABORT, ERROR_REQUEST, HASH, SET, STRING, ReplyError
from glidecached.single_flight import as_kind
from glidecached.upstream.call import BatchCall, SingleCall, pack_command, pack_in_slices

COMMANDS = [[b"SET", b"k", b"v"], [b"INCR", b"k"]]


class Batch(BatchCall):
    """A batch that keeps its outcome."""

    def __init__(self, *, atomic: bool) -> None:
        super().__init__(COMMANDS, 2**62, atomic=atomic, repeatable=False)
        self.outcome: Any = "none yet"

    def abandon(self) -> None:
        self.outcome = "abandoned"

    def succeed(self, reply: Any) -> None:
        self.outcome = reply

    def fail(self, code: int, message: str) -> None:
        self.outcome = (code, message)


def feed(batch: Batch, *replies: Any) -> Any:
    """Hand the replies over; only the last one may complete the batch."""
    assert [batch.receive(reply) for reply in replies] == [False] * (len(replies) - 1) + [True]
    return batch.outcome


def test_c17_a_pipeline_is_written_as_it_is() -> None:
    assert Batch(atomic=False).pack() == (
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n" + b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n"
    )


def test_c17_a_transaction_is_written_whole() -> None:
    packed = Batch(atomic=True).pack()
    assert packed.startswith(b"*1\r\n$5\r\nMULTI\r\n")
    assert packed.endswith(b"*1\r\n$4\r\nEXEC\r\n")


def test_a_pipelines_replies_come_together_errors_among_them() -> None:
    wrong = ReplyError("WRONGTYPE no")
    assert feed(Batch(atomic=False), "OK", wrong) == ["OK", wrong]


def test_a_transactions_result_is_execs_reply() -> None:
    assert feed(Batch(atomic=True), "OK", "QUEUED", "QUEUED", ["OK", 2]) == ["OK", 2]


def test_a_transaction_stopped_by_a_watched_key_is_none() -> None:
    assert feed(Batch(atomic=True), "OK", "QUEUED", "QUEUED", None) is None


def test_an_aborted_transaction_says_which_command_was_wrong() -> None:
    replies = ("OK", ReplyError("ERR wrong number"), "QUEUED", ReplyError("EXECABORT discarded"))
    assert feed(Batch(atomic=True), *replies) == (ERROR_EXEC_ABORT, "EXECABORT discarded (ERR wrong number)")


def test_a_refused_multi_is_the_reason() -> None:
    replies = (ReplyError("NOPERM multi"), "OK", 1, ReplyError("ERR EXEC without MULTI"))
    assert feed(Batch(atomic=True), *replies) == (ERROR_REQUEST, "NOPERM multi")


def test_a_restarted_batch_counts_from_the_beginning() -> None:
    batch = Batch(atomic=False)
    batch.receive(b"OK")
    batch.restart()
    assert feed(batch, b"OK", 3) == [b"OK", 3]


def test_replies_of_resp2_become_the_kinds_own_types() -> None:
    assert as_kind(HASH, [b"a", b"1", b"b", b"2"]) == {b"a": b"1", b"b": b"2"}
    assert as_kind(SET, [b"a", b"b"]) == {b"a", b"b"}
    assert as_kind(HASH, {b"a": b"1"}) == {b"a": b"1"}
    assert as_kind(STRING, b"v") == b"v"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=120))
def test_commands_are_packed_as_libvalkey_packs_them(arguments: list[bytes]) -> None:
    assert pack_command(arguments) == libvalkey.pack_command(tuple(arguments))


def test_an_argument_that_is_not_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="int; expected bytes"):
        pack_command([b"GET", 1])  # type: ignore[list-item]


@given(
    st.lists(
        st.binary(max_size=20) | st.sampled_from([bytes(65_535), bytes(65_536), bytes(200_000)]), min_size=1
    )
)
@settings(max_examples=100, deadline=None)
def test_i6_a_command_in_pieces_is_the_same_and_its_long_arguments_are_not_copied(
    arguments: list[bytes],
) -> None:
    call = SingleCall(arguments, 2**62, repeatable=False)
    pieces = call.pack_pieces()
    assert b"".join(pieces) == call.pack()
    assert all(
        any(piece is argument for piece in pieces) for argument in arguments if len(argument) >= 65_536
    )


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("count", [1, 1_999, 2_000, 4_001])
def test_i10_a_batch_packed_in_slices_is_the_same(atomic: bool, count: int) -> None:
    commands = [[b"SET", b"k%d" % number, b"v"] for number in range(count)]
    slices = pack_in_slices(commands, atomic=atomic)
    steps = 0
    while True:
        try:
            next(slices)
        except StopIteration as done:
            packed = done.value
            break
        steps += 1
    assert steps == -(-count // 2_000)
    call = Batch(atomic=atomic)
    assert b"".join(packed) == BatchCall(commands, 2**62, atomic=atomic, repeatable=False).pack()
    call.packed = packed
    assert call.pack_pieces() == packed
    assert call.pack() == b"".join(packed)
