"""Docstrings of the reference: shapes of arrays, and the errors that a call can end with."""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import molgen
from molgen.errors import MolgenError
from site_pages import ARGUMENTS, RESULTS

OURS = ("molgen", "property_models")
ARRAY = re.compile(r"\b(NDArray|ndarray|ArrayLike|Tensor|Ids|Floats|Mask)\b")
SHAPE = re.compile(r"\bshapes? |\(\w+(, \w+)*,?\)")
CONSTANT = {"Filters.without_radicals"}  # reads a pattern of its own


def named(name: str) -> Any:
    """Return an object by its dotted name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def reference() -> Iterator[tuple[str, Any]]:
    """Yield the functions and methods of the reference, and its classes as what makes them."""
    objects = {name: getattr(molgen, name) for name in vars(molgen)["__all__"] if name[0] != "_"}
    objects |= {name.rpartition(".")[2]: named(name) for name in RESULTS}
    for name, found in objects.items():
        yield name, found
        if inspect.isclass(found):
            for member, value in vars(found).items():
                function = function_of(value)
                if member[0] != "_" and inspect.isfunction(function):
                    yield f"{name}.{member}", function


def function_of(value: Any) -> Any:
    """Return the function behind a method, a class method, a property or a decorator."""
    value = getattr(value, "__func__", getattr(value, "fget", value))
    if isinstance(value, functools.cached_property):
        value = value.func
    return inspect.unwrap(value) if callable(value) else value


PUBLIC = dict(reference())
FUNCTIONS = [name for name, found in PUBLIC.items() if inspect.isfunction(found)]


def caught(node: ast.Try) -> bool:
    """Whether the errors of a ``try`` are turned into something else than a MolgenError."""
    kinds = [ast.unparse(handler.type) if handler.type else "" for handler in node.handlers]
    return any(word in kind for kind in kinds for word in ("MolgenError", "ValueError"))


def visited(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes whose errors leave a function."""
    yield node
    inner: list[ast.AST] = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Try) and caught(node):
        inner = [each for handler in node.handlers for each in handler.body]
    for each in inner:
        yield from visited(each)


@functools.cache
def tree_of(function: Callable[..., Any]) -> ast.Module | None:
    """Return the code of a function; None where Python has none, as for what a dataclass makes."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # the latter: a lambda inside a call
        return None


def names_of(function: Callable[..., Any], tree: ast.AST) -> dict[str, Any]:
    """Return what names stand for in a function, as far as imports say so."""
    names = {**vars(builtins), **function.__globals__}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(OURS):
            module = importlib.import_module(node.module)
            for each in node.names:
                found = getattr(module, each.name, None)
                if found is None and importlib.util.find_spec(f"{node.module}.{each.name}"):
                    found = importlib.import_module(f"{node.module}.{each.name}")
                names[each.asname or each.name] = found
    return names


def resolved(node: ast.expr, names: dict[str, Any], owner: Any) -> Any:
    """Return what is called, or None where the code does not say."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            return inspect.getattr_static(owner, node.attr, None) if owner else None
        found = resolved(node.value, names, owner)
        if inspect.ismodule(found) or inspect.isclass(found):
            return inspect.getattr_static(found, node.attr, None)
    return None


def raising(found: Any, seen: set[Any], owner: Any = None) -> str:
    """Return where a call of a function or class raises a MolgenError; empty if it does not."""
    if inspect.isclass(found):
        made = ("__init__", "__post_init__", "__call__")
        return next(
            (
                where
                for name in made
                if name in vars(found) and (where := raising(vars(found)[name], seen, found))
            ),
            "",
        )
    function = function_of(found)
    if not inspect.isfunction(function) or function in seen:
        return ""
    if not function.__module__.startswith(OURS):
        return ""
    seen.add(function)
    tree = tree_of(function)
    if tree is None:
        return ""
    if any(ast.unparse(each) == "checked" for each in tree.body[0].decorator_list):  # type: ignore[attr-defined]
        return f"{function.__qualname__}, whose arguments are checked"
    names = names_of(function, tree)
    for node in visited(tree):
        if isinstance(node, ast.Raise) and node.exc:
            kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            error = resolved(kind, names, owner)
            if inspect.isclass(error) and issubclass(error, MolgenError):
                return function.__qualname__
        elif isinstance(node, ast.Call) and (
            where := raising(resolved(node.func, names, owner), seen, owner)
        ):
            return f"{function.__qualname__} > {where}"
    return ""


def section(doc: str, title: str) -> str:
    """Return a section of a docstring; empty if there is none."""
    found = re.search(rf"^{title}:\n(.*?)(?=^\S|\Z)", doc, re.M | re.S)
    return found[1] if found else ""


def entry(doc: str, name: str) -> str:
    """Return what a docstring says of an argument or an attribute; all of it without sections."""
    listed = section(doc, "Args") + section(doc, "Attributes")
    found = re.search(rf"^    \**{name}: (.*?)(?=^    \S|\Z)", listed, re.M | re.S)
    return found[1] if found else ("" if listed else doc)


def shapeless(function: Any, doc: str) -> list[str]:
    """Return the arrays of a function or a class whose shape its docstring does not give."""
    types = {name: str(kind) for name, kind in inspect.get_annotations(function).items()}
    arrays = [name for name, kind in types.items() if ARRAY.search(kind)]
    texts = {name: entry(doc, name) for name in arrays if name != "return"}
    if "return" in arrays:
        texts["return"] = section(doc, "Returns") or doc
    return [name for name, text in texts.items() if not SHAPE.search(text)]


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_gives_shapes_and_errors(name: str) -> None:
    found, doc = PUBLIC[name], inspect.getdoc(PUBLIC[name]) or ""
    assert doc
    assert shapeless(found, doc) == []
    where = raising(found, set(), PUBLIC.get(name.rpartition(".")[0]))
    if where and name not in CONSTANT:
        assert "MolgenError:" in section(doc, "Raises"), where


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_its_arguments_are(name: str) -> None:
    doc = inspect.getdoc(PUBLIC[name]) or ""
    given = [argument for argument in inspect.signature(PUBLIC[name]).parameters]
    if section(doc, "Args"):
        listed = re.findall(r"^    \**(\w+):", section(doc, "Args"), re.M)
        assert set(given) - {"self", "cls"} == set(listed)


def test_forms_of_arguments_have_a_docstring() -> None:
    """Sphinx reads the string behind an assignment, which Python does not keep."""
    for name in ARGUMENTS:
        module, _, alias = name.rpartition(".")
        source = inspect.getsource(importlib.import_module(module))
        found = re.search(rf"^{alias}\b[^\n]* = .*?\n(?=\S)(.*?)\n", source, re.M | re.S)
        assert found, name
