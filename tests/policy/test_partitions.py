"""Fair shares: routers that decide for themselves come to rest, evenly, and move nothing without need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.policy.partitions import Moves, decide, targets

ROUTERS = "abcdef"


@st.composite
def situations(draw):
    """(members, owners): owners may be nobody, members, or routers that went."""
    members = draw(st.sets(st.sampled_from(ROUTERS), min_size=1))
    owners = draw(st.lists(st.sampled_from(["", *ROUTERS]), min_size=1, max_size=40))
    return sorted(members), owners


def settle(members, owners, order, *, gone=True):
    """All act in turn until nobody moves; the owners then, and how many partitions changed hands."""
    owners = ["" if gone and owner not in members else owner for owner in owners]
    start = list(owners)
    for _ in range(len(ROUTERS) + 3):
        before = list(owners)
        for me in order:
            moves = decide(me, members, owners)
            for partition in moves.acquire:
                assert owners[partition] == ""
                owners[partition] = me
            for partition in moves.release:
                assert owners[partition] == me
                owners[partition] = ""
        if owners == before:
            break
    else:
        raise AssertionError(f"no rest: {owners}")
    return owners, sum(was != now for was, now in zip(start, owners, strict=True))


@given(situations(), st.randoms())
def test_they_come_to_rest_with_shares_that_differ_by_one_at_most(situation, random):
    members, owners = situation
    order = list(members)
    random.shuffle(order)
    owners, _ = settle(members, owners, order)
    counts = [owners.count(router) for router in members]
    assert sum(counts) == len(owners)
    assert max(counts) - min(counts) <= 1


@given(situations(), st.randoms())
def test_nothing_moves_but_what_is_free_or_too_much(situation, random):
    members, owners = situation
    order = list(members)
    random.shuffle(order)
    owners = ["" if owner not in members else owner for owner in owners]
    wanted = targets(members, owners)
    least = sum(max(0, owners.count(router) - wanted[router]) for router in members) + owners.count("")
    assert settle(members, owners, order)[1] == least


@given(situations())
def test_all_decide_at_once_without_meeting(situation):
    """From the same facts no two take the same partition, and nothing free that somebody lacks is left."""
    members, owners = situation
    moves = {me: decide(me, members, owners) for me in members}
    taken = [partition for each in moves.values() for partition in each.acquire]
    assert len(taken) == len(set(taken))
    assert all(owners[partition] == "" for partition in taken)
    for me, each in moves.items():
        assert owners.count(me) + len(each.acquire) - len(each.release) <= targets(members, owners)[me]


@given(situations(), st.randoms())
def test_once_even_nothing_moves_any_more(situation, random):
    members, owners = situation
    owners, _ = settle(members, owners, members)
    order = list(members)
    random.shuffle(order)
    for me in order:
        assert decide(me, members, owners) == Moves((), frozenset())


@given(situations(), st.sampled_from(ROUTERS))
def test_a_newcomer_takes_its_share_and_the_others_move_nothing_between_them(situation, newcomer):
    members, owners = situation
    members = [each for each in members if each != newcomer] or ["z"]
    before, _ = settle(members, owners, members)
    after, moved = settle([*members, newcomer], before, [*members, newcomer])
    assert all(was == now or now == newcomer for was, now in zip(before, after, strict=True))
    assert moved == after.count(newcomer)


@given(situations(), st.data())
def test_a_leaver_gives_all_away_and_the_others_keep_theirs(situation, data):
    members, owners = situation
    if len(members) == 1:
        members = [*members, "z"]
    before, _ = settle(members, owners, members)
    leaver = data.draw(st.sampled_from(members))
    rest = [each for each in members if each != leaver]
    assert decide(leaver, rest, before).release == {p for p, owner in enumerate(before) if owner == leaver}
    after, moved = settle(rest, before, [*rest, leaver], gone=False)
    assert moved == before.count(leaver)
    assert all(was in (now, leaver) for was, now in zip(before, after, strict=True))


def test_what_runs_least_is_given_away_first_and_what_is_on_its_way_stays_on_it():
    owners = ["a"] * 4
    assert decide("a", ["a", "b"], owners, running={0: 3, 1: 0, 2: 5, 3: 1}).release == {1, 3}
    assert decide("a", ["a", "b"], owners, running={0: 3, 1: 0, 2: 5, 3: 1}, leaving=[2]).release == {1, 2}
    assert decide("a", ["a", "b"], owners, running={0: 3, 1: 0, 2: 5, 3: 1}, leaving=[2], stuck=[2]).release == {1, 3}
    assert decide("a", ["a"], owners, leaving=[2]).release == frozenset()


def test_what_a_dead_router_still_holds_is_left_alone():
    assert decide("a", ["a"], ["a", "dead", "", "dead"]).acquire == (2,)
