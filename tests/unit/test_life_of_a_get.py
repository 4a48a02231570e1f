"""The charts of a GET in docs/architecture.md show the code's own calls, and a miss reads forwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "glidecache": ROOT / "client",
    "glidecached": ROOT / "daemon",
    "glidecache_shared": ROOT / "shared",
}
MISS = (
    "A miss: the worker asks",
    "A miss: the daemon asks the server",
    "A miss: the reply is stored and passed on",
    "A miss: the worker takes the reply",
)
CHARTS = ("A hit", *MISS)
MOST_FILES, MOST_TURNS_BACK = 25, 1
_ROW = re.compile(r"^\| [^|]*\| `(?P<module>[\w/.]+)` \| (?P<steps>`.*`) \|$", re.MULTILINE)
_STEP = re.compile(r"`([\w.]+)`(?: as `(\w+)`)?")
_DEFINITION = r"^ *(?:async def|def|cdef|cpdef)\b[^\n(]*\b{name}\("


class Step(NamedTuple):
    """A function of a chart; `called_as` is the name that its caller has for it."""

    source: Path
    function: str
    called_as: str

    def __str__(self) -> str:
        return f"{self.source.relative_to(ROOT)}: {self.function}"


def chart(title: str, page: str | None = None) -> list[Step]:
    """Return the functions of one chart, in its order."""
    page = (ROOT / "docs/architecture.md").read_text() if page is None else page
    _, found, rest = page.partition(f"### {title}\n")
    assert found, f"docs/architecture.md has no chart “{title}”"
    steps = []
    for row in _ROW.finditer(rest.partition("\n#")[0]):
        source = PACKAGES[row["module"].partition("/")[0]] / row["module"]
        for function, alias in _STEP.findall(row["steps"]):
            steps.append(Step(source, function, alias or function.rpartition(".")[2]))
    assert len(steps) > 3, title
    return steps


def block_behind(text: str, header: str) -> str | None:
    """Return the indented block behind the first line that matches, without comments and docstrings."""
    found = re.search(header, text, re.MULTILINE)
    if found is None:
        return None
    begin = text.rfind("\n", 0, found.end()) + 1
    indent = len(text[begin:]) - len(text[begin:].lstrip(" "))
    # A signature may take several lines: the block begins behind the colon at the end of one of them.
    rest = text[begin:].splitlines()
    first = next(number for number, line in enumerate(rest) if re.search(r":\s*(#.*)?$", line)) + 1
    lines = []
    for line in rest[first:]:
        if line.strip() and len(line) - len(line.lstrip(" ")) <= indent:
            break
        lines.append(re.sub(r"(?:^|\s)#.*", "", line))
    return re.sub(r'"{3}.*?"{3}', "", "\n".join(lines), flags=re.DOTALL)


def body(step: Step) -> str:
    """Return the code of a function of a module or of a class, in Python or Cython."""
    text = step.source.read_text()
    *classes, name = step.function.split(".")
    for each in classes:
        inner = block_behind(text, rf"^(?:cdef )?class {each}\b[^\n]*:$")
        assert inner is not None, f"{step}: there is no class {each}"
        text = inner
    found = block_behind(text, _DEFINITION.format(name=name))
    assert found is not None, f"{step}: there is no such function"
    return found


def without_caller(steps: list[Step]) -> list[Step]:
    """Return the functions behind the first that no function above them names."""
    found = []
    for place, step in enumerate(steps):
        body(step)  # it must exist
        if place and not any(re.search(rf"\b{step.called_as}\b", body(above)) for above in steps[:place]):
            found.append(step)
    return found


@pytest.mark.parametrize("title", CHARTS)
def test_each_function_of_a_chart_is_called_by_one_above_it(title: str) -> None:
    assert without_caller(chart(title)) == []


def test_a_wrong_chart_is_noticed() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    moved = page.replace("`Flights.read` `Flights.new_flight`", "`Flights.new_flight` `Flights.read`")
    assert [step.function for step in without_caller(chart(MISS[1], moved))] == ["Flights.new_flight"]
    foreign = page.replace("`AnswerSender.answer_framed`", "`AnswerSender.not_sent`")
    assert [step.function for step in without_caller(chart(MISS[2], foreign))] == [
        "AnswerSender.not_sent",
        "ConnectionSet.send_framed",
    ]
    gone = page.replace("`Flight.land`", "`Flight.lands`")
    with pytest.raises(AssertionError, match="there is no such function"):
        without_caller(chart(MISS[2], gone))


def test_a_miss_passes_few_files_and_reads_forwards() -> None:
    files = {step.source for title in MISS for step in chart(title)}
    assert len(files) <= MOST_FILES, sorted(str(source.relative_to(ROOT)) for source in files)
    turns_back = []
    for title in MISS:
        seen: list[Path] = []
        for step in chart(title):
            if seen and step.source != seen[-1] and step.source in seen:
                turns_back.append(step)
            seen.append(step.source)
    assert len(turns_back) <= MOST_TURNS_BACK, turns_back
