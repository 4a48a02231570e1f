#!/usr/bin/env python3
"""Write the clients' and batches' command methods from the plan functions in `glidecache.commands`.

    tools/generate_commands.py           writes client/glidecache/_generated/*.py
    tools/generate_commands.py --check   writes nothing; exits 1 when one of them is not up to date

A plan function is a public function of a family's module whose result is annotated `Plan[...]`. Its signature, its
default values and the first paragraph of its docstring become those of the method, in all three modules.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "client" / "glidecache"
TARGET = PACKAGE / "_generated"
FAMILIES = ("strings", "keys", "hashes", "sets", "lists", "sorted_sets", "server", "publish", "scripting")
CACHED = "cached"
CLUSTER = "cluster"
LINE_LENGTH = 110
INDENT = " " * 4
DOCSTRING_QUOTES = '"""'


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One plan function, as far as its methods need it."""

    module: str
    name: str
    parameters: tuple[str, ...]
    names: tuple[str, ...]
    result: str
    docstring: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """One generated module: what its classes are called, and what a method does with its plan."""

    file: str
    base: str
    cluster: str
    subject: str
    run: str
    method: str
    body: str
    noqa: str = "N803"
    with_cached: bool = False

    def result(self, command: Command) -> str:
        """The method's result, as annotated."""
        return "Self" if self.with_cached else command.result


FLAVOURS = (
    Flavour(
        file="async_commands.py",
        base="AsyncCommands",
        cluster="AsyncClusterCommands",
        subject="Commands that are awaited",
        run="async def _run(self, plan: Plan[Result]) -> Result: ...",
        method="async def",
        body="return await self._run({plan})",
        noqa="ASYNC109, N803",
    ),
    Flavour(
        file="sync_commands.py",
        base="SyncCommands",
        cluster="SyncClusterCommands",
        subject="Commands that block",
        run="def _run(self, plan: Plan[Result]) -> Result: ...",
        method="def",
        body="return self._run({plan})",
    ),
    Flavour(
        file="batch_commands.py",
        base="BatchCommands",
        cluster="ClusterBatchCommands",
        subject="Commands that are added to a batch",
        run="def _add(self, plan: Plan[Any]) -> Self: ...",
        method="def",
        body="return self._add({plan})",
        with_cached=True,
    ),
)


class Annotations(ast.NodeTransformer):
    """Keep the built-in types of annotations apart from methods of the same name, such as `set`."""

    def __init__(self, methods: set[str]) -> None:
        self._shadowed = methods & set(dir(builtins))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Spell a shadowed name out."""
        if node.id in self._shadowed:
            return ast.Attribute(value=ast.Name(id="builtins", ctx=ast.Load()), attr=node.id, ctx=ast.Load())
        return node


def read_tree(module: str) -> ast.Module:
    """The syntax tree of one family's module."""
    path = PACKAGE / "commands" / f"{module}.py"
    return ast.parse(path.read_text(), str(path))


def plan_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """The plan functions of a module, in its order."""
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and isinstance(node.returns, ast.Subscript)
        and ast.unparse(node.returns.value) == "Plan"
    ]


def imported_from(tree: ast.Module) -> dict[str, str]:
    """Where each name that the module imports comes from."""
    return {
        alias.name: node.module or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def describe(module: str, function: ast.FunctionDef, annotations: Annotations) -> Command:
    """What the methods of a plan function need. Raises `ValueError` for what no method could be made of."""
    arguments = function.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        message = f"{module}.{function.name}: plan functions take plain arguments only"
        raise ValueError(message)
    docstring = ast.get_docstring(function)
    if not docstring:
        message = f"{module}.{function.name}: a plan function needs a docstring"
        raise ValueError(message)
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    parameters = []
    for argument, default in zip(arguments.args, defaults, strict=True):
        if argument.annotation is None:
            message = f"{module}.{function.name}: {argument.arg} has no annotation"
            raise ValueError(message)
        text = f"{argument.arg}: {ast.unparse(annotations.visit(argument.annotation))}"
        parameters.append(text if default is None else f"{text} = {ast.unparse(default)}")
    assert isinstance(function.returns, ast.Subscript)
    return Command(
        module=module,
        name=function.name,
        parameters=tuple(parameters),
        names=tuple(argument.arg for argument in arguments.args),
        result=ast.unparse(annotations.visit(function.returns.slice)).replace("'", '"'),
        docstring=docstring.split("\n\n")[0],
    )


def names_in(annotation: str) -> set[str]:
    """All names that an annotation mentions."""
    return {node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)}


def signature(keyword: str, command: Command, result: str) -> str:
    """The method's first line, or lines, as the formatter would break them."""
    head = f"{INDENT}{keyword} {command.name}("
    parameters = ", ".join(("self", *command.parameters))
    line = f"{head}{parameters}) -> {result}:"
    if len(line) <= LINE_LENGTH:
        return line
    inner = f"{INDENT * 2}{parameters}"
    if len(inner) <= LINE_LENGTH:
        return f"{head}\n{inner}\n{INDENT}) -> {result}:"
    lines = "".join(f"{INDENT * 2}{parameter},\n" for parameter in ("self", *command.parameters))
    return f"{head}\n{lines}{INDENT}) -> {result}:"


