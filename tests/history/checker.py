"""The rules a history must have kept.

::

    K1   nothing lost           accepted is an effect, a dead letter, or was answered otherwise
    K2   nothing invented       an effect was asked for, with this payload, by somebody who was not told no
    K3   unknown, but once      a send without an answer happened once or not at all
    K4   order                  first begins and effects of a lane are in the order of acceptance, which keeps real time
    K5   one handler            runs of a lane do not overlap, but for a fenced one that has no effect any more
    K6   effect once            one effect per key; an idempotent command is run again only for a reason
    K7   tokens                 rise per guild; no effect and no write to the store with an older one than was seen
    K8   deduplication          one payload and one envelope per key; new, duplicate and conflict as real time allows
    K9   attempts               start at 1, never fall, a start cut short is charged, never above the limit
    K10  conservation at rest   accepted = done + dead + cancelled, nothing left, sources agree, one last word each
    K11  failover               from a kill to the next begin of each guild with work
    K12  no wedge               every guild handles a probe after the faults

Order is that of a lane (guild, subject): priorities may reorder the lanes of a guild. Where a guild has one lane the
rules speak of the guild. Numbers of acceptance are the guild's, over all its lanes. Keys are taken to live within the
deduplicator's window.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from tests.history.events import Effect, Event, Ok, Unknown
from tests.history.history import NEVER, Call, History, Run, build

_NOT_STARTED = frozenset({"cancelled", "superseded", "annihilated"})


class Violation(NamedTuple):
    """A rule, and where it was broken."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the run promised; 0: not looked at."""

    attempts: int = 0
    failover_ms: int = 0


NO_LIMITS = Limits()


def check(events: Iterable[Event], limits: Limits = NO_LIMITS) -> list[Violation]:
    """All violations in a finished history (faults over, drained, probed); empty: it kept every rule."""
    history = build(sorted(events, key=lambda event: event.at))
    found = [Violation("record", stray) for stray in history.strays]
    for name, rule in RULES.items():
        found.extend(Violation(name, what) for what in rule(history, limits))
    return found


def nothing_lost(history: History, limits: Limits) -> Iterator[str]:
    """K1. Where the losses lie tells the cause: the postfix of a guild was not durable, its middle is a bug."""
    done = {effect.id for effect in history.effects}
    done |= {line.id for run in history.runs.values() for line in run.repeats if line.key in history.effects_of}
    by_guild: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for invoke, ok in history.new_calls():
        by_guild[invoke.guild].append((ok.sequence, ok.id))
    for guild, accepted in sorted(by_guild.items()):
        accepted.sort()
        lost = [not _accounted(history, done, id_) for _, id_ in accepted]
        for index, (sequence, id_) in enumerate(accepted):
            if lost[index]:
                part = "postfix" if all(lost[index:]) else "prefix" if all(lost[: index + 1]) else "middle"
                yield f"{id_} of guild {guild} (sequence {sequence}, {part}) was accepted and is gone"


def _accounted(history: History, done: set[str], id_: str) -> bool:
    statuses = {final.status for final in history.finals.get(id_, ())}
    # noop: the effect stood already; ok without an effect is a promise nobody kept.
    return id_ in done or bool(statuses - {"ok"})


def nothing_invented(history: History, limits: Limits) -> Iterator[str]:
    """K2."""
    for effect in history.effects:
        asked = [call for call in history.calls_of.get(effect.key, ()) if call.invoke.at < effect.at]
        same = [call for call in asked if call.invoke.payload == effect.payload]
        if not asked:
            yield f"effect of key {effect.key}, which nobody sent"
        elif not same:
            yield f"effect of key {effect.key} with a payload nobody sent"
        elif all(call.failed for call in same):
            yield f"effect of key {effect.key} although its sender was told no"
        elif all((call.invoke.guild, call.invoke.subject) != (effect.guild, effect.subject) for call in same):
            yield f"effect of key {effect.key} in lane {effect.guild}/{effect.subject}, where nobody sent it"


