"""The errors for calls that redis-py and valkey-py take and the methods of the same name here do not.

Imported when such a call is made, for the error's text alone. The methods that the tables of `redis_calls` and
`redis_calls_of_collections` name take anything, to refuse it by name: `tools/generate_commands.py` makes them so.
"""

from __future__ import annotations

from glidecache.commands import redis_calls, redis_calls_of_collections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _read_tables() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in (redis_calls.CALLS + redis_calls_of_collections.CALLS).split("\n"):
        shape, _, call = line.partition(": ")
        method, *keywords = shape.split() or [""]
        if method:
            found.setdefault(method, {}).update(dict.fromkeys(keywords or [""], call))
    return found


INSTEAD = _read_tables()
"""By method, by keyword, the call to write; under `""` that for more or fewer positional arguments than there are."""


def mistake(owner: type, method: str, others: Sequence[object], keywords: Mapping[str, object]) -> TypeError:
    """Return the error for a call with arguments that `method` does not take, of `owner`, a client or a batch.

    Without such arguments it is the error for a call that lacks some.
    """
    keyword = next(iter(keywords), "")
    if keyword:
        refused = f"takes no {keyword}="
    elif others:
        refused = f"takes {len(others)} positional arguments fewer"
    else:
        refused = f"needs {', '.join(_required(getattr(owner, method)))}"
    text = f"{owner.__name__}.{method} {refused}"
    call = INSTEAD[method].get(keyword)
    if call is None:
        return TypeError(text)
    awaited = "await " if hasattr(owner, "aclose") else ""
    return TypeError(f"{text}: write {awaited}{'client' if hasattr(owner, 'create') else 'batch'}.{call}")


def _required(method: object) -> list[str]:
    import inspect

    parameters = list(inspect.signature(method).parameters.values())[1:]  # type: ignore[arg-type]
    return [each.name for each in parameters if each.default is each.empty]
