"""The command actor: a real pykka actor in the tree, with a method per type of the catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import Actor
from actors.runtime.promise import Promise
from router.messages.registry import Catalog, method_name
from router.response import Response

if TYPE_CHECKING:
    from router.messages.base import Message

Send = Callable[..., Any]


class CommandActor(Actor):
    """Each method takes the message's fields, and the options of ``send`` as ``options``; its future is the answer."""

    mailbox_capacity = 20_000


def command_actor(catalog: Catalog, send: Callable[..., Promise[Response]]) -> CommandActor:
    """An actor that knows every type the catalog has at this moment."""
    methods = {method_name(name): _method(cls, send) for name, cls in catalog.items()}
    return type("CommandActor", (CommandActor,), methods)()  # type: ignore[no-any-return]  # a class made of a catalog


def _method(cls: type[Message], send: Callable[..., Promise[Response]]) -> Callable[..., Promise[Response]]:
    def method(_: CommandActor, *, options: dict[str, Any] | None = None, **fields: Any) -> Promise[Response]:
        # The runtime answers the caller when this promise is kept; the actor goes on to the next call meanwhile.
        return send(cls(**fields), **{"source": "proxy", **(options or {})})

    method.__name__ = method_name(cls.type)
    method.__doc__ = cls.__doc__
    return method
