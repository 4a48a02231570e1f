"""The prefixes of written keys: what counts as one, and which are shown when there are many."""

from __future__ import annotations

import pytest

from glidecached.advice.written_prefixes import WrittenPrefixes


def shown(*keys: bytes) -> list[str]:
    prefixes = WrittenPrefixes()
    for key in keys:
        prefixes.count(key)
    return prefixes.commonest()


@pytest.mark.parametrize(
    ("key", "prefix"),
    [
        (b"cart:17", "cart:"),
        (b"shop/cart/17", "shop/"),
        (b"a|b", "a|"),
        (b"shopping_cart:17", "shopping_cart:"),
        (b"user-17", "user-"),
        (b"user.17", "user."),
        (b"item42", "item"),
        (b":1:views.page:9", ":1:views.page:"),
        ("größe:1".encode(), "größe:"),
        (b"\xff\xfe:1", "\\xff\\xfe:"),
        (b"config", "config"),
        (b"k" * 100, "k" * 64),
        (b"k" * 80 + b":1", "k" * 64),
    ],
)
def test_a_prefix_ends_with_the_first_separator_behind_a_letter(key: bytes, prefix: str) -> None:
    assert shown(key) == [prefix]


@pytest.mark.parametrize("key", [b"", b"17", b"12:34:56", b"-", b"\0\1"])
def test_a_key_without_letters_has_no_prefix(key: bytes) -> None:
    assert shown(key) == []


def test_the_commonest_are_shown_first_and_at_most_sixteen() -> None:
    keys = [
        b"%s:%d" % (bytes([97 + letter]), number) for letter in range(20) for number in range(20 - letter)
    ]
    assert shown(*keys) == [f"{chr(97 + letter)}:" for letter in range(16)]


def test_rare_prefixes_do_not_push_out_a_common_one() -> None:
    keys = [key for number in range(2_000) for key in (b"cart:%d" % number, b"junk%dx:" % number)]
    assert shown(*keys) == ["cart:"]


def test_what_may_be_rare_is_not_shown() -> None:
    assert shown(*(b"x%dy:" % number for number in range(5_000))) == []
