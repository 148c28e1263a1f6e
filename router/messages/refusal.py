"""Pydantic's findings in the words of our errors: field, rule, shape; never the value."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from router.errors import InvalidMessage, Problem, shape, shown

_SHOWN = 20  # problems of one message that are told
_RULE = 300
_FOLLOWS = "default_factory_not_called"  # only because another field was refused
_NO_VALUE = frozenset({"missing", "extra_forbidden"})


def refusal(error: ValidationError, names: Mapping[str, str] | None = None, prefix: str = "") -> InvalidMessage:
    """The sender's error; with ``names``, field names are given as on the wire, below ``prefix``."""
    found = [line for line in error.errors(include_url=False, include_context=False) if line["type"] != _FOLLOWS]
    problems = []
    for line in found[:_SHOWN]:
        rule = _rule(line["type"] if line["input"] is not None else "missing", line["msg"])
        value = "" if line["type"] in _NO_VALUE or not line["loc"] else shape(line["input"])
        problems.append(Problem(_path(line["loc"], names, prefix), rule, value))
    return InvalidMessage("", "", problems=tuple(problems))


def _rule(kind: str, text: str) -> str:
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        return "is not a field here"
    for begins, instead in (("Input should be ", "must be "), ("Value error, ", ""), ("Assertion failed, ", "")):
        if text.startswith(begins):
            return (instead + text[len(begins) :])[:_RULE]
    words = text.split(" should ", 1)
    return ("must " + words[1] if len(words) == 2 else text)[:_RULE]


def _path(place: tuple[int | str, ...], names: Mapping[str, str] | None, prefix: str) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else shown(step) for step in place]
    if names is not None and not place:
        return prefix.removesuffix(".")
    if names is not None:
        first = names.get(str(place[0]))
        steps[0] = first if first is not None else prefix + steps[0]
        steps[1:] = [_camel(step) for step in steps[1:]]
    path = ""
    for step in steps:
        path += step if step.startswith("[") or not path else f".{step}"
    return path


def _camel(step: str) -> str:
    first, *rest = step.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
