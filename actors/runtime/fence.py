"""Threads that were given up.

A Python thread cannot be killed. A thread that still runs an actor after its stop timeout is therefore *fenced*: from
then on, whatever that actor tries through a ``Ref`` fails, so that its successor is alone.
"""

from __future__ import annotations

from threading import get_ident

from actors.runtime.errors import ActorFenced

#: idents of the threads that run a given-up actor. An ident is added while its thread is inside the actor's slice (the
#: actor's mailbox lock is held, see Incarnation.fence) and removed by that thread itself on its way out; so a reused
#: ident is never found here. Empty nearly always, which makes the check on each tell one truth test.
fenced: set[int] = set()


def check(name: str) -> None:
    """Raises ``ActorFenced`` when this thread runs an actor that was given up; ``name`` is whom it wanted to reach.

    For code that commits outside of the actors, such as a store: call it immediately before the commit.
    """
    if fenced and get_ident() in fenced:
        raise ActorFenced(name)
