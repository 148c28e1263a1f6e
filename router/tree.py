"""The supervision tree, alive, as data."""

from __future__ import annotations

from typing import Any

from actors.runtime.node import Node

SHOWN = 100
"""Children shown of one supervisor; nobody reads 100,000 guilds, and ``childrenTotal`` counts them."""


def shown(node: Node) -> dict[str, Any]:
    """One node and what is below it; camelCase."""
    return {
        "name": node.name,
        "type": node.type,
        "state": node.state,
        "restarts": node.restarts,
        "mailbox": {"depth": node.depth, "capacity": node.capacity},
        "lastError": node.last_error or None,
        "childrenTotal": len(node.children),
        "children": [shown(child) for child in node.children[:SHOWN]],
    }


def restarts(node: Node) -> int:
    """Of the node and everything below it."""
    return node.restarts + sum(restarts(child) for child in node.children)
