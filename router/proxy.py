"""The command actor: a real pykka actor in the tree, with a method per type of the catalog."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.runtime.actor import Actor
from actors.runtime.promise import Promise
from router.messages.registry import Catalog, method_name
from router.response import Response

if TYPE_CHECKING:
    from router.messages.base import Message

logger = logging.getLogger("guild_router.router")

Send = Callable[..., Promise[Response]]


class CommandActor(Actor):
    """A method takes its message's fields by name, and the options of ``send`` as ``send_options``.

    Its future is the response's. A type whose method would take the place of one of the actor's own has an underscore
    behind its name: STOP is ``stop_()``.
    """

    mailbox_capacity = 20_000


def command_actor(catalog: Catalog, send: Send) -> CommandActor:
    """An actor that knows every type the catalog has at this moment."""
    methods = {}
    for name, cls in catalog.items():
        method = method_name(name)
        methods[f"{method}_" if hasattr(CommandActor, method) else method] = _method(cls, send)
    return type("CommandActor", (CommandActor,), methods)()  # type: ignore[no-any-return]  # a class made of a catalog


def _method(cls: type[Message], send: Send) -> Callable[..., Promise[Response]]:
    def method(_: CommandActor, *, send_options: dict[str, Any] | None = None, **fields: Any) -> Promise[Response]:
        # The runtime answers the caller when this promise is kept; the actor goes on to the next call meanwhile.
        try:
            return send(cls(**fields), **{"source": "proxy", **(send_options or {})})
        except Exception as error:  # noqa: BLE001 - a wrong call is the caller's failure, not the actor's
            logger.info("a proxy's %s was refused: %s", cls.type, error)
            refused: Promise[Response] = Promise()
            refused.fail(error)
            return refused

    method.__name__ = method_name(cls.type)
    method.__doc__ = cls.__doc__
    return method
