"""`glidecache advise`: what it prints for people and programs, its exit statuses, and what it refuses."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from click.testing import CliRunner

from glidecache_shared import __version__, protocol
from glidecached.advice.judgement import MemoryStep, across
from glidecached.cli import advise as command
from glidecached.cli.advice_text import advice_lines
from glidecached.cli.operator import main
from glidecached.cli.options import ExitStatus
from glidecached.pools.metadata import MAX_CACHE_KB, MAX_TTL_MS
from support.advice_reports import STEP, advice, advice_report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

COLUMNS = 100


def told(**reports: dict[str, Any]) -> dict[str, Any]:
    return {
        "caches": reports,
        "across": across(dict.fromkeys(reports, STEP)),
        "not_sampled": {},
        "caches_left_out": 0,
    }


@contextmanager
def daemon(runtime_dir: Path, status: int, result: Any) -> Iterator[list[Any]]:
    """A daemon that greets, and answers one request so; what was asked."""
    context = zmq.Context()
    socket = context.socket(zmq.ROUTER)
    socket.bind(f"ipc://{runtime_dir}/glidecached.sock")
    asked: list[Any] = []
    hello = {"instance_id": 7, "protocol_version": protocol.PROTOCOL_VERSION, "daemon_version": __version__}

    def answer() -> None:
        for code, content in ((protocol.STATUS_OK, hello), (status, result)):
            identity, frame = socket.recv_multipart()
            operation, number, _, _, *body = protocol.unpack(frame)
            asked.append((operation, body))
            socket.send_multipart([identity, protocol.pack([number, code, content])])

    answering = threading.Thread(target=answer)
    answering.start()
    try:
        yield asked
        answering.join(60)
    finally:
        socket.close(linger=0)
        context.term()


def advise(
    runtime_dir: Path, answer: Any, *arguments: str, status: int = protocol.STATUS_OK
) -> tuple[Result, Any]:
    """Run the command against a daemon with that answer; its result, and the body that it sent."""
    with daemon(runtime_dir, status, answer) as asked:
        result = CliRunner().invoke(main, ["advise", *arguments, "--runtime-dir", str(runtime_dir)])
    operation, body = asked[1]
    assert operation == protocol.ADVISE
    assert "Traceback" not in result.output
    return result, body


def test_programs_get_the_two_parts_and_no_more(tmp_path: Path) -> None:
    answer = told(catalog=advice_report(written_prefixes=None), prices=advice_report())
    answer["not_sampled"] = {"sessions": "its reason"}
    result, body = advise(tmp_path, answer, "--json")
    assert body == [None, None, None]
    assert json.loads(result.stdout) == {"caches": answer["caches"], "across": answer["across"]}
    assert '"max_cache_kb": null' in result.stdout
    assert '"written_prefixes": null' in result.stdout
    assert result.stderr == "sessions: its reason\n"
    assert result.exit_code == ExitStatus.DONE


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_the_status_says_whether_something_should_be_changed(tmp_path: Path, form: list[str]) -> None:
    result, _ = advise(tmp_path, told(a=advice_report(), b=advice_report()), *form)
    assert result.exit_code == ExitStatus.DONE
    wanted = advice_report(advice=[advice("eviction_policy", "LFU")])
    result, _ = advise(tmp_path, told(a=advice_report(), b=wanted), *form)
    assert result.exit_code == ExitStatus.FAILED


def test_a_cache_and_points_are_asked_for_as_they_are_typed(tmp_path: Path) -> None:
    result, body = advise(
        tmp_path, told(a=advice_report()), "a", "--sizes", "1024, 512,1024", "--ttls", "0,5000"
    )
    assert body == ["a", [1024, 512, 1024], [0, 5000]]
    assert result.exit_code == ExitStatus.DONE


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("--sizes", "", "'' is no integer"),
        ("--sizes", "1,,2", "'' is no integer"),
        ("--sizes", "-1", "'-1' is no integer"),
        ("--sizes", "1.5", "'1.5' is no integer"),
        ("--sizes", "²", "'²' is no integer"),
        ("--sizes", "12MB", "'12MB' is no integer; write, for example, 1024,4096"),
        ("--sizes", "0", "0; expected 1 to"),
        ("--sizes", str(MAX_CACHE_KB + 1), f"expected 1 to {MAX_CACHE_KB:,}"),
        ("--sizes", "9" * 10_000, "expected 1 to"),
        ("--sizes", ",".join(["1"] * 65), "65 values; at most 64"),
        ("--ttls", "soon", "'soon' is no integer"),
        ("--ttls", str(MAX_TTL_MS + 1), f"expected 0 to {MAX_TTL_MS:,}"),
        ("--ttls", ",".join(["1"] * 65), "65 values; at most 64"),
    ],
    ids=lambda value: value[:20],
)
def test_bad_lists_are_wrong_usage(tmp_path: Path, option: str, value: str, fault: str) -> None:
    result = CliRunner().invoke(main, ["advise", option, value, "--runtime-dir", str(tmp_path)])
    assert result.exit_code == ExitStatus.USAGE
    assert fault in result.stderr
    assert option in result.stderr
    assert len(result.stderr) < 500


def test_the_command_and_the_daemon_have_the_same_bounds() -> None:
    assert (command.MOST_KB, command.MOST_MS) == (MAX_CACHE_KB, MAX_TTL_MS)


@pytest.mark.parametrize(
    ("code", "reason", "shown"),
    [
        (
            protocol.ERROR_PROTOCOL,
            "unknown operation 17; this is protocol 2",
            "gives no advice yet: upgrade it",
        ),
        (protocol.ERROR_CONFIGURATION, "there is no cache 'x'; there are: a\x1b", "there are: a\\x1b"),
        (protocol.ERROR_PROTOCOL, "something else", "something else"),
    ],
)
def test_refusals_are_said_in_a_line(tmp_path: Path, code: int, reason: str, shown: str) -> None:
    result, _ = advise(tmp_path, [code, reason], "x", status=protocol.STATUS_ERROR)
    assert result.exit_code == ExitStatus.FAILED
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert shown in line


def test_no_daemon_and_bad_names_have_their_own_statuses(tmp_path: Path) -> None:
    absent = CliRunner().invoke(main, ["advise", "--runtime-dir", str(tmp_path / "none")])
    assert absent.exit_code == ExitStatus.UNREACHABLE
    odd = CliRunner().invoke(main, ["advise", "a\udcff", "--runtime-dir", str(tmp_path)])
    assert odd.exit_code == ExitStatus.USAGE
    assert "not valid UTF-8" in odd.stderr


def test_no_caches_is_said(tmp_path: Path) -> None:
    result, _ = advise(tmp_path, told())
    assert (result.stdout, result.exit_code) == ("no caches with advice\n", ExitStatus.DONE)
    result, _ = advise(tmp_path, told(), "--json")
    assert json.loads(result.stdout) == {"caches": {}, "across": []}


def test_many_caches_without_a_sample_are_a_line_for_each_reason(tmp_path: Path) -> None:
    answer = told(a=advice_report())
    answer["not_sampled"] = {f"c{number:03}": "reason 1" for number in range(300)} | {"z": "reason 2"}
    result, _ = advise(tmp_path, answer)
    first, second = result.stderr.splitlines()
    assert first.startswith("c000, c001, ")
    assert first.endswith(", c007 and 292 other caches, each: reason 1")
    assert second == "z: reason 2"


def test_lost_samples_are_said() -> None:
    assert "points; 1,204 samples lost" in " ".join(lines(catalog=advice_report(lost_events=1_204))[1:3])
    assert "lost" not in "".join(lines(catalog=advice_report(lost_events=0)))


def test_caches_that_do_not_fit_are_counted(tmp_path: Path) -> None:
    result, _ = advise(tmp_path, {**told(a=advice_report()), "caches_left_out": 7})
    assert result.stderr == "7 other caches not shown: name the one to see\n"


def test_no_lookups_are_said_and_nothing_else() -> None:
    shown = lines(idle=advice_report(lookups=0, seconds=65, enough=False, shortfall="0 of 2,000"))
    assert shown[1:] == ["  no lookups in 1 min 5 s: too little traffic for advice so far"]


def test_a_ttl_that_is_the_servers_is_named_as_in_stats() -> None:
    assert "64.0 MB, 1 min or key's, LRU" in lines(catalog=advice_report(server_ttl=True))[0]
    endless = {**advice_report()["now"], "entry_ttl_ms": 0}
    assert "64.0 MB, key's, LRU" in lines(catalog=advice_report(server_ttl=True, now=endless))[0]


def test_a_number_and_its_unit_stay_on_one_line() -> None:
    for length in range(60):
        why = f"{'x' * length} the hit rate would be 97.3 % instead of 1,204 points, and 0.1 % stale"
        shown = lines(catalog=advice_report(advice=[{"what": "max_cache_kb", "to": 5, "why": why}]))
        assert not [line for line in shown if line.startswith(("    %", "    points"))]
        assert "\N{NO-BREAK SPACE}" not in "".join(shown)
        assert max(map(len, shown)) <= COLUMNS


def test_several_changes_are_made_one_by_one() -> None:
    hint = "  each change is simulated alone: make one, and ask again after some traffic"
    one, two = advice("max_cache_kb", 5), advice("eviction_policy", "LFU")
    assert hint not in lines(catalog=advice_report(advice=[one]))
    assert lines(catalog=advice_report(advice=[one, two]))[-1] == hint


def test_without_a_refresh_stale_reads_are_not_known_and_that_is_said() -> None:
    report = advice_report(changed_refreshes=None)
    for each in report["by_ttl"]:
        each["stale_reads"] = None
    assert "stale reads are not known" in "\n".join(lines(catalog=report))
    assert "stale reads are not known" not in "\n".join(lines(catalog=advice_report()))


def test_memory_across_caches_is_said_in_mb_and_no_change_has_no_sign() -> None:
    reports = {"a": advice_report(), "b": advice_report(), "c": advice_report()}
    steps = {
        "a": MemoryStep(gain=0.5, loss=0.25),
        "b": MemoryStep(gain=0.0, loss=0.0),
        "c": MemoryStep(gain=0.0, loss=0.0004),
    }
    shown = list(advice_lines(reports, across(steps), total_kb=262_144))
    assert "another 10 % of all memory (max_total_cache_kb: 25.6 MB), given to a cache" in "\n".join(shown)
    rows = {line.split()[0]: line for line in shown if line.count(" points") == 2}
    assert "+50.0 points" in rows["a"]
    assert "-25.0 points" in rows["a"]
    for name in "bc":
        assert rows[name].split()[1:3] == ["0.0", "points"]
        assert "+0.0" not in rows[name]
        assert "-0.0" not in rows[name]
    assert shown[-1] == "  a gains most, 2 caches lose nothing"


def lines(width: int | None = None, **reports: dict[str, Any]) -> list[str]:
    return "\n".join(advice_lines(reports, across(dict.fromkeys(reports, STEP)), width)).splitlines()


def test_people_get_every_figure_within_the_width_of_a_terminal() -> None:
    report = advice_report(
        advice=[advice("max_cache_kb", 98_304), {**advice("entry_ttl_ms", 30_000), "why": "why " * 60}],
        cached_key_writes=1_204,
        known_stale_hits=0.012,
        written_prefixes=["cart:", "\x1b[31m" * 20, *(f"p{number}:" for number in range(20))],
    )
    shown = lines(
        **{"catalog": report, "a name that is longer than forty characters, as they may be": report}
    )
    assert max(map(len, shown)) <= COLUMNS
    text = "\n".join(shown)
    assert "catalog  64.0 MB, 1 min, LRU: 91.0 % hits" in text
    assert "12,300,000 lookups in 30 min; 8,192 keys sampled, 1.6 % of all; expected error" in text
    (row,) = {line for line in shown if line.startswith("  now   64.0 MB")}
    assert row.split() == ["now", "64.0", "MB", "91.0", "%", "2", "min", "99.5", "%", "500", "3.0", "%"]
    assert "  now  1 min    91.0 %         600  2.0 %" in text
    assert "no bound    95.0 %" in text
    assert "policy: LRU 91.0 % (now), LFU 92.2 %" in text
    assert "refreshes that brought another value: 3.1 %" in text
    assert "1,204 writes, 1.2 % of the hits known to be stale" in text
    assert "cart:" in text
    assert "and 14 more" in text
    assert "\x1b" not in text
    assert "→ max_cache_kb = 98304: because of max_cache_kb" in text
    assert shown[-1].endswith("loses least")


def test_a_narrow_terminal_has_one_table_below_the_other() -> None:
    shown = lines(60, catalog=advice_report())
    assert max(len(line) for line in shown if "now" in line) <= 60
    heads = [place for place, line in enumerate(shown) if "hit rate" in line]
    assert len(heads) == 2


def test_too_little_traffic_has_no_table() -> None:
    few = advice_report(
        enough=False,
        shortfall="12 of 2,000",
        lookups=12,
        expected_error=None,
        now={**advice_report()["now"], "hit_rate": None},
    )
    shown = lines(catalog=few)
    assert "12 lookups" in shown[1]
    assert shown[-1] == "  too little traffic for advice so far: 12 of 2,000"
    assert not [line for line in shown if "upstream/s" in line]


def test_what_is_not_known_is_a_dash() -> None:
    report = advice_report(changed_refreshes=None, by_policy={"LRU": 0.9, "LFU": None})
    report["by_ttl"][0].update(stale_reads=None, upstream_per_second=None)
    shown = lines(catalog=report)
    (row,) = [line for line in shown if "10 s" in line]
    assert row.split()[-2:] == ["–", "–"]
    assert "  policy: LRU 90.0 % (now), LFU –" in shown
    assert not [line for line in shown if "refreshes" in line]


def test_windows_of_time_are_said() -> None:
    text = "\n".join(lines(catalog=advice_report(sampled_time=0.125)))
    assert "lookups in 30 min, 12.5 % of the time; 8,192 keys" in text.replace("\n ", "")
    assert "of the time" not in "\n".join(lines(catalog=advice_report(sampled_time=0.999)))


def test_prefixes_are_for_administrators() -> None:
    written = advice_report(cached_key_writes=1, written_prefixes=None)
    assert any("administrators see" in line for line in lines(catalog=written))
