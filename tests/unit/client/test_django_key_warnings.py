"""Django's cache warns of the keys that Django's own backends warn of, in the same words."""

from __future__ import annotations

import warnings

from django.core.cache.backends.base import BaseCache
from hypothesis import example, given
from hypothesis import strategies as st

from glidecache.django import SharedCache

KEYS = st.text(st.characters(max_codepoint=0x180), max_size=12)


def warned(kind: type[BaseCache], key: str) -> list[tuple[type[Warning], str]]:
    """The warnings of this class's own check of a key."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind.validate_key(object.__new__(kind), key)
    return [(each.category, str(each.message)) for each in caught]


@given(KEYS)
@example("k" * 250)
@example("k" * 251)
@example(" " * 251)
@example("a\x7f")
@example("a\x80")
@example("a\n")
@example("")
def test_keys_are_warned_of_as_by_django(key: str) -> None:
    assert warned(SharedCache, key) == warned(BaseCache, key)