def unknown_once(history: History, limits: Limits) -> Iterator[str]:
    """K3."""
    for key, calls in history.calls_of.items():
        if _answered(calls):
            continue
        effects, ids = history.effects_of.get(key, []), history.ids_of(key)
        if len(effects) > 1 or len(ids) > 1:
            yield f"key {key} was never confirmed and happened {len(effects)} times as {len(ids)} envelopes"


def _answered(calls: Sequence[Call]) -> bool:
    return any(call.ok is not None for call in calls)


def order(history: History, limits: Limits) -> Iterator[str]:
    """K4."""
    yield from _sequences(history)
    free = {ok.id for invoke, ok in history.new_calls() if invoke.delayed}
    free |= {line.id for line in history.operators if line.action == "replay"}
    begins: dict[str, tuple[int, Run]] = {}
    effects: dict[str, tuple[int, Run]] = {}
    for run in sorted(history.runs.values(), key=lambda run: run.begin.at):
        if run.begin.id in free or any(call.invoke.delayed for call in history.calls_of.get(run.begin.key, ())):
            continue
        begins.setdefault(run.begin.id, (run.begin.at, run))
        if run.effects:
            effects.setdefault(run.begin.id, (run.effects[0].at, run))
    for word, firsts in (("begins", begins), ("takes effect", effects)):
        last: dict[tuple[str, str], Run] = {}
        for _, run in sorted(firsts.values(), key=lambda first: first[0]):
            lane = (run.begin.guild, run.begin.subject)
            before = last.get(lane)
            if before is not None and before.begin.sequence > run.begin.sequence:
                yield (
                    f"in lane {lane[0]}/{lane[1]} {run.begin.id} (sequence {run.begin.sequence}) {word} "
                    f"after {before.begin.id} (sequence {before.begin.sequence})"
                )
            else:
                last[lane] = run


def _sequences(history: History) -> Iterator[str]:
    """Numbers of acceptance: one envelope each, the same to sender and handler, and rising in real time."""
    owners: dict[tuple[str, int], str] = {}
    told: dict[str, int] = {}
    for invoke, ok in history.new_calls():
        if ok.sequence:
            told[ok.id] = ok.sequence
            other = owners.setdefault((invoke.guild, ok.sequence), ok.id)
            if other != ok.id:
                yield f"sequence {ok.sequence} of guild {invoke.guild} belongs to {other} and {ok.id}"
    for runs in history.runs_of.values():
        for begin in {run.begin.sequence: run.begin for run in runs}.values():
            if told.get(begin.id, begin.sequence) != begin.sequence:
                yield f"{begin.id} was accepted with sequence {told[begin.id]} and begins with {begin.sequence}"
            other = owners.setdefault((begin.guild, begin.sequence), begin.id)
            if other != begin.id:
                yield f"sequence {begin.sequence} of guild {begin.guild} belongs to {other} and {begin.id}"
    moments: list[tuple[int, int, Call]] = []
    for call in history.calls.values():
        if call.ok is not None and call.ok.answer == "new" and call.ok.sequence:
            moments += [(call.invoke.at, 1, call), (call.ok.at, 0, call)]
    known: dict[str, int] = defaultdict(int)  # highest number of a guild that somebody was told so far
    floor: dict[str, int] = {}
    for _, kind, call in sorted(moments, key=lambda moment: moment[:2]):
        assert call.ok is not None
        guild = call.invoke.guild
        if kind:
            floor[call.invoke.call] = known[guild]
        else:
            if call.ok.sequence <= floor[call.invoke.call] and not call.invoke.delayed:
                yield (
                    f"{call.ok.id} of guild {guild} got sequence {call.ok.sequence}, "
                    f"sent after {floor[call.invoke.call]} was answered"
                )
            known[guild] = max(known[guild], call.ok.sequence)


