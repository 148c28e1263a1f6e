# ruff: noqa: S101 - a suite that needs no test framework is made of plain asserts
"""The way of an envelope: entering, starting, deferring, ending, dying, living again; and how reads show it."""

from __future__ import annotations

from typing import Any

from actors.ports import (
    Accept,
    Accepted,
    AuditFilter,
    Begin,
    Bury,
    DeadFilter,
    Defer,
    Enter,
    Note,
    Replay,
    Settle,
    Stats,
)
from router.stores.contract_base import NOW, WINDOW, Contract, accept, accepted, settle

DAY = 86_400_000


def ids(found: Any) -> list[str]:
    """Whose frames these are."""
    return [each.frame.removeprefix(b"frame of ").decode() for each in found]


class WaysContract(Contract):
    """Writes after acceptance, and reads."""

    def test_an_unsettled_envelope_is_pending_with_all_that_is_known(self) -> None:
        store = self.opened()
        (result,) = accepted(store, accept("a"), now=NOW + 7)
        (record,) = store.pending()
        assert record == (b"frame of a", 1, result.position, NOW + 7, 0, "", 0, NOW + 900_000, b"")
        store.write([Begin("a", 2, "queue")], NOW + 8)
        (record,) = store.pending()
        assert (record.attempts, record.protocol, record.until) == (2, "queue", 0)
        store.write([Defer("a", NOW + 99, 2, b"so far")], NOW + 9)
        (record,) = store.pending()
        assert (record.attempts, record.protocol, record.until, record.trail) == (2, "", NOW + 99, b"so far")
        assert record.position == result.position

    def test_pending_is_paged_in_the_order_of_position_also_by_guild(self) -> None:
        if not self.one_order:
            return
        store = self.opened()
        names = [f"{n:02}" for n in range(25)]
        accepted(store, *(accept(name, guild=f"g{int(name) % 2}") for name in names))
        store.write([settle("03"), settle("04"), settle("20")], NOW)
        left = [name for name in names if name not in ("03", "04", "20")]
        assert ids(_pages(store, "", 4)) == left
        assert ids(_pages(store, "g0", 4)) == [name for name in left if int(name) % 2 == 0]
        assert store.pending("nobody") == []

    def test_paging_goes_on_while_envelopes_come_and_go(self) -> None:
        store = self.opened()
        accepted(store, *(accept(f"{n}") for n in range(6)))
        page = store.pending("", 0, 3)
        store.write([settle("0"), settle("4")], NOW)
        accepted(store, accept("6"))
        assert ids(store.pending("", page[-1].position, 10)) == ["3", "5", "6"]

    def test_a_delayed_envelope_enters_at_the_tail_when_it_is_due(self) -> None:
        store = self.opened()
        late, soon, now_ = accepted(store, accept("a", due_at=NOW + 50), accept("b", due_at=NOW + 20), accept("c"))
        assert (late.position, soon.position) == (0, 0)
        assert (late.sequence, soon.sequence, now_.sequence) == (1, 2, 3)
        assert ids(store.pending()) == ["c"]
        assert ids(store.delayed()) == ["b", "a"]
        assert [record.until for record in store.delayed()] == [NOW + 20, NOW + 50]
        assert store.get("a").state == "delayed"
        (position,) = store.write([Enter("b")], NOW + 20)
        assert position > now_.position
        assert store.write([Enter("b")], NOW + 21) == [position]
        assert ids(store.pending()) == ["c", "b"]
        assert ids(store.delayed()) == ["a"]
        assert store.pending()[1].until == 0

    def test_a_due_time_that_has_passed_does_not_delay(self) -> None:
        store = self.opened()
        (result,) = accepted(store, accept("a", due_at=NOW))
        assert result.position > 0

    def test_delayed_is_paged_by_due_time_and_id(self) -> None:
        store = self.opened()
        writes = [accept(f"{n:02}", due_at=NOW + 10 + n % 3) for n in range(12)]
        accepted(store, *writes)
        expected = [w.envelope.id for w in sorted(writes, key=lambda w: (w.envelope.due_at, w.envelope.id))]
        found: list[Any] = []
        after = (0, "")
        while page := store.delayed(after, 5):
            found += page
            after = (page[-1].until, ids(page)[-1])
        assert ids(found) == expected

    def test_entering_what_is_unknown_or_over_is_nothing(self) -> None:
        store = self.opened()
        accepted(store, accept("a", due_at=NOW + 50))
        store.write([settle("a", status="cancelled", applied=False)], NOW)
        assert store.write([Enter("a"), Enter("nobody")], NOW) == [0, 0]
        assert store.delayed() == []

    def test_nothing_starts_or_ends_what_is_not_in_flight(self) -> None:
        store = self.opened()
        accepted(store, accept("a"))
        store.write([settle("a")], NOW)
        late: list[Any] = [
            Begin("a", 2, "direct"),
            Defer("a", 0, 2, b""),
            settle("a", status="failed"),
            Bury("a", "", b"", b"", 2),
        ]
        assert store.write(late, NOW + 1) == [False, False, False, False]
        assert store.write([write._replace(id="nobody") for write in late], NOW + 1) == [False, False, False, False]
        assert store.get("a").status == "ok"
        assert store.get("a").attempts == 0

    def test_a_repeated_end_answers_as_the_first_did(self) -> None:
        store = self.opened()
        accepted(store, accept("a"), accept("b"))
        batch = [settle("a"), Bury("b", "tried", b"answer", b"trail", 3)]
        assert store.write(batch, NOW) == [True, True]
        before = (store.stats(), store.audit(AuditFilter()))
        assert store.write(batch, NOW + 1) == [True, True]
        assert (store.stats(), store.audit(AuditFilter())) == before

    def test_states_are_told_by_their_words(self) -> None:
        store = self.opened()
        names = ["delayed", "queued", "waiting", "started", "settled", "dead"]
        writes: list[Accept] = [accept(name, due_at=NOW + 9 if name == "delayed" else 0) for name in names]
        accepted(store, *writes)
        store.write([Defer("waiting", NOW + 5, 1, b""), Begin("started", 1, "direct"), settle("settled")], NOW)
        store.write([Bury("dead", "tried", b"answer", b"trail", 3)], NOW + 1)
        assert [store.get(name).state for name in names] == names
        assert [store.get(name).status for name in names] == ["", "", "", "", "ok", "dead"]
        assert [store.get(name).settled_at for name in names] == [0, 0, 0, 0, NOW, NOW + 1]
        assert store.get("nobody") is None

    def test_an_end_keeps_answer_and_trail(self) -> None:
        store = self.opened()
        (result,) = accepted(store, accept("a"))
        store.write([Begin("a", 1, "direct")], NOW + 1)
        store.write([Settle("a", "ok", b"answer", b"trail", True)], NOW + 2)
        assert store.get("a") == (
            *(b"frame of a", 1, result.position, NOW, "settled", "ok", 1, "direct", 0, NOW + 2),
            *(b"answer", b"trail", 0),
        )
        assert store.pending() == []

    # ------------------------------------------------------------ dead letters

    def test_a_dead_letter_says_what_it_was(self) -> None:
        store = self.opened()
        (result,) = accepted(store, accept("a", guild="h", queue="q", type="KICK"))
        store.write([Bury("a", "exhausted", b"answer", b"trail", 3)], NOW + 5)
        (letter,) = store.dead_letters(DeadFilter())
        assert letter == (
            *(b"frame of a", "a", "KICK", "h", "q", 1, result.position, "exhausted", 3, 0, NOW + 5),
            *(b"answer", b"trail"),
        )
        assert store.pending() == []
        assert store.get("a").state == "dead"

    def test_dead_letters_are_filtered_and_paged_in_the_order_of_position(self) -> None:
        if not self.one_order:
            return
        store = self.opened()
        accepted(store, *(accept(f"{n}", guild=f"g{n % 2}", queue=f"q{n % 3}", type=f"T{n % 4}") for n in range(9)))
        for n in (4, 0, 8, 2, 6, 1, 3, 5, 7):
            store.write([Bury(f"{n}", "tried", b"", b"", 1)], NOW + n)
        found: list[Any] = []
        while page := store.dead_letters(DeadFilter(), found[-1].position if found else 0, 2):
            found += page
        assert [letter.id for letter in found] == [str(n) for n in range(9)]
        for which, wanted in (
            (DeadFilter(id="3"), "3"),
            (DeadFilter(guild="g1"), "1357"),
            (DeadFilter(queue="q0"), "036"),
            (DeadFilter(type="T2"), "26"),
            (DeadFilter(before=NOW + 2), "01"),
            (DeadFilter(guild="g0", queue="q0", before=NOW + 6), "0"),
            (DeadFilter(id="nobody"), ""),
        ):
            assert [letter.id for letter in store.dead_letters(which)] == list(wanted)

    def test_a_delayed_envelope_can_die(self) -> None:
        store = self.opened()
        accepted(store, accept("a", due_at=NOW + 50))
        assert store.write([Bury("a", "poison", b"", b"", 1)], NOW) == [True]
        assert store.delayed() == []
        assert [letter.id for letter in store.dead_letters(DeadFilter())] == ["a"]

    def test_a_purge_forgets_letters_in_order_and_within_its_limit(self) -> None:
        store = self.opened()
        accepted(store, *(accept(f"{n}") for n in range(5)))
        store.write([Bury(f"{n}", "tried", b"answer", b"", 1) for n in range(5)], NOW)
        assert store.purge_dead(DeadFilter(), 2) == 2
        assert [letter.id for letter in store.dead_letters(DeadFilter())] == ["2", "3", "4"]
        assert store.purge_dead(DeadFilter(id="3"), 10) == 1
        assert store.purge_dead(DeadFilter(id="3"), 10) == 0
        assert store.stats()["bot:moderation"].dead == 2
        assert store.write([Replay("3", 9, NOW + 9)], NOW) == [False]
        assert (store.get("3").state, store.get("3").status) == ("settled", "dead")

    def test_a_replay_puts_a_letter_at_the_tail_once(self) -> None:
        store = self.opened()
        accepted(store, accept("a"), accept("b"))
        store.write([Begin("a", 1, "direct"), Bury("a", "tried", b"answer", b"trail", 3)], NOW)
        (result,) = accepted(store, accept("c"))
        later = NOW + 100
        (position,) = store.write([Replay("a", 2, later + 1000)], later)
        assert position > result.position
        assert store.write([Replay("a", 2, later + 1000)], later) == [False]
        assert store.dead_letters(DeadFilter()) == []
        assert ids(store.pending()) == ["b", "c", "a"]
        record = store.pending()[-1]
        assert (record.sequence, record.position, record.attempts, record.protocol) == (1, position, 0, "")
        assert (record.expires_at, record.until, record.accepted_at) == (later + 1000, 0, NOW)
        assert store.get("a").replays == 1
        assert store.get("a").answer == b""

    def test_replays_are_bounded(self) -> None:
        store = self.opened()
        accepted(store, accept("a"))
        for turn in range(2):
            store.write([Bury("a", "tried", b"", b"", 1)], NOW)
            assert store.write([Replay("a", 2, NOW + 9)], NOW)[0], turn
        store.write([Bury("a", "tried", b"", b"", 1)], NOW)
        assert store.write([Replay("a", 2, NOW + 9)], NOW) == [False]
        assert store.write([Replay("nobody", 2, NOW + 9)], NOW) == [False]
        assert store.dead_letters(DeadFilter())[0].replays == 2

    def test_both_ends_of_a_replayed_letter_are_in_the_trail(self) -> None:
        store = self.opened()
        accepted(store, accept("a"))
        store.write([Bury("a", "tried", b"dead", b"t1", 3)], NOW)
        store.write([Replay("a", 1, NOW + 999)], NOW + 1)
        store.write([Settle("a", "ok", b"fine", b"t2", True)], NOW + 2)
        assert [(line.at, line.answer, line.trail) for line in store.audit(AuditFilter(id="a"))] == [
            (NOW + 2, b"fine", b"t2"),
            (NOW, b"dead", b"t1"),
        ]

    # ------------------------------------------------------------ audit and counts

    def test_the_trail_is_read_newest_first_and_filtered(self) -> None:
        store = self.opened()
        for n in range(6):
            accepted(store, accept(f"{n}", guild=f"g{n % 2}", user=f"u{n % 3}", type=f"T{n % 2}"), now=NOW + n)
            store.write([settle(f"{n}"), Note(NOW + n, "refused", "", f"g{n % 2}", "u0", b"why")], NOW + n)
        everything = store.audit(AuditFilter())
        assert [line.at - NOW for line in everything] == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0]
        assert [line.kind for line in everything[:2]] == ["refused", "settled"]
        assert store.audit(AuditFilter(), 3) == everything[:3]
        for which, wanted in (
            (AuditFilter(id="3"), [line for line in everything if line.id == "3"]),
            (AuditFilter(guild="g1"), [line for line in everything if line.guild == "g1"]),
            (AuditFilter(user="u0"), [line for line in everything if line.user == "u0"]),
            (AuditFilter(type="T1"), [line for line in everything if line.type == "T1"]),
            (AuditFilter(since=NOW + 2, until=NOW + 4), everything[4:8]),
            (AuditFilter(guild="g0", user="u2", since=NOW + 1), [line for line in everything if line.id == "2"]),
        ):
            assert store.audit(which) == wanted, which
        assert everything[1] == (
            *(NOW + 5, "settled", "5", "g1", "u2", "T1", b"", b"frame of 5", b"answer of 5", b"trail"),
        )
        assert everything[0] == (NOW + 5, "refused", "", "g1", "u0", "", b"why", b"", b"", b"")

    def test_the_same_note_is_one_line(self) -> None:
        store = self.opened()
        note = Note(NOW, "operator", "a", "g", "u", b"detail")
        assert store.write([note, note._replace(detail=b"other")], NOW) == [True, True]
        assert store.write([note], NOW + 1) == [True]
        assert len(store.audit(AuditFilter())) == 2

    def test_counts_follow_every_step(self) -> None:
        store = self.opened()

        def counts(queue: str = "q") -> Stats:
            found = store.stats()[queue]
            assert isinstance(found, Stats)
            return found

        accepted(store, accept("a", queue="q"), accept("b", queue="q", due_at=NOW + 9), accept("z", queue="r"))
        accepted(store, accept("c", queue="q"), now=NOW + 5)
        assert counts() == (3, 0, 0, 0, 0, NOW)
        store.write([Begin("a", 1, "direct")], NOW + 6)
        assert counts() == (2, 1, 0, 0, 0, NOW)
        store.write([Enter("b"), Begin("b", 1, "direct")], NOW + 9)
        assert counts() == (1, 2, 0, 0, 0, NOW + 5)
        store.write([Defer("a", NOW + 99, 1, b"")], NOW + 10)
        assert counts() == (2, 1, 0, 0, 0, NOW)
        store.write([settle("b"), settle("c", status="cancelled", applied=False)], NOW + 11)
        assert counts() == (1, 0, 1, 1, 0, NOW)
        store.write([Begin("a", 2, "direct"), Bury("a", "tried", b"", b"", 2)], NOW + 12)
        assert counts() == (0, 0, 1, 2, 1, 0)
        store.write([Replay("a", 1, NOW + 99)], NOW + 13)
        assert counts() == (1, 0, 1, 2, 0, NOW)
        store.write([Settle("a", "noop", b"", b"", True)], NOW + 14)
        assert counts() == (0, 0, 2, 2, 0, 0)
        assert counts("r") == (1, 0, 0, 0, 0, NOW)

    # ------------------------------------------------------------ forgetting

    def test_nothing_is_forgotten_within_its_window(self) -> None:
        store = self.opened()
        accepted(store, accept("a", window=60 * DAY), accept("b"))
        store.write([settle("a"), settle("b"), Note(NOW, "refused", "", "g", "u", b"")], NOW)
        store.sweep(NOW + WINDOW, 100)
        assert store.get("b") is not None
        while store.sweep(NOW + 59 * DAY, 1):
            pass
        assert store.get("a") is not None
        assert store.get("b") is None
        assert [line.id for line in store.audit(AuditFilter())] == ["a"]
        assert store.write([accept("c", key=accept("a").envelope.key)], NOW + 59 * DAY)[0].original == "a"
        while store.sweep(NOW + 60 * DAY, 1):
            pass
        assert store.get("a") is None
        assert isinstance(store.write([accept("a")], NOW + 60 * DAY)[0], Accepted)

    def test_what_lives_is_never_swept(self) -> None:
        store = self.opened()
        accepted(store, accept("a"), accept("b", due_at=NOW + 9))
        later = NOW + 1000 * DAY
        assert store.sweep(later, 100) == 0
        assert ids(store.pending()) == ["a"]
        assert ids(store.delayed()) == ["b"]

    def test_dead_letters_are_forgotten_in_the_end(self) -> None:
        store = self.opened()
        accepted(store, accept("a"))
        store.write([Bury("a", "tried", b"", b"", 1)], NOW)
        while store.sweep(NOW + 179 * DAY, 10):
            pass
        assert len(store.dead_letters(DeadFilter())) == 1
        assert store.get("a").state == "dead"
        while store.sweep(NOW + 181 * DAY, 10):
            pass
        assert store.dead_letters(DeadFilter()) == []
        assert store.get("a") is None
        assert store.stats()["bot:moderation"].dead == 0


def _pages(store: Any, guild: str, size: int) -> list[Any]:
    found: list[Any] = []
    while page := store.pending(guild, found[-1].position if found else 0, size):
        assert len(page) <= size
        found += page
    return found