def method(flavour: Flavour, command: Command, base: Command | None) -> str:
    """One method. `base`: the command that it overrides."""
    text = signature(flavour.method, command, flavour.result(command))
    if base is not None and command.parameters[: len(base.parameters)] != base.parameters:
        first, newline, rest = text.partition("\n")
        # GLIDE's own: the cluster's client has the arguments in another order.
        text = f"{first}  # type: ignore[override]{newline}{rest}"
    paragraph = command.docstring.replace("\n", f"\n{INDENT * 2}")
    plan = f"_{command.module}.{command.name}({', '.join(command.names)})"
    body = flavour.body.format(plan=plan)
    if len(INDENT * 2 + body) > LINE_LENGTH:
        head, tail = flavour.body.split("{plan}")
        body = f"{head}\n{INDENT * 3}{plan}\n{INDENT * 2}{tail}"
    quotes = DOCSTRING_QUOTES
    return f"{text}\n{INDENT * 2}{quotes}{paragraph}{quotes}\n{INDENT * 2}{body}\n"


def imports(flavour: Flavour, commands: list[Command], origins: dict[str, str]) -> str:
    """The imports that only type checkers need."""
    used = {"Plan"}
    for command in commands:
        for parameter in command.parameters:
            used |= names_in(parameter.partition(": ")[2].partition(" = ")[0])
        used |= names_in(flavour.result(command))
    used |= {"Any", "Self"} if flavour.with_cached else {"TypeVar"}
    origins = {**origins, "Plan": "glidecache.plan", "Any": "typing", "Self": "typing", "TypeVar": "typing"}
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
    if not flavour.with_cached:
        lines += ["", f'{INDENT}Result = TypeVar("Result")']
    return "\n".join(lines)


def generated_class(
    flavour: Flavour, name: str, title: str, commands: list[Command], bases: list[Command], parent: str = ""
) -> str:
    """One class with a method for each command."""
    overridden = {command.name: command for command in bases}
    head = f"class {name}({parent}):" if parent else f"class {name}:"
    text = f'{head}\n{INDENT}"""{flavour.subject}: {title}."""\n\n{INDENT}__slots__ = ()\n\n'
    if not parent:
        text += f"{INDENT}if TYPE_CHECKING:\n\n{INDENT * 2}{flavour.run}\n\n"
    return text + "\n".join(method(flavour, command, overridden.get(command.name)) for command in commands)


def render(flavour: Flavour) -> str:
    """The text of one generated module."""
    families = (*((CACHED,) if flavour.with_cached else ()), *FAMILIES)
    trees = {module: read_tree(module) for module in (*families, CLUSTER)}
    functions = {module: plan_functions(tree) for module, tree in trees.items()}
    annotations = Annotations({function.name for found in functions.values() for function in found})
    origins = {name: module for tree in trees.values() for name, module in imported_from(tree).items()}
    standalone = [
        describe(module, function, annotations) for module in families for function in functions[module]
    ]
    cluster = [describe(CLUSTER, function, annotations) for function in functions[CLUSTER]]
    typed = "\n".join(
        f"{INDENT}from glidecache.commands import {module} as _{module}" for module in sorted(trees)
    )
    lazy = "\n".join(
        f'{INDENT}_{module} = LazyModule("glidecache.commands.{module}")' for module in sorted(trees)
    )
    return "\n".join(
        (
            f'"""{flavour.subject}, one method per plan. Written by tools/generate_commands.py: do not edit."""',
            f"# ruff: noqa: I001, RUF100, {flavour.noqa} - lazy modules stand apart; GLIDE's names of arguments",
            "",
            "from __future__ import annotations",
            "",
            "from glidecache.lazy import LazyModule",
            "",
            "TYPE_CHECKING = False",
            "if TYPE_CHECKING:",
            imports(flavour, [*standalone, *cluster], origins),
            "",
            typed,
            "else:",
            lazy,
            "",
            "",
            generated_class(flavour, flavour.base, "those of a standalone server", standalone, []),
            "",
            generated_class(
                flavour, flavour.cluster, "those of a cluster", cluster, standalone, parent=flavour.base
            ),
        )
    )


def main() -> int:
    """Write or check the generated modules; the exit status."""
    parser = argparse.ArgumentParser(description="Write the command methods from the plan functions.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail when something is out of date"
    )
    check = parser.parse_args().check
    stale = []
    for flavour in FLAVOURS:
        path = TARGET / flavour.file
        text = render(flavour)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path)
        if not check:
            path.write_text(text)
    if check and stale:
        names = ", ".join(path.name for path in stale)
        print(f"not up to date: {names}; run tools/generate_commands.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