def one_handler(history: History, limits: Limits) -> Iterator[str]:
    """K5."""
    lanes: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in history.runs.values():
        lanes[run.begin.guild, run.begin.subject].append(run)
    for (guild, subject), runs in lanes.items():
        runs.sort(key=lambda run: run.begin.at)
        running: list[Run] = []
        for run in runs:
            running = [other for other in running if other.until > run.begin.at]
            for other in running:
                fenced = other.begin.token < run.begin.token
                if not fenced or any(effect.at > run.begin.at for effect in other.effects):
                    yield (
                        f"in lane {guild}/{subject} {run.begin.id} begins (run {run.begin.run}) "
                        f"while {other.begin.id} runs (run {other.begin.run})"
                    )
            running.append(run)


def effect_once(history: History, limits: Limits) -> Iterator[str]:
    """K6."""
    for key, effects in history.effects_of.items():
        if len(effects) > 1 and _answered(history.calls_of.get(key, ())):
            yield f"key {key} took effect {len(effects)} times, in runs {', '.join(effect.run for effect in effects)}"
    for run in history.runs.values():
        for repeat in run.repeats:
            first = history.effects_of.get(repeat.key, [])
            if not first:
                yield f"run {repeat.run} found key {repeat.key} done, which is not in the ledger"
            elif not _in_doubt(history, first[0], run):
                yield f"run {repeat.run} repeats key {repeat.key}, done in run {first[0].run} and never in doubt"


def _in_doubt(history: History, effect: Effect, again: Run) -> bool:
    """Whether the router had a reason to run a command again whose effect stood."""
    first = history.runs.get(effect.run)
    if first is None:
        return False
    ended_badly = first.end is not None and first.end.outcome != "applied" and first.end.at <= again.begin.at
    moved = again.begin.token > first.begin.token
    replayed = any(line.action == "replay" and line.id == again.begin.id for line in history.operators)
    killed = history.kills_between(effect.at, again.begin.at) > 0
    # Who was stopped, or cut off, in mid-work is given up as if it were dead, and its work is another's.
    return ended_badly or moved or replayed or killed or history.held_up(first.begin.at, again.begin.at)


def tokens(history: History, limits: Limits) -> Iterator[str]:
    """K7."""
    highest: dict[str, int] = defaultdict(int)
    lines = [(line.at, 0, line.guild, line.token, line.by) for line in history.owners if line.action == "acquire"]
    lines += [(run.begin.at, 1, run.begin.guild, run.begin.token, run.begin.by) for run in history.runs.values()]
    lines += [(effect.at, 2, effect.guild, effect.token, effect.by) for effect in history.effects]
    for _, kind, guild, token, by in sorted(lines):
        if kind == 0 and token <= highest[guild]:
            yield f"{by} acquired guild {guild} with token {token} after {highest[guild]}"
        elif kind == 2 and token < highest[guild]:
            yield f"{by} had an effect in guild {guild} with token {token} after {highest[guild]} was seen"
        highest[guild] = max(highest[guild], token)
    yield from _late_commits(history)


def _late_commits(history: History) -> Iterator[str]:
    """Writes that the store took though it had answered one with a newer token before they were asked for."""
    times: dict[int, list[int]] = defaultdict(list)
    newest: dict[int, list[int]] = defaultdict(list)
    for commit in history.commits:
        if commit.done:
            known = newest[commit.partition]
            times[commit.partition].append(commit.at)
            known.append(max(commit.token, known[-1] if known else 0))
    for commit in history.commits:
        before = bisect_left(times[commit.partition], commit.asked)
        if commit.done and before and commit.token < newest[commit.partition][before - 1]:
            yield (
                f"{commit.by} wrote to partition {commit.partition} with token {commit.token} "
                f"after {newest[commit.partition][before - 1]} had"
            )


def deduplication(history: History, limits: Limits) -> Iterator[str]:
    """K8."""
    for key, calls in history.calls_of.items():
        payloads = {effect.payload for effect in history.effects_of.get(key, ())}
        if len(payloads) > 1:
            yield f"key {key} took effect with {len(payloads)} payloads"
        ids = history.ids_of(key)
        if len(ids) > 1 and _answered(calls):
            yield f"key {key} was accepted as {len(ids)} envelopes: {', '.join(sorted(ids))}"
        stored = {call.ok.id for call in calls if call.ok is not None and call.ok.answer == "new"}
        for call in calls:
            others = [other for other in calls if other is not call]
            why = _answer_is_wrong(call, others, stored)
            if why:
                yield f"call {call.invoke.call} of key {key} {why}"


