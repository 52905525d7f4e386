"""What is public: exported, documented, and nothing else is reached for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.house.source import AnyFunction, Module, modules

FACE = {
    *("Lockspace", "EXCLUSIVE", "SHARED", "group", "slots"),
    *("HoldfastError", "LockBusy", "LockTimeout", "LockLost", "NotHeld", "BadName", "Deadlock"),
    *("Unsupported", "DriverError"),
}
by_name = {module.name: module for module in modules()}
every_module = pytest.mark.parametrize("module", modules(), ids=lambda each: each.name)


def exported(module: Module) -> list[str] | None:
    """Its ``__all__``, or None if it has none. Ruff keeps it sorted (RUF022)."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def defined(module: Module) -> Iterator[ast.stmt]:
    for node in module.tree.body:
        if isinstance(node, AnyFunction | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def contracts() -> set[str]:
    """Methods that a Protocol or base class documents; who fills one in need not repeat it."""
    classes = [
        node for each in modules() for node in ast.walk(each.tree) if isinstance(node, ast.ClassDef)
    ]
    bases = {ast.unparse(base).partition("[")[0] for node in classes for base in node.bases}
    return {
        method.name
        for node in classes
        if node.name in bases or "Protocol" in map(ast.unparse, node.bases)
        for method in methods(node)
        if ast.get_docstring(method)
    }


def methods(node: ast.ClassDef) -> Iterator[AnyFunction]:
    return (each for each in node.body if isinstance(each, AnyFunction))


def only_dots(function: AnyFunction) -> bool:
    return all(isinstance(each, ast.Expr) for each in function.body)


@every_module
def test_every_public_definition_is_exported(module: Module):
    public = [node.name for node in defined(module)]
    missing = sorted(set(public) - set(exported(module) or ()))
    assert not missing, (
        f"{module.name} defines {missing}: put them into __all__, or give them an underscore"
    )


@every_module
def test_every_exported_name_is_there(module: Module):
    names = exported(module) or []
    there = {name for node in module.tree.body for name in bound_by(node)}
    assert not set(names) - there, f"{module.name}.__all__ names what is not there"
    assert len(names) == len(set(names)), f"{module.name}.__all__ names something twice"


def bound_by(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, AnyFunction | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    else:
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                yield each.id


@every_module
def test_modules_import_only_what_others_export(module: Module):
    wrong = []
    for target, name, line in module.imports():
        other = by_name.get(target)
        if other is None or name is None or f"{target}.{name}" in by_name:
            continue
        if name not in (exported(other) or ()) and not name.isupper():
            wrong.append(f"{module.path.name}:{line}: {target} does not export {name}")
    assert not wrong, "\n".join(wrong)


@every_module
def test_everything_public_is_documented(module: Module):
    bare = [] if ast.get_docstring(module.tree) else [f"{module.name} (the module)"]
    for node in defined(module):
        if not ast.get_docstring(node):
            bare.append(f"{module.name}.{node.name}")
        if isinstance(node, ast.ClassDef):
            bare += [f"{module.name}.{node.name}.{name}" for name in undocumented(node)]
    assert not bare, f"these are public and say nothing about themselves: {', '.join(bare)}"


def undocumented(node: ast.ClassDef) -> list[str]:
    """Methods without a word; a test of the public suite is named by the promise it proves."""
    contract = contracts()
    return [
        each.name
        for each in methods(node)
        if not each.name.startswith(("_", "test_")) and not ast.get_docstring(each)
        if each.name not in contract and not only_dots(each)
        if not any("setter" in ast.unparse(mark) for mark in each.decorator_list)
    ]


def test_the_face_is_what_the_design_fixed():
    import holdfast

    assert set(holdfast.__all__) >= FACE
    assert all(hasattr(holdfast, name) for name in holdfast.__all__)
    visible = {name for name in vars(holdfast) if not name.startswith("_")}
    modules_of_ours = {each.name.split(".")[1] for each in modules() if "." in each.name}
    extra = visible - set(holdfast.__all__) - modules_of_ours - {"annotations"}
    assert not extra, f"visible in `holdfast` but not exported: {sorted(extra)}"


def test_every_error_is_part_of_the_face():
    import holdfast
    from holdfast import errors

    assert set(errors.__all__) - {"quoted"} <= set(holdfast.__all__)
