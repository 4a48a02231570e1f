#!/usr/bin/env python3
"""Write the clients' and batches' command methods from the command functions in `glidecache.commands`.

    tools/generate_commands.py           writes client/glidecache/_generated/*.py
    tools/generate_commands.py --check   writes nothing; exits 1 when one of them is not up to date

A command function is a public function of a family's module whose result is annotated `Command[...]`. Its signature,
its default values and the first paragraph of its docstring become those of the method: of both clients, and of batches.
Commands that only a standalone server has are in `standalone_only`, those of a cluster in `cluster_only`. The latter
also lists the commands that take a route there. `batched` has what only batches have, or have with other arguments.
The tables of `redis_calls` list the methods that code for redis-py calls with other arguments: they refuse these by
name.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from command_functions import PACKAGE, CommandFunction, CommandFunctions, literal, names_in

TARGET = PACKAGE / "_generated"
FAMILIES = (
    *("strings", "keys", "hashes", "sets", "lists", "sorted_sets", "geo"),
    *("streams", "server", "scripting"),
)
STANDALONE = "standalone_only"
CLUSTER = "cluster_only"
BATCHED = "batched"
TABLES_OF_CALLS = ("redis_calls", "redis_calls_of_collections")
LINE_LENGTH = 110
INDENT = " " * 4
DOCSTRING_QUOTES = '"""'


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One kind of methods: what they do with their commands."""

    prefix: str
    subject: str
    run: str
    method: str
    body: str
    noqa: str
    for_batches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """One generated class."""

    name: str
    title: str
    commands: list[CommandFunction]
    parent: str = ""


FLAVOURS = (
    Flavour(
        prefix="Async",
        subject="Commands that are awaited",
        run="async def _run(self, command: Command[Result], route: Route | None = None) -> Result: ...",
        method="async def",
        body="return await self._run({command})",
        noqa="ASYNC109, N803",
    ),
    Flavour(
        prefix="Sync",
        subject="Commands that block",
        run="def _run(self, command: Command[Result], route: Route | None = None) -> Result: ...",
        method="def",
        body="return self._run({command})",
        noqa="N803",
    ),
    Flavour(
        prefix="Batch",
        subject="Commands that are added to a batch",
        run="def _add(self, command: Command[Any]) -> Self: ...",
        method="def",
        body="return self._add({command})",
        noqa="N803",
        for_batches=True,
    ),
)


def signature(flavour: Flavour, command: CommandFunction) -> str:
    """Return the method's first line, or lines, as the formatter would break them."""
    decorator = f"{INDENT}@plain_signature\n" if command.is_miscalled else ""
    others = ("*others: Never",) if command.is_miscalled else ()
    keywords = ("**keywords: Never",) if command.refuses_keywords else ()
    given = ("self", *command.parameters, *others, *keywords)
    head = f"{decorator}{INDENT}{flavour.method} {command.name}("
    end = f") -> {'Self' if flavour.for_batches else command.result}:"
    parameters = ", ".join(given)
    if len(head) - len(decorator) + len(parameters) + len(end) <= LINE_LENGTH:
        return f"{head}{parameters}{end}"
    inner = f"{INDENT * 2}{parameters}"
    if len(inner) <= LINE_LENGTH:
        return f"{head}\n{inner}\n{INDENT}{end}"
    lines = "".join(f"{INDENT * 2}{parameter},\n" for parameter in given)
    return f"{head}\n{lines}{INDENT}{end}"