def _answer_is_wrong(call: Call, others: Sequence[Call], stored: set[str]) -> str:
    """What is wrong with the answer of one call, seen beside the other calls of its key; "": nothing."""
    earlier = [other for other in others if not other.failed and other.invoke.at < call.answered_at]
    same = [other for other in earlier if other.invoke.payload == call.invoke.payload]
    answered = [other for other in earlier if other.ok is not None and other.answered_at < call.invoke.at]
    if call.ok is not None:
        if any(other.invoke.payload != call.invoke.payload for other in answered):
            return "was accepted although the key belonged to another payload"
        if call.ok.answer == "new" and answered:
            return "was answered new although the key was known"
        if call.ok.answer == "duplicate" and not same:
            return "was answered duplicate although nothing was there"
        if call.ok.answer == "duplicate" and stored and call.ok.id not in stored:
            return f"was answered duplicate of {call.ok.id}, which is not the one stored"
    elif call.failed and getattr(call.answer, "code", "") == "conflict" and len(same) == len(earlier):
        return "was answered conflict although the key had no other payload"
    return ""


def attempts(history: History, limits: Limits) -> Iterator[str]:
    """K9."""
    replays = {(line.id, line.at) for line in history.operators if line.action == "replay"}
    for id_, runs in history.runs_of.items():
        sent = min((call.invoke.at for call in history.calls_of.get(runs[0].begin.key, ())), default=0)
        number, since, cut = 0, sent, False
        for run in sorted(runs, key=lambda run: run.begin.at):
            if any(id_ == replayed and since < at < run.begin.at for replayed, at in replays):
                number, cut = 0, False
            attempt = run.begin.attempt
            # A fault may come after the start was charged and before the handler could say that it began.
            highest = number + 1 + history.faults_between(since, run.begin.at, run.begin.guild)
            if attempt < max(number, 1):
                yield f"attempt of {id_} is {attempt} after {number} (run {run.begin.run})"
            elif cut and attempt == number:
                yield f"attempt {attempt} of {id_} was cut short by a kill and not charged (run {run.begin.run})"
            elif attempt > highest:
                yield f"attempt of {id_} is {attempt}, at most {highest} can have started (run {run.begin.run})"
            elif limits.attempts and attempt > limits.attempts:
                yield f"attempt of {id_} is {attempt}, the limit is {limits.attempts}"
            number, since, cut = max(number, attempt), run.begin.at, run.killed


def conservation(history: History, limits: Limits) -> Iterator[str]:
    """K10."""
    store = next((rest.counts for rest in history.rests if rest.source == "store"), None)
    if store is None:
        yield "the store was not asked at rest"
        return
    over = {name: store.get(name, 0) for name in ("done", "dead", "cancelled")}
    if store.get("accepted", 0) != sum(over.values()):
        yield f"accepted {store.get('accepted', 0)} is not the sum of {over}"
    for name in ("queued", "running"):
        if store.get(name, 0):
            yield f"{store[name]} {name} at rest"
    for rest in history.rests:
        for name in sorted(rest.counts.keys() & store.keys()):
            if rest.counts[name] != store[name]:
                yield f"{rest.source} says {name} {rest.counts[name]}, store says {store[name]}"
    promised = {ok.id for _, ok in history.new_calls()}
    possible = sum(1 for calls in history.calls_of.values() if not all(call.failed for call in calls))
    if not len(promised) <= store.get("accepted", 0) <= possible:
        yield f"store accepted {store.get('accepted', 0)}; the clients saw {len(promised)} and sent {possible}"
    effective = {effect.id for effect in history.effects}
    for id_ in sorted(promised | set(history.runs_of)):
        statuses = [final.status for final in history.finals.get(id_, ())]
        if len(statuses) != 1:
            yield f"{id_} has {len(statuses)} last words: {statuses}"
        elif statuses[0] in _NOT_STARTED and id_ in effective:
            yield f"{id_} is {statuses[0]} and took effect"


