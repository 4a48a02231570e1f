"""The package itself: what it exports, what is generated, and that both stay in step."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
import tomllib

import pytest

import glidecache
from glidecache import errors, types
from glidecache_shared import __version__
from support.process import ROOT


def test_the_generated_methods_are_up_to_date() -> None:
    finished = subprocess.run(
        [sys.executable, ROOT / "tools" / "generate_commands.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def test_type_checkers_and_the_interpreter_see_the_same_names() -> None:
    tree = ast.parse((ROOT / "client" / "glidecache" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = [alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(imported) == sorted(glidecache.__all__)
    for name in glidecache.__all__:
        value = getattr(glidecache, name)
        assert name in vars(types) or value.__name__ == name
    assert set(glidecache.__all__) <= set(dir(glidecache))


def test_the_blocking_module_has_all_names_so_that_one_import_suffices() -> None:
    import glidecache.sync as blocking

    assert sorted(blocking.__all__) == sorted(glidecache.__all__)
    assert set(blocking.__all__) <= set(dir(blocking))
    different = {"GlideClient", "GlideClusterClient", "TGlideClient"}
    for name in blocking.__all__:
        assert (getattr(blocking, name) is not getattr(glidecache, name)) == (name in different), name
    assert blocking.TGlideClient == blocking.GlideClient | blocking.GlideClusterClient
    tree = ast.parse((ROOT / "client" / "glidecache" / "sync" / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(blocking.__all__) - imported == {"GlideClient", "TGlideClient"}
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = blocking.Nonsense  # type: ignore[attr-defined]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = glidecache.Nonsense  # type: ignore[attr-defined]


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__


def test_errors_are_glides_and_the_builtins() -> None:
    assert issubclass(errors.ClosingError, errors.GlideError)
    assert not issubclass(errors.ClosingError, errors.RequestError)
    for error in (
        errors.ExecAbortError,
        errors.ConfigurationError,
        errors.TimeoutError,
        errors.ConnectionError,
    ):
        assert issubclass(error, errors.RequestError)
    assert issubclass(errors.DaemonUnavailableError, errors.ConnectionError)
    assert issubclass(errors.TimeoutError, TimeoutError)
    assert issubclass(errors.ConnectionError, ConnectionError)


@pytest.mark.parametrize("name", [name for name in glidecache.__all__ if name.endswith("Error")])
def test_errors_travel_between_processes(name: str) -> None:
    error = getattr(glidecache, name)("what was wrong")
    copied = pickle.loads(pickle.dumps(error))  # noqa: S301
    text = "timed out: what was wrong" if name == "TimeoutError" else "what was wrong"
    assert (type(copied), str(copied)) == (type(error), text)
    assert error.name() == name


def test_both_clients_and_batches_have_the_same_commands() -> None:
    from glidecache import sync

    def public(subject: type) -> set[str]:
        return {name for name in dir(subject) if not name.startswith("_")}

    assert public(glidecache.GlideClient) - public(sync.GlideClient) == {"aclose"}
    assert public(sync.GlideClient) <= public(glidecache.GlideClient)
    assert public(sync.GlideClusterClient) <= public(glidecache.GlideClusterClient)
    not_in_batches = {name for name in public(sync.GlideClient) if name.startswith("get_cache_")}
    not_in_batches |= {
        "close",
        "config",
        "create",
        "exec",
        "forget",
        "get_many",
        "invoke_script",
        "unwatch",
        "watch",
    }
    assert public(sync.GlideClient) - public(glidecache.Batch) == not_in_batches
    assert public(glidecache.Batch) - public(sync.GlideClient) == {"clear", "commands"}