def method(flavour: Flavour, command: CommandFunction) -> str:
    """Return one method."""
    paragraph = command.docstring.replace("\n", f"\n{INDENT * 2}")
    passed = f"_{command.module}.{command.name}({', '.join(command.passed)})"
    if command.routed:
        passed += ", route"
    body = flavour.body.format(command=passed)
    if len(INDENT * 2 + body) > LINE_LENGTH:
        head, tail = flavour.body.split("{command}")
        body = f"{head}\n{INDENT * 3}{passed}\n{INDENT * 2}{tail}"
    if command.is_miscalled:
        keywords, given = (" or keywords", ", keywords") if command.refuses_keywords else ("", "")
        refusal = f'raise refusal(self, "{command.name}", others{given})'
        required = [each for each in command.parameters if " = " not in each]
        last = f" or {required[-1].partition(':')[0]} is MISSING" if required else ""
        body = f"if others{keywords}{last}:\n{INDENT * 3}{refusal}\n{INDENT * 2}{body}"
    quotes = DOCSTRING_QUOTES
    return f"{signature(flavour, command)}\n{INDENT * 2}{quotes}{paragraph}{quotes}\n{INDENT * 2}{body}\n"


def imports(flavour: Flavour, classes: list[Class], origins: dict[str, str]) -> str:
    """Return the imports that only type checkers need."""
    used: set[str] = set()
    for each in classes:
        if not each.parent:
            used |= {"Command", "Any", "Self"} if flavour.for_batches else {"Command", "Route", "TypeVar"}
        for command in each.commands:
            for parameter in command.parameters:
                used |= names_in(parameter.lstrip("*").partition(": ")[2].partition(" = ")[0])
            used |= {"Never"} if command.is_miscalled else set()
            used |= {"Self"} if flavour.for_batches else names_in(command.result)
    origins = {
        **origins,
        "ClusterResponse": "glidecache.routes",
        "Command": "glidecache.commands.command",
        "Route": "glidecache.routes",
        **dict.fromkeys(("Any", "Never", "Self", "TypeVar"), "typing"),
    }
    by_module: dict[str, set[str]] = {}
    for name in used & origins.keys():
        by_module.setdefault(origins[name], set()).add(name)
    lines = [f"{INDENT}import builtins"] if "builtins" in used else []
    own = sorted(module for module in by_module if module.startswith("glidecache"))
    lines += [
        f"{INDENT}from {module} import {', '.join(sorted(by_module[module]))}"
        for module in sorted(by_module.keys() - set(own))
    ]
    lines.append("")
    for module in own:
        line = f"{INDENT}from {module} import {', '.join(sorted(by_module[module]))}"
        if len(line) > LINE_LENGTH:
            names = "".join(f"{INDENT * 2}{name},\n" for name in sorted(by_module[module]))
            line = f"{INDENT}from {module} import (\n{names}{INDENT})"
        lines.append(line)
    if "TypeVar" in used:
        lines += ["", f'{INDENT}Result = TypeVar("Result")']
    return "\n".join(lines)


def class_text(flavour: Flavour, each: Class) -> str:
    """Return one class with a method for each command."""
    head = f"class {each.name}({each.parent}):" if each.parent else f"class {each.name}:"
    text = f'{head}\n{INDENT}"""{flavour.subject}: {each.title}."""\n\n{INDENT}__slots__ = ()\n\n'
    if not each.parent:
        text += f"{INDENT}if TYPE_CHECKING:\n\n{INDENT * 2}{flavour.run}\n\n"
    return text + "\n".join(method(flavour, command) for command in each.commands)


def module_text(flavour: Flavour, classes: list[Class], origins: dict[str, str], parent_module: str) -> str:
    """Return the text of one generated module. parent_module: the module of the classes' parent, if not this one."""
    commands = [command for each in classes for command in each.commands]
    is_refusing = any(command.is_miscalled for command in commands)
    modules = sorted({command.module for command in commands})
    typed = "\n".join(f"{INDENT}from glidecache.commands import {module} as _{module}" for module in modules)
    lazy = "\n".join(f'{INDENT}_{module} = LazyModule("glidecache.commands.{module}")' for module in modules)
    before = (
        [f"from glidecache._generated.{parent_module} import {classes[0].parent}"] if parent_module else []
    )
    return "\n".join(
        (
            f'"""{flavour.subject}, one method per command. Written by tools/generate_commands.py: do not edit."""',
            f"# ruff: noqa: I001, RUF100, {flavour.noqa} - lazy modules stand apart; GLIDE's names of arguments",
            "",
            "from __future__ import annotations",
            "",
            *before,
            "from glidecache.core.lazy_import import LazyModule",
            *(
                ["from glidecache.core.plain_signature import MISSING, plain_signature, refusal"]
                if is_refusing
                else []
            ),
            "",
            "TYPE_CHECKING = False",
            "if TYPE_CHECKING:",
            imports(flavour, classes, origins),
            "",
            typed,
            "else:",
            lazy,
            "",
            "",
            "\n\n".join(class_text(flavour, each) for each in classes),
        )
    )


