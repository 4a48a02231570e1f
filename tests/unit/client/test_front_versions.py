"""The versions of valkey-py and redis-py that fronts work with: the extras and the code say the same."""

from __future__ import annotations

import re
import sys
import tomllib
from typing import Any

import pytest

from glidecache.fronts import libraries
from support.process import ROOT

MAKERS = {"valkey": libraries.valkey_py, "redis": libraries.redis_py}
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


def numbers(version: str) -> tuple[int, ...]:
    found = [int(number) for number in re.findall(r"\d+", version)]
    return tuple(found + [0] * (3 - len(found)))


@pytest.mark.parametrize("name", MAKERS)
def test_the_extra_allows_what_the_front_does(name: str) -> None:
    (requirement,) = EXTRAS[name]
    lower, upper = requirement.removeprefix(name).split(",")
    assert numbers(lower) == libraries.OLDEST[name]
    installed: Any = __import__(name)
    assert numbers(lower) <= installed.VERSION < numbers(upper)


@pytest.mark.parametrize("version", ["one", "two"])
@pytest.mark.parametrize("name", MAKERS)
def test_an_older_one_is_refused_with_what_to_install(
    name: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor, patch = libraries.OLDEST[name]
    too_old = (major - 1, 99, 99) if version == "one" or not minor + patch else (major, minor, patch - 1)
    monkeypatch.setattr(sys.modules[name], "VERSION", too_old)
    with pytest.raises(ImportError) as raised:
        MAKERS[name]()
    assert str(raised.value) == (
        f"glidecache.{name} needs {name}-py {major}.{minor}.{patch} or newer, but "
        f"{'.'.join(map(str, too_old))} is installed: pip install 'glidecached[{name}]'"
    )
    monkeypatch.setattr(sys.modules[name], "VERSION", libraries.OLDEST[name])
    assert MAKERS[name]().name == name
