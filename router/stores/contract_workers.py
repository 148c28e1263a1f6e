# ruff: noqa: S101, TRY301 - a suite that needs no test framework is made of plain asserts
"""Executions, outcomes for their askers, and who lives."""

from __future__ import annotations

from typing import Any

from actors.workers import ANSWER_KEPT, EXECUTION_KEPT, Answered, Execution, Finish, Presence, Undertake
from router.stores.contract_base import NOW, Contract
from router.stores.contract_queues import SOON, entry, take

ENTRY = "attempt/e:1"


def undertake(
    token: int, name: str = ENTRY, worker: str = "w", attempt: int = 1, over: Any = ("", 0), owner: int = 0
) -> Undertake:
    """That worker ``w`` begins envelope ``e``."""
    return Undertake("q", name, token, "e", attempt, worker, over, owner)


def finish(token: int, outcome: bytes = b"done", name: str = ENTRY, **options: Any) -> Finish:
    """That ``e`` came to ``outcome``, for asker ``r``."""
    return Finish("q", name, token, "e", outcome, **{"asker": "r"} | options)


def asked(backend: Any, *names: str, until: int = SOON) -> list[int]:
    """Entries that are claimed: their tokens."""
    backend.append([entry(name) for name in names], NOW)
    tokens = take(backend, until=until)
    return [tokens[name] for name in names]