def render(flavour: Flavour, functions: CommandFunctions) -> dict[str, str]:
    """Return the texts of a flavour's modules, by file name.

    They are: what all servers and a standalone server have, and what a cluster has.
    """
    by_each = functions.constant(CLUSTER, "ANSWERED_BY_EACH")
    together = functions.constant(CLUSTER, "ANSWERED_TOGETHER")
    routed = {
        (module, name) for table in (by_each, together) for module, names in table.items() for name in names
    }
    common = [command for family in FAMILIES for command in functions.by_module[family]]
    known = {(command.module, command.name) for command in (*common, *functions.by_module[CLUSTER])}
    if routed - known:
        message = f"{CLUSTER} gives a route to what is no command function: {sorted(routed - known)}"
        raise ValueError(message)
    own = functions.by_module[CLUSTER]
    if flavour.for_batches:
        # In a batch no command has a route of its own.
        own = [command for command in own if (CLUSTER, command.name) not in routed]
        special = {command.name: command for command in functions.by_module[BATCHED]}
        common = [command for command in common if command.name not in special] + list(special.values())
        routed = set()
    names = {command.name for command in common}
    of_standalone = functions.by_module[STANDALONE]
    if flavour.for_batches:
        # There a reply is one server's, whichever mode it is in.
        of_standalone = [command for command in of_standalone if command.name not in names]
    replaced = {command.name for command in of_standalone}
    apart = {command.name for command in own}
    differing = [
        command for command in common if (command.module, command.name) in routed or command.name in apart
    ]
    shared = [command for command in common if command not in differing]
    of_cluster = [
        command.with_route(by_each=command.name in by_each.get(command.module, ()))
        if (command.module, command.name) in routed
        else command
        for command in (*differing, *own)
        if command.module == CLUSTER or command.name not in apart
    ]
    base = f"{flavour.prefix}Commands"
    file = base.removesuffix("Commands").lower()
    classes = [
        Class(name=base, title="those of every server", commands=shared),
        Class(
            name=f"{flavour.prefix}StandaloneCommands",
            title="those of a standalone server",
            commands=[*(each for each in differing if each.name not in replaced), *of_standalone],
            parent=base,
        ),
    ]
    cluster = Class(
        name=f"{flavour.prefix}ClusterCommands",
        title="those of a cluster",
        commands=of_cluster,
        parent=base,
    )
    return {
        f"{file}_commands.py": module_text(flavour, classes, functions.origins, ""),
        f"{file}_cluster_commands.py": module_text(
            flavour, [cluster], functions.origins, parent_module=f"{file}_commands"
        ),
    }


def main() -> int:
    """Write or check the generated modules. Return the exit status."""
    parser = argparse.ArgumentParser(description="Write the command methods from the command functions.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when something is out of date"
    )
    check = parser.parse_args().check
    calls = "".join(literal(table, "CALLS") for table in TABLES_OF_CALLS)
    shapes = [line.partition(":")[0].split() for line in calls.split("\n") if line]
    miscalled = {method: False for method, *_ in shapes}
    miscalled |= {method: True for method, *keywords in shapes if keywords}
    functions = CommandFunctions((*FAMILIES, STANDALONE, CLUSTER, BATCHED), miscalled=miscalled)
    stale = []
    for flavour in FLAVOURS:
        for file, text in render(flavour, functions).items():
            path = TARGET / file
            if path.exists() and path.read_text() == text:
                continue
            stale.append(file)
            if not check:
                path.write_text(text)
    if check and stale:
        print(f"not up to date: {', '.join(stale)}; run tools/generate_commands.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
