# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""Named queues."""

from __future__ import annotations

from typing import Any

from actors.entries import Entry, Nack, QueueStats
from router.stores.contract_base import NOW, Contract

SOON = NOW + 1000
DAY = 86_400_000


def entry(id: str, queue: str = "q", priority: int = 5, at: int = NOW, expires_at: int = 0) -> Entry:
    """An entry whose frame tells whose it is."""
    return Entry(id, queue, b"frame of " + id.encode(), priority, at, expires_at)


def take(backend: Any, limit: int = 100, now: int = NOW, until: int = SOON, queue: str = "q") -> Any:
    """The ids claimed, and their tokens."""
    return {claim.id: claim.token for claim in backend.claim(queue, limit, now, until)}


class QueuesContract(Contract):
    """The port ``Queues``."""

    def test_entries_are_claimed_by_priority_and_then_in_the_order_they_came(self) -> None:
        queues = self.opened()
        assert queues.append([entry("a"), entry("b", priority=9), entry("c")], NOW) == [True, True, True]
        queues.append([entry("d", priority=9), entry("e", priority=1)], NOW)
        assert list(take(queues, 3)) == ["b", "d", "a"]
        assert list(take(queues, 3)) == ["c", "e"]
        assert take(queues) == {}

    def test_a_claim_says_what_it_is(self) -> None:
        queues = self.opened()
        queues.append([entry("a", priority=7)], NOW)
        (claim,) = queues.claim("q", 1, NOW, SOON)
        assert claim[:5] == ("a", "q", b"frame of a", 7, 1)
        assert claim.until == SOON
        assert claim.token > 0

    def test_an_id_is_one_entry_whichever_way_it_has_gone(self) -> None:
        queues = self.opened()
        assert queues.append([entry("a"), entry("a"), entry("b"), entry("c")], NOW) == [True, False, True, True]
        tokens = take(queues)
        queues.ack([("b", tokens["b"])], NOW, 10)
        queues.nack([Nack("c", tokens["c"], NOW, dead=True)], NOW, 10)
        assert queues.append([entry("a"), entry("b"), entry("c")], NOW) == [False, False, False]

    def test_queues_do_not_mix(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b", queue="r")], NOW)
        assert list(take(queues, queue="r")) == ["b"]
        assert list(take(queues)) == ["a"]
        assert take(queues, queue="nobody's") == {}

    def test_an_entry_is_not_claimed_before_its_time(self) -> None:
        queues = self.opened()
        queues.append([entry("a", at=NOW + 10), entry("b", at=NOW + 5)], NOW)
        assert take(queues, now=NOW + 4) == {}
        assert list(take(queues, now=NOW + 5)) == ["b"]
        assert list(take(queues, now=NOW + 10)) == ["a"]

    def test_an_entry_is_not_claimed_when_it_has_expired(self) -> None:
        queues = self.opened()
        queues.append([entry("a", expires_at=NOW + 5), entry("b", expires_at=NOW + 5, at=NOW + 4)], NOW)
        assert list(take(queues, 1, now=NOW + 5)) == ["a"]
        assert take(queues, now=NOW + 6) == {}
        assert [(each[0], each[2]) for each in queues.failed("q")] == [("b", "expired")]
        assert queues.extend([("a", 1)], SOON) in ([True], [False])

    def test_a_lapsed_claim_is_claimable_again_in_its_old_place(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b")], NOW)
        (first,) = queues.claim("q", 1, NOW, NOW + 10)
        assert list(take(queues, 1, now=NOW + 9, until=NOW + 500)) == ["b"]
        queues.append([entry("c")], NOW + 9)
        (again,) = queues.claim("q", 1, NOW + 10, NOW + 500)
        assert (again.id, again.attempt) == ("a", 2)
        assert again.token > first.token
        assert queues.ack([("a", first.token)], NOW + 11, 10) == [False]
        assert queues.nack([Nack("a", first.token, NOW)], NOW + 11, 10) == [False]
        assert queues.extend([("a", first.token)], NOW + 900) == [False]
        assert queues.ack([("a", again.token)], NOW + 11, 10) == [True]

    def test_a_lapsed_claim_nobody_took_is_still_its_consumers(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        tokens = take(queues, until=NOW + 10)
        assert queues.ack([("a", tokens["a"])], NOW + 20, 10) == [True]
        assert take(queues, now=NOW + 30) == {}

    def test_an_extended_claim_does_not_lapse(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        tokens = take(queues, until=NOW + 10)
        assert queues.extend([("a", tokens["a"]), ("nobody", 1)], NOW + 100) == [True, False]
        assert take(queues, now=NOW + 99) == {}
        assert list(take(queues, now=NOW + 100)) == ["a"]

    def test_a_repeated_ack_changes_nothing(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        claim = ("a", take(queues)["a"])
        assert queues.ack([claim], NOW, 10) == [True]
        assert queues.ack([claim], NOW, 10) == [True]
        assert queues.queue_stats()["q"].completed == 1
        assert queues.ack([("a", claim[1] + 1)], NOW, 10) == [False]
        assert queues.ack([("nobody", 1)], NOW, 10) == [False]

    def test_a_released_claim_comes_back_at_its_time_and_in_its_place(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b")], NOW)
        tokens = take(queues)
        nacks = [Nack("a", tokens["a"], NOW + 50, error="no"), Nack("b", tokens["b"], NOW)]
        assert queues.nack(nacks, NOW, 10) == [True, True]
        assert queues.nack(nacks, NOW, 10) == [True, True]
        assert queues.ack([("b", tokens["b"])], NOW, 10) == [False]
        assert list(take(queues, now=NOW + 49, until=NOW + 50)) == ["b"]
        claims = queues.claim("q", 10, NOW + 50, SOON)
        assert [(claim.id, claim.attempt) for claim in claims] == [("a", 2), ("b", 3)]

    def test_a_claim_given_back_unspent_is_no_attempt(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        queues.nack([Nack("a", take(queues)["a"], NOW, spent=False)], NOW, 10)
        assert queues.claim("q", 1, NOW, SOON)[0].attempt == 1

    def test_a_failed_entry_is_kept_and_not_claimed(self) -> None:
        queues = self.opened()
        queues.append([entry(name) for name in "abc"], NOW)
        tokens = take(queues)
        nacks = [Nack(name, tokens[name], NOW, error=f"why {name}", dead=True) for name in "bac"]
        assert queues.nack(nacks[:2], NOW + 1, 10) == [True, True]
        assert queues.nack(nacks[2:], NOW + 2, 2) == [True]
        assert queues.failed("q") == [("a", b"frame of a", "why a", NOW + 1), ("c", b"frame of c", "why c", NOW + 2)]
        assert queues.failed("q", 1)[0][0] == "a"
        assert queues.failed("nobody's") == []
        assert take(queues, now=SOON + 1) == {}
        stats = queues.queue_stats()["q"]
        assert (stats.failed, stats.dead) == (3, 2)

    def test_done_entries_are_kept_up_to_a_number(self) -> None:
        queues = self.opened()
        queues.append([entry(name) for name in "abc"], NOW)
        tokens = take(queues)
        queues.ack([(name, tokens[name]) for name in "abc"], NOW, 1)
        assert queues.append([entry("a"), entry("c")], NOW) == [True, False]

    def test_failed_entries_wait_again_in_their_old_order(self) -> None:
        queues = self.opened()
        queues.append([entry(name) for name in "abcd"], NOW)
        tokens = take(queues)
        queues.nack([Nack(name, tokens[name], NOW, dead=True) for name in "cab"], NOW, 10)
        queues.nack([Nack("d", tokens["d"], NOW)], NOW, 10)
        assert queues.replay_failed("q", ["b", "nobody"], NOW + 1) == 1
        assert queues.replay_failed("q", [], NOW + 1) == 2
        assert queues.replay_failed("q", [], NOW + 1) == 0
        claims = queues.claim("q", 10, NOW + 1, SOON)
        assert [(claim.id, claim.attempt) for claim in claims] == [("a", 1), ("b", 1), ("c", 1), ("d", 2)]
        assert queues.queue_stats()["q"].dead == 0

    def test_removing_is_proof_that_nobody_has_it(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b", at=NOW + 50), entry("c")], NOW)
        take(queues, 1, until=NOW + 10)
        assert queues.remove(["a", "b", "c", "nobody"]) == [False, True, True, False]
        assert take(queues, now=NOW + 9) == {}
        assert queues.remove(["a"]) == [False]
        assert list(take(queues, now=NOW + 50)) == ["a"]

    def test_a_purge_leaves_claims_to_their_consumers(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b"), entry("c", at=NOW + 50), entry("d", queue="r")], NOW)
        tokens = take(queues, 1)
        assert queues.purge("q") == 2
        assert queues.purge("q") == 0
        assert queues.ack([("a", tokens["a"])], NOW, 10) == [True]
        assert list(take(queues, queue="r")) == ["d"]

    def test_a_paused_queue_keeps_what_it_has(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        queues.pause("q", True)
        queues.pause("empty", True)
        assert queues.paused() == frozenset({"q", "empty"})
        assert queues.append([entry("b")], NOW) == [True]
        assert take(queues) == {}
        queues.pause("q", False)
        queues.pause("never paused", False)
        assert queues.paused() == frozenset({"empty"})
        assert list(take(queues)) == ["a", "b"]

    def test_counts_follow_every_step_of_an_entry(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b"), entry("c", at=NOW + 50)], NOW)
        queues.append([entry("d")], NOW + 5)
        assert queues.queue_stats()["q"] == QueueStats(3, 1, 0, 0, 0, 0, NOW, False)
        tokens = take(queues, 2, now=NOW + 6)
        assert queues.queue_stats()["q"] == QueueStats(1, 1, 2, 0, 0, 0, NOW + 5, False)
        queues.ack([("a", tokens["a"])], NOW + 7, 10)
        queues.nack([Nack("b", tokens["b"], NOW, dead=True)], NOW + 7, 10)
        queues.pause("q", True)
        assert queues.queue_stats()["q"] == QueueStats(1, 1, 0, 1, 1, 1, NOW + 5, True)
        take(queues, now=NOW + 50)
        assert queues.queue_stats()["q"] == QueueStats(2, 0, 0, 1, 1, 1, NOW, True)
        queues.remove(["c"])
        queues.purge("q")
        assert queues.queue_stats()["q"] == QueueStats(0, 0, 0, 1, 1, 1, 0, True)

    def test_the_depth_of_a_queue_is_what_waits_in_it(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b"), entry("c", at=NOW + 50), entry("d", queue="r")], NOW)
        assert queues.depths(["r", "nobody's", "q"]) == [1, 0, 3]
        take(queues, 1)
        queues.remove(["d"])
        assert queues.depths(["q", "r"]) == [2, 0]
        assert queues.depths([]) == []
        assert "nobody's" not in queues.queue_stats()

    def test_old_failed_entries_are_swept(self) -> None:
        queues = self.opened()
        queues.append([entry("a")], NOW)
        queues.nack([Nack("a", take(queues)["a"], NOW, dead=True)], NOW, 10)
        queues.sweep(NOW + 1000, 100)
        assert len(queues.failed("q")) == 1
        queues.sweep(NOW + 181 * 86_400_000, 100)
        assert queues.failed("q") == []
        assert queues.queue_stats()["q"].dead == 0

    def test_a_queue_that_holds_nothing_is_forgotten_some_time_after_its_last_use(self) -> None:
        queues = self.opened()
        queues.append([entry("a"), entry("b", at=NOW + 3), entry("x", queue="r")], NOW)
        old = take(queues, until=NOW + 50)["a"]
        queues.ack([("a", old)], NOW + 1, 10)
        late = take(queues, now=NOW + 3, until=NOW + 50)["b"]
        queues.nack([Nack("b", late, NOW + 4)], NOW + 4, 10)
        queues.remove(["b"])
        assert queues.forget_queues(NOW + 3, NOW + DAY) == 0
        assert "q" in queues.queue_stats()
        assert queues.forget_queues(NOW + 4, NOW + DAY) == 1
        assert set(queues.queue_stats()) == {"r"}
        assert queues.forget_queues(NOW + 4, NOW + DAY) == 0
        assert queues.ack([("a", old)], NOW + DAY, 10) == [False]
        assert queues.append([entry("a")], NOW + DAY) == [True], "nor is it known what was in it"
        assert queues.queue_stats()["q"] == QueueStats(1, 0, 0, 0, 0, 0, NOW + DAY, False)
        assert take(queues, now=NOW + DAY, until=NOW + 2 * DAY)["a"] > old, "but no claim is taken for an older one"

    def test_a_queue_that_holds_something_is_not_forgotten_however_old_it_is(self) -> None:
        queues = self.opened()
        names = ["waiting", "delayed", "claimed", "failed", "paused", "kept"]
        queues.append([entry(name, queue=name, at=NOW + (9 * DAY if name == "delayed" else 0)) for name in names], NOW)
        tokens = {name: take(queues, queue=name, until=NOW + 9 * DAY).get(name, 0) for name in names[2:]}
        queues.nack([Nack("failed", tokens["failed"], NOW, dead=True)], NOW, 10)
        queues.ack([(name, tokens[name]) for name in ("paused", "kept")], NOW, 0)
        queues.pause("paused", True)
        assert queues.forget_queues(NOW + DAY, NOW + DAY, keep=["kept"]) == 0
        assert set(queues.queue_stats()) == set(names)
        queues.pause("paused", False)
        assert queues.forget_queues(NOW + 2 * DAY, NOW + 2 * DAY, keep=["kept"]) == 1
        assert set(queues.queue_stats()) == set(names) - {"paused"}

    def test_what_was_forgotten_stays_so_after_a_restart_and_the_last_use_is_remembered(self) -> None:
        queues = self.opened()
        for name in ("one", "other"):
            queues.append([entry(name, queue=name)], NOW)
        queues.ack([("one", take(queues, queue="one")["one"])], NOW + 1, 10)
        queues.ack([("other", take(queues, queue="other")["other"])], NOW + 5, 10)
        assert queues.forget_queues(NOW + 1, NOW + DAY) == 1
        if not self.durable:
            return
        queues = self.reopen(queues, NOW + DAY)
        assert set(queues.queue_stats()) == {"other"}
        assert queues.forget_queues(NOW + 4, NOW + DAY) == 0
        assert queues.forget_queues(NOW + 5, NOW + DAY) == 1
        assert queues.queue_stats() == {}

    def test_a_consumer_of_some_types_leaves_the_others_where_they_are(self) -> None:
        queues = self.opened()
        ban, mute = entry("a")._replace(type="BAN"), entry("b", priority=9)._replace(type="MUTE")
        queues.append([ban, mute, entry("c", priority=1)], NOW)
        assert [each.id for each in queues.claim("q", 9, NOW, SOON, types={"BAN"})] == ["a", "c"]
        assert queues.claim("q", 9, NOW, SOON, types=()) == []
        (left,) = queues.claim("q", 9, NOW, SOON, types={"MUTE"})
        assert (left.id, left.attempt) == ("b", 1)
        # Lapsed claims are still of their types.
        assert [each.id for each in queues.claim("q", 9, SOON, SOON + 1, types={"MUTE"})] == ["b", "c"]
        assert [each.id for each in queues.claim("q", 9, SOON, SOON + 1)] == ["a"]

    def test_entries_of_other_types_hide_nothing_for_ever(self) -> None:
        queues = self.opened()
        queues.append([entry(f"m{at}")._replace(type="MUTE") for at in range(2_500)], NOW)
        queues.append([entry("a")._replace(type="BAN"), entry("b")._replace(type="BAN")], NOW)
        found: list[str] = []
        for _ in range(10):
            found += [each.id for each in queues.claim("q", 1, NOW, SOON, types={"BAN"})]
        assert found == ["a", "b"]
        queues.append([entry("c", priority=9)._replace(type="BAN")], NOW)
        assert [each.id for each in queues.claim("q", 1, NOW, SOON, types={"BAN"})] == ["c"]