class WorkersContract(Contract):
    """The port ``Workers``."""

    def test_what_a_worker_begins_is_known_as_begun_by_it(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        assert store.executions("q", ["e", "x"]) == [None, None]
        assert store.begin([undertake(token, owner=9)], NOW + 1) == [True]
        assert store.executions("q", ["x", "e"]) == [None, Execution("e", ENTRY, token, 1, "w", NOW + 1, 0, b"", 9)]
        assert store.executions("other", ["e"]) == [None]

    def test_beginning_again_with_the_same_claim_changes_nothing(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.begin([undertake(token)], NOW)
        before = store.executions("q", ["e"])
        assert store.begin([undertake(token)], NOW + 5) == [True]
        assert store.executions("q", ["e"]) == before

    def test_who_has_no_claim_begins_nothing(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.append([entry("attempt/free:1")], NOW)
        assert store.begin([undertake(token + 1), undertake(1, "attempt/free:1"), undertake(1, "nobody")], NOW) == [
            False,
            False,
            False,
        ]
        assert store.executions("q", ["e"]) == [None]
        store.ack([(ENTRY, token)], NOW, 10)
        assert store.begin([undertake(token)], NOW) == [False]

    def test_who_gets_a_lapsed_claim_learns_that_it_was_started(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY, until=NOW + 10)
        store.begin([undertake(token)], NOW)
        again = take(store, now=NOW + 10)[ENTRY]
        (known,) = store.begin([undertake(again, worker="v")], NOW + 11)
        assert known == Execution("e", ENTRY, token, 1, "w", NOW, 0, b"")
        assert store.executions("q", ["e"]) == [known]

    def test_a_known_execution_is_replaced_only_by_who_names_it(self) -> None:
        store = self.opened()
        first, second = asked(store, ENTRY, "attempt/e:2")
        store.begin([undertake(first)], NOW)
        wrong = undertake(second, "attempt/e:2", "v", 2, over=(ENTRY, first + 1))
        right = undertake(second, "attempt/e:2", "v", 2, over=(ENTRY, first))
        assert [type(each) for each in store.begin([wrong, right, right], NOW + 1)] == [Execution, bool, bool]
        assert store.executions("q", ["e"]) == [Execution("e", "attempt/e:2", second, 2, "v", NOW + 1, 0, b"")]
        (known,) = store.begin([undertake(first)], NOW + 2)
        assert known.worker == "v", "and whom it was taken from learns of it"

    def test_an_end_is_in_all_three_places_at_once(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.begin([undertake(token)], NOW)
        assert store.answers("r", ["q"]) == []
        assert store.finish([finish(token)], NOW + 5, 10) == [True]
        assert store.answers("r", ["q"]) == [Answered("q", ENTRY, "e", b"done", NOW + 5)]
        assert store.executions("q", ["e"]) == [Execution("e", ENTRY, token, 1, "w", NOW, NOW + 5, b"done")]
        assert store.queue_stats()["q"].completed == 1
        assert store.append([entry(ENTRY)], NOW + 5) == [False], "it is a done entry"

    def test_an_end_said_again_changes_nothing(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.begin([undertake(token)], NOW)
        store.finish([finish(token)], NOW, 10)
        store.heard("r", [("q", ENTRY)])
        before = store.executions("q", ["e"])
        assert store.finish([finish(token), finish(token, b"other")], NOW + 9, 10) == [True, True]
        assert store.answers("r", ["q"]) == []
        assert store.executions("q", ["e"]) == before
        assert store.queue_stats()["q"].completed == 1

    def test_an_end_that_is_not_to_be_remembered_lets_the_envelope_begin_anew(self) -> None:
        store = self.opened()
        first, second = asked(store, ENTRY, "attempt/e:2")
        store.begin([undertake(first)], NOW)
        assert store.finish([finish(first, b"failed", remember=False, done=False)], NOW, 10) == [True]
        assert [each.outcome for each in store.answers("r", ["q"])] == [b"failed"]
        assert store.executions("q", ["e"]) == [None]
        assert store.begin([undertake(second, "attempt/e:2", attempt=2)], NOW) == [True]
        assert store.queue_stats()["q"].completed == 0
        assert store.append([entry(ENTRY)], NOW) == [True], "it left no trace"

    def test_an_end_in_doubt_leaves_the_execution_open_until_the_truth_is_known(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.begin([undertake(token)], NOW)
        before = store.executions("q", ["e"])
        assert store.finish([finish(token, b"in doubt", remember=None, done=False)], NOW, 10) == [True]
        assert [each.outcome for each in store.answers("r", ["q"])] == [b"in doubt"]
        assert store.executions("q", ["e"]) == before
        assert store.finish([finish(token, b"it was done", asker="")], NOW + 9, 10) == [False], "no claim is left"
        (known,) = store.executions("q", ["e"])
        assert (known.ended_at, known.outcome) == (NOW + 9, b"it was done")
        assert len(store.answers("r", ["q"])) == 1

    def test_whose_claim_was_lost_still_says_what_happened_and_answers_nobody(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY, until=NOW + 10)
        store.begin([undertake(token)], NOW)
        again = take(store, now=NOW + 10)[ENTRY]
        assert store.finish([finish(token)], NOW + 11, 10) == [False]
        assert store.answers("r", ["q"]) == []
        (known,) = store.begin([undertake(again, worker="v")], NOW + 12)
        assert (known.outcome, known.ended_at, known.token) == (b"done", NOW + 11, token)
        assert store.finish([finish(again, known.outcome)], NOW + 13, 10) == [True]
        assert [each.outcome for each in store.answers("r", ["q"])] == [b"done"]
        assert store.executions("q", ["e"]) == [known]

    def test_an_execution_that_was_taken_over_is_not_ended_by_its_first_worker(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY, until=NOW + 10)
        store.begin([undertake(token)], NOW)
        again = take(store, now=NOW + 10)[ENTRY]
        assert store.begin([undertake(again, worker="v", over=(ENTRY, token))], NOW + 10) == [True]
        assert store.finish([finish(token, b"late")], NOW + 11, 10) == [False]
        (known,) = store.executions("q", ["e"])
        assert (known.worker, known.ended_at) == ("v", 0)

    def test_an_outcome_nobody_asked_for_is_kept_for_nobody(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        assert store.finish([finish(token, asker="")], NOW, 10) == [True]
        assert store.answers("", ["q"]) == []
        assert store.queue_stats()["q"].completed == 1

    def test_outcomes_lie_ready_for_their_asker_until_it_has_heard_them(self) -> None:
        store = self.opened()
        names = [f"attempt/e{n}:1" for n in range(3)]
        tokens = asked(store, *names)
        ends = [
            Finish("q", name, token, name[8:-2], name.encode(), "r" if n < 2 else "s")
            for n, (name, token) in enumerate(zip(names, tokens, strict=True))
        ]
        store.finish(ends, NOW, 10)
        assert [each.entry for each in store.answers("r", ["q", "empty"])] == names[:2]
        assert [each.entry for each in store.answers("r", ["q"], 1)] == names[:1]
        assert [each.entry for each in store.answers("s", ["q"])] == names[2:]
        assert store.answers("r", ["empty"]) == []
        store.heard("r", [("q", names[0]), ("q", names[2]), ("empty", "x")])
        assert [each.entry for each in store.answers("r", ["q"])] == names[1:2]
        assert [each.entry for each in store.answers("s", ["q"])] == names[2:]

    def test_what_is_heard_is_taken_away_before_the_next_ones_are_told(self) -> None:
        store = self.opened()
        names = [f"attempt/e{n}:1" for n in range(3)]
        tokens = asked(store, *names)
        ends = [Finish("q", name, token, name[8:-2], b"", "r") for name, token in zip(names, tokens, strict=True)]
        store.finish(ends, NOW, 10)
        said = store.answers("r", ["q"], 1, heard=[("q", names[0]), ("q", "nobody"), ("empty", names[1])])
        assert [each.entry for each in said] == names[1:2]
        assert store.answers("s", ["q"], heard=[("q", names[1])]) == [], "it is not for s"
        assert [each.entry for each in store.answers("r", ["q"])] == names[1:]
        assert store.answers("r", [], heard=[("q", name) for name in names]) == []
        assert store.answers("r", ["q"]) == []

    def test_a_queue_is_not_forgotten_while_an_execution_or_an_outcome_is_remembered(self) -> None:
        store = self.opened()
        (token,) = asked(store, ENTRY)
        store.begin([undertake(token)], NOW)
        store.finish([finish(token)], NOW, 0)
        later = NOW + EXECUTION_KEPT - 1
        assert store.forget_queues(later, later) == 0
        store.heard("r", [("q", ENTRY)])
        assert store.forget_queues(later, later) == 0
        assert store.executions("q", ["e"])[0] is not None
        store.sweep(NOW + EXECUTION_KEPT, 100)
        assert store.forget_queues(NOW + EXECUTION_KEPT, NOW + EXECUTION_KEPT) == 1
        assert store.queue_stats() == {}

    def test_an_entry_that_was_taken_back_is_begun_by_nobody(self) -> None:
        store = self.opened()
        store.append([entry(ENTRY)], NOW)
        assert store.remove([ENTRY]) == [True]
        assert take(store) == {}
        assert store.begin([undertake(1)], NOW) == [False]

    def test_a_worker_lives_as_long_as_its_last_sign_of_life_is_good(self) -> None:
        store = self.opened()
        one = Presence("w1", "host:1", ("q", "r"), ("BAN", "KICK"), ("BAN",), 10)
        two = Presence("w2", "host:0", ("q",), (), (), 1, running=1)
        store.report(one, NOW, 100)
        store.report(two, NOW + 50, 100)
        assert store.workers() == [
            two._replace(seen=NOW + 50, until=NOW + 150),
            one._replace(seen=NOW, until=NOW + 100),
        ]
        store.report(one._replace(running=3), NOW + 100, 100)
        assert [each.running for each in store.workers()] == [1, 3]
        store.retire("w2")
        store.retire("nobody")
        assert [each.worker for each in store.workers()] == ["w1"]

    def test_what_somebody_held_who_is_gone_is_claimable_at_once_and_nothing_else_is(self) -> None:
        store = self.opened()
        store.append([entry(name) for name in ("a", "b", "c")] + [entry("d", queue="r")], NOW)
        (first,) = store.claim("q", 1, NOW, SOON, "w1")
        (other,) = store.claim("q", 1, NOW, SOON, "w2")
        store.claim("r", 1, NOW, SOON, "w1")
        store.report(Presence("w1", "host", ("q", "r"), (), (), 1, holds=("q", "r")), NOW, 100)
        (gone,) = store.workers()
        assert store.free(gone) == 2
        assert store.free(gone) == 0
        assert store.workers() == []
        assert store.queue_stats()["q"].claimed == 2
        again = store.claim("q", 9, NOW + 300, SOON, "w2")
        assert [(each.id, each.attempt) for each in again] == [("a", 2), ("c", 1)], "in its old place"
        assert store.ack([(first.id, first.token), (other.id, other.token)], NOW + 300, 1) == [False, True]
        assert [each.id for each in store.claim("r", 9, NOW + 300, SOON)] == ["d"]

    def test_whoever_was_taken_for_gone_holds_on_until_somebody_else_claims(self) -> None:
        store = self.opened()
        first, second = (entry(name) for name in ("a", "b"))
        store.append([first, second], NOW)
        one, two = store.claim("q", 2, NOW, SOON, "w1")
        presence = Presence("w1", "host", ("q",), (), (), 1, holds=("q",))
        store.report(presence, NOW, 100)
        (gone,) = store.workers()
        store.report(presence, NOW + 300, 100)
        assert store.free(gone) == 2
        assert [each.seen for each in store.workers()] == [NOW + 300], "it gave a sign of life"
        assert store.ack([(one.id, one.token)], NOW + 301, 1) == [True]
        assert store.extend([(two.id, two.token)], SOON) == [True]
        assert store.claim("q", 9, NOW + 302, SOON) == []

    def test_what_is_over_is_swept(self) -> None:
        store = self.opened()
        first, second = asked(store, ENTRY, "attempt/f:1")
        store.begin([undertake(first), Undertake("q", "attempt/f:1", second, "f", 1, "w")], NOW)
        store.finish([finish(first)], NOW, 10)
        store.sweep(NOW + ANSWER_KEPT - 1, 100)
        assert len(store.answers("r", ["q"])) == 1
        store.sweep(NOW + ANSWER_KEPT, 100)
        assert store.answers("r", ["q"]) == []
        store.sweep(NOW + EXECUTION_KEPT - 1, 100)
        assert None not in store.executions("q", ["e", "f"])
        store.sweep(NOW + EXECUTION_KEPT, 100)
        assert store.executions("q", ["e", "f"]) == [None, None]

    def test_executions_and_outcomes_outlive_the_process(self) -> None:
        if not self.durable:
            return
        store = self.opened()
        first, second, third = asked(store, ENTRY, "attempt/f:1", "attempt/g:1")
        store.begin([undertake(first), Undertake("q", "attempt/f:1", second, "f", 1, "w")], NOW)
        store.begin([Undertake("q", "attempt/g:1", third, "g", 1, "w")], NOW)
        store.finish([finish(first), Finish("q", "attempt/f:1", second, "f", b"", "r", remember=False)], NOW + 1, 10)
        executions, answers = store.executions("q", ["e", "f", "g"]), store.answers("r", ["q"])
        assert [each is None for each in executions] == [False, True, False]
        store = self.reopen(store)
        assert store.executions("q", ["e", "f", "g"]) == executions
        assert store.answers("r", ["q"]) == answers
        assert len(answers) == 2

    def test_a_step_that_fails_began_and_ended_nothing(self) -> None:
        if not self.transactional:
            return
        store = self.opened()
        first, second = asked(store, ENTRY, "attempt/f:1")
        store.begin([undertake(first)], NOW)
        before = store.executions("q", ["e", "f"])
        try:
            with store.together():
                store.finish([finish(first)], NOW, 10)
                store.begin([Undertake("q", "attempt/f:1", second, "f", 1, "w")], NOW)
                raise KeyError("the caller's")
        except KeyError:
            pass
        assert store.executions("q", ["e", "f"]) == before
        assert store.answers("r", ["q"]) == []
        assert store.finish([finish(first)], NOW, 10) == [True]
