"""The tree as a picture, taken without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from actors.runtime.spec import SupervisorSpec

if TYPE_CHECKING:
    from actors.runtime.cell import Cell


class Node(NamedTuple):
    """One place in the tree."""

    name: str
    type: str  #: ``worker``, ``supervisor``
    state: str  #: ``running``, ``restarting`` (also: starting), ``stopped``
    restarts: int
    depth: int  #: messages waiting
    capacity: int
    last_error: str  #: "" if none
    children: tuple[Node, ...] = ()


def picture(cell: Cell) -> Node:
    """Each node is true for a moment of its own; nothing waits for a consistent whole."""
    mailbox = cell.mailbox
    children = tuple(picture(kid) for kid in tuple((cell.kids or {}).values()))
    kind = "supervisor" if isinstance(cell.spec, SupervisorSpec) else cell.spec.type
    return Node(
        cell.name, kind, cell.state, cell.restarts, mailbox.depth(), mailbox.capacity, cell.last_error, children
    )
