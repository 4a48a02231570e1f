"""The command functions of `glidecache.commands`, read from their source: nothing of the package is imported."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = Path(__file__).resolve().parent.parent / "client" / "glidecache"
ROUTE = "route: Route | None = None"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFunction:
    """One command function, as far as its methods need it."""

    module: str
    name: str
    parameters: tuple[str, ...]
    passed: tuple[str, ...]
    result: str
    docstring: str
    routed: bool = False
    is_miscalled: bool = False
    """True if it takes any positional arguments, to refuse them by name."""
    refuses_keywords: bool = False
    """True if it takes any keyword too: each call then makes a dictionary."""

    def with_route(self, *, by_each: bool) -> CommandFunction:
        """Return the command with GLIDE's argument `route`.

        by_each: several nodes give a value each, not one together.
        """
        result = f"ClusterResponse[{self.result}]" if by_each else self.result
        return replace(self, parameters=(*self.parameters, ROUTE), result=result, routed=True)


class Annotations(ast.NodeTransformer):
    """A transformer that keeps the built-in types of annotations apart from methods of the same name, such as `set`."""

    def __init__(self, methods: set[str]) -> None:
        self._shadowed = methods & set(dir(builtins))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Write a shadowed name in full."""
        if node.id in self._shadowed:
            return ast.Attribute(value=ast.Name(id="builtins", ctx=ast.Load()), attr=node.id, ctx=ast.Load())
        return node


class CommandFunctions:
    """The commands of some modules of `glidecache.commands`, by module, each in its module's order."""

    def __init__(self, modules: tuple[str, ...], miscalled: Mapping[str, bool]) -> None:
        """Read the modules.

        miscalled: the commands that code for redis-py calls with other arguments, and whether with keywords.
        """
        self._trees = {module: _read_tree(module) for module in modules}
        functions = {module: _command_functions(tree) for module, tree in self._trees.items()}
        annotations = Annotations({function.name for found in functions.values() for function in found})
        self.by_module = {
            module: [
                replace(
                    _describe(module, function, annotations),
                    is_miscalled=function.name in miscalled,
                    refuses_keywords=miscalled.get(function.name, False),
                )
                for function in found
            ]
            for module, found in functions.items()
        }

    @property
    def origins(self) -> dict[str, str]:
        """Return the source of each name that one of the modules imports."""
        return {
            alias.name: node.module or ""
            for tree in self._trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def constant(self, module: str, name: str) -> dict[str, tuple[str, ...]]:
        """Return a table of names that is a literal in a module."""
        table: dict[str, str] = literal(module, name)
        return {key: tuple(names.split()) for key, names in table.items()}


def literal(module: str, name: str) -> Any:
    """Return a literal of a module of `glidecache.commands`."""
    for node in _read_tree(module).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name]:
            return ast.literal_eval(node.value)
    message = f"{module} has no literal {name}"
    raise ValueError(message)


def names_in(annotation: str) -> set[str]:
    """Return all names that an annotation mentions."""
    return {node.id for node in ast.walk(ast.parse(annotation, mode="eval")) if isinstance(node, ast.Name)}


def _read_tree(module: str) -> ast.Module:
    path = PACKAGE / "commands" / f"{module}.py"
    return ast.parse(path.read_text(), str(path))


def _command_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and isinstance(node.returns, ast.Subscript)
        and ast.unparse(node.returns.value) == "Command"
    ]


def _describe(module: str, function: ast.FunctionDef, annotations: Annotations) -> CommandFunction:
    """Return what the methods of a command function need. Raises `ValueError` for what no method could be made of."""
    arguments = function.args
    if arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        message = f"{module}.{function.name}: command functions take plain arguments, or *arguments, only"
        raise ValueError(message)
    docstring = ast.get_docstring(function)
    if not docstring:
        message = f"{module}.{function.name}: a command function needs a docstring"
        raise ValueError(message)
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    named = [("", argument, default) for argument, default in zip(arguments.args, defaults, strict=True)]
    if arguments.vararg is not None:
        named.append(("*", arguments.vararg, None))
    parameters = []
    for star, argument, default in named:
        if argument.annotation is None:
            message = f"{module}.{function.name}: {argument.arg} has no annotation"
            raise ValueError(message)
        text = f"{star}{argument.arg}: {ast.unparse(annotations.visit(argument.annotation))}"
        parameters.append(text if default is None else f"{text} = {ast.unparse(default)}")
    assert isinstance(function.returns, ast.Subscript)
    return CommandFunction(
        module=module,
        name=function.name,
        parameters=tuple(parameters),
        passed=tuple(f"{star}{argument.arg}" for star, argument, _ in named),
        result=ast.unparse(annotations.visit(function.returns.slice)).replace("'", '"'),
        docstring=docstring.split("\n\n")[0],
    )
