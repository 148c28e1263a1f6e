"""What is published beside the routers is checked by the worker that would execute it."""

from __future__ import annotations

from typing import Any

from actors.codec import encode
from actors.entries import Entry
from router.messages.moderation import BanUser
from router.messages.seal import seal
from router.permissions import ALLOWED, Denied
from router.protocols.rehearsal import ban
from tests.workers.desks import World


def test_a_worker_executes_what_was_published_only_when_its_authorizer_allows_it() -> None:
    class Authorizer:
        quick = True

        def authorize(self, command: BanUser, envelope: Any) -> Any:
            return ALLOWED if command.reason == "allowed" else Denied()

    world = World()
    try:
        done: list[str] = []
        world.worker(BanUser, lambda command, ctx: done.append(command.reason), authorizer=Authorizer())
        for reason in ("denied", "allowed"):
            envelope = seal(
                ban().model_copy(update={"reason": reason}), id=reason, now=world.clock.now(), source="library"
            )
            entry = Entry(envelope.id, envelope.queue, encode(envelope), 5, world.clock.now())
            world.shared.store.append([entry], world.clock.now())
        world.until(lambda: "allowed" in done)
        assert done == ["allowed"]
        assert [id_ for id_, *_ in world.shared.store.failed("bot:moderation")] == ["denied"]
    finally:
        world.close()
