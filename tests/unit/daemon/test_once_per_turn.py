"""Many requests for the same facts cost one search: numbers in one turn of the loop, TLS texts for good (I8, I10)."""

from __future__ import annotations

from typing import Any

import pytest

from glidecached.handlers.admin import OncePerTurn
from glidecached.upstream import target
from glidecached.upstream.target import TlsMaterial, TlsMaterialError, check_tls


def test_i10_numbers_are_counted_once_a_turn(loop: Any) -> None:
    asked: list[int] = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        return {"number": len(asked)}

    once = OncePerTurn(loop, ask)
    assert [once()["number"] for _ in range(100)] == [1] * 100
    loop.run_deferred()
    assert once()["number"] == 2


def material(text: bytes) -> TlsMaterial:
    return TlsMaterial(ca=text, certificate=None, key=None, insecure=False)


def test_i10_the_same_tls_texts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[TlsMaterial] = []
    monkeypatch.setattr(target, "_read", read.append)
    monkeypatch.setattr(target, "_checked", {})
    for _ in range(10):
        check_tls(material(b"a" * 1_000_000))
        check_tls(material(b"b"))
    assert len(read) == 2
    for number in range(2_000):
        check_tls(material(b"%d" % number))
    assert len(target._checked) <= 256


def test_i10_what_is_wrong_with_tls_texts_is_told_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "_checked", {})
    told = []
    for _ in range(3):
        with pytest.raises(TlsMaterialError) as no:
            check_tls(material(b"no certificate"))
        told.append(str(no.value))
    assert len(set(told)) == 1
    assert "root certificates" in told[0]
