"""The catalog: which message class a type's name means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from actors.policy.facts import Facts
from router.errors import BadCatalog, InvalidMessage, UnknownType, shape

if TYPE_CHECKING:
    from router.messages.base import Message


class Catalog(Mapping[str, "type[Message]"]):
    """Message classes by type name.

    A class lists itself in ``catalog`` when it is defined, or in the one it names: ``class Fed(Event, type="FED",
    catalog=mine)``. ``Catalog([Fed, Watered])`` holds a choice, for an application that wants no other type.
    """

    def __init__(self, classes: Iterable[type[Message]] = ()) -> None:
        self._classes: dict[str, type[Message]] = {}
        self._methods: dict[str, str] = {}
        for cls in classes:
            self.add(cls)

    def add(self, cls: type[Message]) -> None:
        """List a class. A type has one class; the same class defined again (a reload) takes its own place."""
        name = cls.type
        if not name:
            raise BadCatalog(f"{cls.__qualname__} has no type")
        known = self._classes.get(name)
        if known is not None and _place(known) != _place(cls):
            raise BadCatalog(f"{name} is declared twice: by {_place(known)} and by {_place(cls)}")
        method = method_name(name)
        if self._methods.get(method, name) != name:
            raise BadCatalog(f"{name} and {self._methods[method]} would both be called {method}()")
        self._classes[name] = cls
        self._methods[method] = name

    def __getitem__(self, name: str) -> type[Message]:
        return self._classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._classes)

    def __len__(self) -> int:
        return len(self._classes)

    def find(self, name: object) -> type[Message]:
        """The class of a type; raises ``UnknownType``."""
        cls = self._classes.get(name) if isinstance(name, str) else None
        if cls is None:
            raise UnknownType(name)
        return cls

    def by_method(self, method: str) -> type[Message]:
        """The class behind a proxy's method, ``ban_user`` for BAN_USER; raises ``UnknownType``."""
        return self.find(self._methods.get(method, method))

    def facts(self) -> dict[str, Facts]:
        """What the engine must know of each type."""
        return {name: cls.facts() for name, cls in self._classes.items()}

    def from_wire(self, wire: Mapping[str, Any], *, strict: bool = False) -> Message:
        """The message of ``{type, guildId, userId, data}``; raises ``UnknownType`` or ``InvalidMessage``."""
        if not isinstance(wire, Mapping):
            raise InvalidMessage("", "must be an object", shape(wire))
        if "type" not in wire:
            raise InvalidMessage("type", "is required")
        return self.find(wire["type"]).from_wire(wire, strict=strict)


catalog = Catalog()
"""Every message class of this process that did not choose another catalog."""


def method_name(name: str) -> str:
    """The name of a type as a Python method: ``BAN_USER`` is ``ban_user``, ``user.registered`` ``user_registered``."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())


def _place(cls: type[Message]) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
