"""What goes through a mailbox besides plain messages, and what supervisors are told."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from pykka import messages

from actors.runtime import fence
from actors.runtime.errors import ActorCrashed
from actors.runtime.exit import Exit
from actors.runtime.promise import Promise

if TYPE_CHECKING:
    from actors.runtime.incarnation import Incarnation


class Ask:
    """A message whose sender waits for an answer."""

    __slots__ = ("message", "promise")

    def __init__(self, message: Any, promise: Promise[Any]) -> None:
        self.message = message
        self.promise = promise


class Timed:
    """A message an incarnation sent to itself by a timer; its successor does not get it."""

    __slots__ = ("message", "number")

    def __init__(self, message: Any, number: int) -> None:
        self.message = message
        self.number = number


class Stop(NamedTuple):
    """System message: end. Meant for one incarnation; its successor ignores it."""

    number: int
    reason: str
    final: bool


class Started(NamedTuple):
    """To the supervisor: ``on_start`` is through."""

    incarnation: Incarnation


class Exited(NamedTuple):
    """To the supervisor: this incarnation is over. Exactly one for each."""

    incarnation: Incarnation
    exit: Exit


def plain(item: Any) -> Any:
    """The message as its sender knows it."""
    return item.message if type(item) in (Ask, Timed) else item


_PROXIED: frozenset[type] = frozenset((messages.ProxyCall, messages.ProxyGetAttr, messages.ProxySetAttr))
PYKKA_STOP: type = messages._ActorStop  #: what a pykka ref's stop() sends; there is no public name
SPECIAL: frozenset[type] = _PROXIED | {Ask, Timed, PYKKA_STOP}


def perform(actor: object, message: Any) -> Any:
    """Do what a pykka proxy asks."""
    path = message.attr_path
    if type(message) is messages.ProxySetAttr:
        return setattr(functools.reduce(getattr, path[:-1], actor), path[-1], message.value)
    attribute: Any = functools.reduce(getattr, path, actor)
    return attribute(*message.args, **message.kwargs) if type(message) is messages.ProxyCall else attribute


def refuse(item: Any, name: str, how: Exit) -> None:
    """Tell who asked that its question died with the actor."""
    if type(item) is not Ask:
        return
    error = how.exception
    # a BaseException such as SystemExit ends an actor; raised in the asker's thread it would end that as well
    if how.kind == "killed" or not isinstance(error, Exception):
        error = ActorCrashed(name, error)
    item.promise.offer_failure(error)


def pass_on(asked: Promise[Any], answered: Promise[Any]) -> None:
    """A handler answered with a promise: whoever asked gets its value."""
    try:
        fence.check("its asker")  # what a given-up actor says counts for nothing
        value = answered.get(timeout=0)
    except BaseException as error:  # noqa: BLE001 - it belongs to the one who asked
        asked.offer_failure(error)
    else:
        asked.offer(value)
