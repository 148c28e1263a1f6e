"""Ports for tests."""

from __future__ import annotations

import socket


def closed_port() -> int:
    """A port of this machine on which nobody listens just now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port
