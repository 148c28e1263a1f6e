"""Which version of the router answers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """Of the installed package; ``0`` in a tree that is not installed."""
    try:
        return version("guild-router")
    except PackageNotFoundError:
        return "0"
