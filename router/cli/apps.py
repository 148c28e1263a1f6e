"""What ``--app MODULE:NAME`` means."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, TypeVar

from router.cli.output import fail

T = TypeVar("T")


def load_app(name: str, kind: type[T], example: str) -> T:
    """The object of an importable module; the current directory is on the path. Ends the command if it is not there."""
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        fail(f"--app must be MODULE:NAME, such as {example}, not {name}", 2)
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            fail(f"--app: there is no module {module_name} here", 2)
        raise
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, kind):
        fail(f"--app: {name} is {'missing' if found is None else f'not a {kind.__name__}'}", 2)
    return found