def failover(history: History, limits: Limits) -> Iterator[str]:
    """K11."""
    if not limits.failover_ms:
        return
    for gap in gaps(history):
        if gap.ms > limits.failover_ms:
            yield f"guild {gap.guild} waited {gap.ms:.0f} ms after the kill at {gap.killed_at}"


class Gap(NamedTuple):
    """How long a guild waited because of a kill."""

    killed_at: int
    guild: str
    ms: float
    waiting: bool  #: it had work when the kill came; else it was sent some within ``AFTERMATH``


AFTERMATH = 1_000_000_000
"""ns after a kill in which what is sent belongs to its story."""


def gaps(history: History) -> Iterator[Gap]:
    """For every kill and guild: from the kill to the guild's next begin, of what waited then or was sent soon after.

    What was sent after the kill waits since it was sent. When another kill comes before the begin, the gap is that
    one's (M16: the last kill counts). Commands that never begin again wait for nobody: they had ended, or were answered
    in doubt.
    """
    work: dict[str, list[tuple[int, list[int]]]] = defaultdict(list)  # guild -> (sent, begins, rising)
    for invoke, ok in history.new_calls():
        begins = sorted(run.begin.at for run in history.runs_of.get(ok.id, ()))
        if begins:
            work[invoke.guild].append((invoke.at, begins))
    for killed_at, following in pairwise([*history.kills, NEVER]):
        for guild, items in work.items():
            waiting = [
                (sent, begins) for sent, begins in items if sent < killed_at + AFTERMATH and begins[-1] > killed_at
            ]
            if not waiting:
                continue
            since = max(killed_at, min(sent for sent, _ in waiting))
            begin = min(at for _, begins in waiting for at in begins if at > since)
            if begin < following:
                yield Gap(killed_at, guild, (begin - since) / 1e6, since == killed_at)


def no_wedge(history: History, limits: Limits) -> Iterator[str]:
    """K12."""
    guilds = {call.invoke.guild for call in history.calls.values()}
    alive = set()
    for call in history.calls.values():
        if call.invoke.probe and call.ok is not None and call.invoke.at > history.last_fault:
            effects = history.effects_of.get(call.invoke.key, ())
            alive |= {effect.guild for effect in effects if effect.at > call.invoke.at}
    for guild in sorted(guilds - alive):
        yield f"guild {guild} did not handle a probe"


RULES: dict[str, Callable[[History, Limits], Iterator[str]]] = {
    "K1": nothing_lost,
    "K2": nothing_invented,
    "K3": unknown_once,
    "K4": order,
    "K5": one_handler,
    "K6": effect_once,
    "K7": tokens,
    "K8": deduplication,
    "K9": attempts,
    "K10": conservation,
    "K11": failover,
    "K12": no_wedge,
}


def statistics(events: Iterable[Event]) -> dict[str, int]:
    """How much a history has to say; a run without kills in mid-work proves little."""
    history = build(sorted(events, key=lambda event: event.at))
    answers = Counter(
        call.answer.answer if isinstance(call.answer, Ok) else call.answer.event if call.answer else "unknown"
        for call in history.calls.values()
    )
    unsure = [call for call in history.calls.values() if call.answer is None or isinstance(call.answer, Unknown)]
    waits = [gap.ms for gap in gaps(history)]
    return {
        "calls": len(history.calls),
        "new": answers["new"],
        "duplicates": answers["duplicate"],
        "refused": answers["fail"],
        "unknown": answers["unknown"],
        "recovered": sum(1 for call in unsure if history.effects_of.get(call.invoke.key)),
        "runs": len(history.runs),
        "effects": len(history.effects),
        "repeats": sum(len(run.repeats) for run in history.runs.values()),
        "kills": len(history.kills),
        "cut_runs": sum(1 for run in history.runs.values() if run.killed),
        "longest_gap_ms": round(max(waits, default=0)),
    }
