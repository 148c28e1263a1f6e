# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""Acceptance: numbers, duplicates, used keys, opposed operations."""

from __future__ import annotations

from actors.policy.operations import NOTHING_CAME_OF_IT
from actors.ports import Accepted, Begin, Bury, DeadFilter, Defer, Duplicate, Enter, KeyReused, Replay
from router.stores.contract_base import NOW, WINDOW, Contract, accept, accepted, done, envelope, settle

KEY = b"k" * 16
BAN, UNBAN = ("BAN",), ("UNBAN",)


class AcceptContract(Contract):
    """``Accept``."""

    def test_each_guild_counts_from_one_and_positions_rise_over_all(self) -> None:
        store = self.opened()
        first, other, second = accepted(store, accept("a"), accept("b", guild="h"), accept("c"))
        (third,) = accepted(store, accept("d"), now=NOW + 1)
        assert [first.sequence, second.sequence, third.sequence, other.sequence] == [1, 2, 3, 1]
        assert 0 < first.position < second.position < third.position
        assert not self.one_order or first.position < other.position < second.position
        assert [first.ahead, other.ahead, second.ahead, third.ahead] == [0, 0, 1, 2]

    def test_numbers_are_never_used_again(self) -> None:
        store = self.opened()
        (first,) = accepted(store, accept("a"))
        store.write([settle("a")], NOW)
        while store.sweep(NOW + 40 * 86_400_000, 100):
            pass
        (second,) = accepted(store, accept("b"), now=NOW + 40 * 86_400_000)
        assert second.sequence == 2
        assert second.position > first.position

    def test_a_repeated_write_answers_as_the_first_did_and_changes_nothing(self) -> None:
        store = self.opened()
        batch = [accept("a"), accept("b"), accept("c", due_at=NOW + 1000)]
        first = store.write(batch, NOW)
        assert store.write(batch, NOW + 5) == first
        store.write([settle("a")], NOW + 6)
        assert store.write(batch, NOW + 7) == first
        assert len(store.pending()) == 1
        assert store.stats()["bot:moderation"].pending == 2

    def test_ahead_counts_what_holds_a_position_in_the_same_guild(self) -> None:
        store = self.opened()
        accepted(store, accept("a"), accept("b", due_at=NOW + 1), accept("c", guild="h"))
        store.write([settle("a")], NOW)
        accepted(store, accept("d"))
        (last,) = accepted(store, accept("e"))
        assert last.ahead == 1

    def test_no_key_is_never_a_duplicate(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=b""), accept("b", key=b""))

    def test_a_key_in_flight_answers_without_an_answer(self) -> None:
        store = self.opened()
        (first,) = accepted(store, accept("a", key=KEY))
        assert store.write([accept("b", key=KEY)], NOW) == [Duplicate("b", "a", first.sequence, b"")]
        store.write([Begin("a", 1, "direct"), Defer("a", NOW + 9_999_999, 1, b"")], NOW)
        later = NOW + 10 * WINDOW
        assert store.write([accept("b", key=KEY)], later) == [Duplicate("b", "a", first.sequence, b"")]

    def test_duplicates_are_known_within_one_batch(self) -> None:
        store = self.opened()
        results = store.write([accept("a", key=KEY), accept("b", key=KEY), settle("a"), accept("c", key=KEY)], NOW)
        assert isinstance(results[0], Accepted)
        assert results[1:] == [Duplicate("b", "a", 1, b""), True, Duplicate("c", "a", 1, b"answer of a")]

    def test_a_finished_key_answers_until_its_window_ends(self) -> None:
        store = self.opened()
        done(store, accept("a", key=KEY), now=NOW)
        duplicate = Duplicate("b", "a", 1, b"answer of a")
        assert store.write([accept("b", key=KEY)], NOW + WINDOW - 1) == [duplicate]
        accepted(store, accept("b", key=KEY), now=NOW + WINDOW)
        assert store.write([accept("c", key=KEY)], NOW + WINDOW) == [Duplicate("c", "b", 2, b"")]

    def test_the_window_counts_from_the_end_of_the_way(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY))
        store.write([settle("a")], NOW + WINDOW)
        assert isinstance(store.write([accept("b", key=KEY)], NOW + 2 * WINDOW - 1)[0], Duplicate)

    def test_a_duplicate_is_not_stored(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY))
        store.write([accept("b", key=KEY)], NOW)
        assert store.get("b") is None
        assert len(store.pending()) == 1

    def test_dead_and_doubtful_operations_answer_duplicates(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY), accept("b", key=b"2" * 16))
        store.write([settle("a", status="in_doubt", applied=False), Bury("b", "tried", b"dead b", b"", 3)], NOW)
        assert store.write([accept("c", key=KEY)], NOW) == [Duplicate("c", "a", 1, b"answer of a")]
        assert store.write([accept("d", key=b"2" * 16)], NOW) == [Duplicate("d", "b", 2, b"dead b")]
        assert store.purge_dead(DeadFilter(), 10) == 1
        assert store.write([accept("e", key=b"2" * 16)], NOW + 1) == [Duplicate("e", "b", 2, b"dead b")]

    def test_an_operation_nothing_came_of_may_be_wished_for_again(self) -> None:
        store = self.opened()
        for number, status in enumerate(sorted(NOTHING_CAME_OF_IT)):
            (result,) = accepted(store, accept(f"a{number}", key=KEY))
            assert store.write([settle(result.id, status=status, applied=False)], NOW) == [True]
        accepted(store, accept("b", key=KEY))

    def test_an_idempotency_key_answers_also_when_nothing_came_of_it(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY, idempotency_key="once"))
        store.write([settle("a", status="rejected", applied=False)], NOW)
        again = accept("b", key=KEY, idempotency_key="once")
        assert store.write([again], NOW) == [Duplicate("b", "a", 1, b"answer of a")]

    def test_an_idempotency_key_with_another_payload_is_refused(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY, idempotency_key="order-1", fingerprint=b"1" * 16))
        other = accept("b", key=KEY, idempotency_key="order-1", fingerprint=b"2" * 16)
        same = accept("c", key=KEY, idempotency_key="order-1", fingerprint=b"1" * 16)
        assert store.write([other, same], NOW) == [KeyReused("b", "a"), Duplicate("c", "a", 1, b"")]
        store.write([settle("a")], NOW)
        assert store.write([other], NOW + WINDOW - 1) == [KeyReused("b", "a")]
        accepted(store, other, now=NOW + WINDOW)

    def test_equal_operations_may_differ_in_payload(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY, fingerprint=b"1" * 16))
        assert store.write([accept("b", key=KEY, fingerprint=b"2" * 16)], NOW) == [Duplicate("b", "a", 1, b"")]

    # ------------------------------------------------------------ opposed operations

    def test_ban_unban_ban_is_three_operations_while_all_are_in_flight(self) -> None:
        store = self.opened()
        ban, unban = accept("a", key=KEY, opposes=UNBAN), accept("b", type="UNBAN", key=b"u" * 16, opposes=BAN)
        accepted(store, ban, unban, accept("c", key=KEY, opposes=UNBAN))
        assert store.write([accept("d", key=KEY, opposes=UNBAN)], NOW) == [Duplicate("d", "c", 3, b"")]

    def test_an_opposed_one_accepted_before_the_operation_changes_nothing(self) -> None:
        store = self.opened()
        unban, ban = accept("a", type="UNBAN", opposes=BAN), accept("b", key=KEY, opposes=UNBAN)
        accepted(store, unban, ban)
        assert store.write([accept("c", key=KEY, opposes=UNBAN)], NOW) == [Duplicate("c", "b", 2, b"")]

    def test_opposition_is_of_one_lane_and_of_named_types(self) -> None:
        store = self.opened()
        accepted(
            store,
            accept("a", key=KEY, opposes=UNBAN),
            accept("b", type="UNBAN", subject="other", opposes=BAN),
            accept("c", type="UNBAN", guild="h", opposes=BAN),
            accept("d", type="KICK"),
        )
        assert store.write([accept("e", key=KEY, opposes=UNBAN)], NOW) == [Duplicate("e", "a", 1, b"")]

    def test_an_opposed_one_that_failed_in_flight_no_longer_counts(self) -> None:
        store = self.opened()
        done(store, accept("a", key=KEY, opposes=UNBAN))
        accepted(store, accept("b", type="UNBAN", opposes=BAN))
        store.write([settle("b", status="failed", applied=False)], NOW)
        assert store.write([accept("c", key=KEY, opposes=UNBAN)], NOW) == [Duplicate("c", "a", 1, b"answer of a")]

    def test_an_applied_one_ends_the_windows_of_what_it_opposes(self) -> None:
        store = self.opened()
        done(store, accept("a", key=KEY, opposes=UNBAN))
        done(store, accept("b", type="UNBAN", key=b"u" * 16, opposes=BAN))
        accepted(store, accept("c", key=KEY, opposes=UNBAN))
        again = accept("d", type="UNBAN", key=b"u" * 16, opposes=BAN)
        assert isinstance(store.write([again], NOW)[0], Accepted)

    def test_an_applied_one_ends_no_window_of_another_lane_or_type(self) -> None:
        store = self.opened()
        done(store, accept("a", key=KEY, opposes=UNBAN), accept("k", type="KICK", key=b"q" * 16))
        done(store, accept("b", type="UNBAN", subject="other", opposes=BAN))
        done(store, accept("c", type="UNBAN", guild="h", opposes=BAN))
        duplicates = store.write([accept("d", key=KEY, opposes=UNBAN), accept("e", type="KICK", key=b"q" * 16)], NOW)
        assert [result.original for result in duplicates] == ["a", "k"]

    def test_opposition_named_on_one_side_only_counts_on_both(self) -> None:
        store = self.opened()
        done(store, accept("a", key=KEY, opposes=UNBAN))
        done(store, accept("b", type="UNBAN"))
        accepted(store, accept("c", key=KEY, opposes=UNBAN))

    def test_an_idempotency_key_outlives_opposition(self) -> None:
        store = self.opened()
        done(store, accept("a", opposes=UNBAN, key=KEY, idempotency_key="once"))
        done(store, accept("b", type="UNBAN", opposes=BAN))
        accepted(store, accept("c", type="UNBAN", opposes=BAN))
        again = accept("d", opposes=UNBAN, key=KEY, idempotency_key="once")
        assert store.write([again], NOW + 1) == [Duplicate("d", "a", 1, b"answer of a")]

    def test_a_delayed_operation_is_over_when_something_opposed_was_applied_meanwhile(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY, due_at=NOW + 60_000, opposes=UNBAN))
        done(store, accept("b", type="UNBAN", opposes=BAN))
        accepted(store, accept("c", key=KEY, opposes=UNBAN))

    def test_an_operation_applied_after_what_opposes_it_answers_again(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY, due_at=NOW + 60_000, opposes=UNBAN))
        done(store, accept("b", type="UNBAN", opposes=BAN))
        store.write([Enter("a"), Begin("a", 1, "direct"), settle("a", opposes=UNBAN)], NOW + 60_000)
        duplicate = store.write([accept("c", key=KEY, opposes=UNBAN)], NOW + 60_000)
        assert duplicate == [Duplicate("c", "a", 1, b"answer of a")]

    def test_a_replayed_operation_holds_its_key_again(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY))
        store.write([Bury("a", "tried", b"dead", b"", 3)], NOW)
        later = NOW + 2 * WINDOW
        assert store.write([Replay("a", 5, later + 1000)], later) != [False]
        assert store.write([accept("b", key=KEY)], later) == [Duplicate("b", "a", 1, b"")]

    def test_a_replay_takes_no_key_from_a_living_operation(self) -> None:
        store = self.opened()
        accepted(store, accept("a", key=KEY))
        store.write([Bury("a", "tried", b"dead", b"", 3)], NOW)
        later = NOW + 2 * WINDOW
        accepted(store, accept("b", key=KEY), now=later)
        store.write([Replay("a", 5, later + 1000)], later)
        store.write([settle("a")], later)
        assert store.write([accept("c", key=KEY)], later) == [Duplicate("c", "b", 2, b"")]

    def test_strange_texts_are_kept_as_they_are(self) -> None:
        store = self.opened()
        texts = [
            "",
            " ",
            "\0",
            "a\r\nb",
            "'; DROP TABLE log; --",
            ":{}*",
            "\U0001f600",
            "\u00e9",
            "e\u0301",
            "x" * 10_000,
        ]
        for number, text in enumerate(texts):
            strange = envelope(f"id{number}{text}", guild=f"g{text}", subject=text, user=text, queue=f"q{text}")
            accepted(store, accept(strange))
            assert store.get(strange.id).frame == b"frame of " + strange.id.encode()
            assert [record.sequence for record in store.pending(strange.guild)] == [1]
        assert len(store.pending()) == len(texts)
