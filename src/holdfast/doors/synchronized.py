"""``@locks.synchronized("vm-{vm_id}")``: the name of the lock comes from the call's arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import wraps
from string import Formatter
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from holdfast.doors.ask import Ask

__all__ = ["synchronize"]

F = TypeVar("F", bound=Callable[..., Any])


def synchronize(ask: Callable[[str], Ask], template: str, function: F) -> F:
    """*function*, run under the lock that *template* names, filled in from the call's arguments.

    Raises ValueError for a field that is no parameter of *function*, and TypeError for a
    generator, whose body would run after the lock had been given back.
    """
    _refuse_generator(function)
    signature = inspect.signature(function)
    _check_fields(template, function, signature)

    def asked(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Ask:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return ask(template.format_map(_flat(bound, signature)))

    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def locked_async(*args: Any, **kwargs: Any) -> Any:
            async with asked(args, kwargs):
                return await function(*args, **kwargs)

        return locked_async  # type: ignore[return-value]

    @wraps(function)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with asked(args, kwargs):
            return function(*args, **kwargs)

    return locked  # type: ignore[return-value]


def _refuse_generator(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__}() is a generator: its body would run without the lock; "
            "use `with locks(...)` inside it"
        )


def _check_fields(
    template: str, function: Callable[..., Any], signature: inspect.Signature
) -> None:
    catch_all = inspect.Parameter.VAR_KEYWORD
    if any(each.kind is catch_all for each in signature.parameters.values()):
        return
    for field in _fields(template):
        if field not in signature.parameters:
            known = ", ".join(signature.parameters) or "no parameters"
            raise ValueError(
                f"synchronized({template!r}) names {{{field}}}, "
                f"but {function.__qualname__}() has {known}"
            )


def _fields(template: str) -> Iterator[str]:
    """The names of the fields: ``vm`` of ``{vm.id}`` and of ``{vm[id]}``."""
    for _, field, _, _ in Formatter().parse(template):
        if field is not None:
            yield field.partition(".")[0].partition("[")[0]


def _flat(bound: inspect.BoundArguments, signature: inspect.Signature) -> dict[str, Any]:
    """The arguments by name, those of ``**kwargs`` among them."""
    flat = dict(bound.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            flat |= flat.pop(name, {})
    return flat
