"""The memory store's ``Schedules`` port. There are few schedules: looking at all of them is cheap."""

from __future__ import annotations

from collections.abc import Iterator

from actors.schedules import Fire, Schedule, Schedules


class MemorySchedules(Schedules):
    """Schedules, and which router deals with which."""

    def _clear_schedules(self) -> None:
        self._schedules: dict[str, Schedule] = {}
        self._claimed: dict[str, tuple[str, int]] = {}  # (router, until) by schedule

    def _check(self) -> None:
        """Raise ``StoreUnavailable`` unless the store is open."""
        raise NotImplementedError

    def _schedule_changed(self, id_: str) -> None:
        """A backend that writes things down hears of every change here."""

    def put_schedule(self, schedule: Schedule, now: int) -> bool:
        self._check()
        known = self._schedules.get(schedule.id)
        if known is not None:
            if (known.frame, known.rule) == (schedule.frame, schedule.rule):
                return False
            self._keep(known._replace(frame=schedule.frame, rule=schedule.rule, next=schedule.next))
        else:
            self._keep(schedule._replace(made_at=now))
        return True

    def remove_schedule(self, id: str) -> bool:
        self._check()
        if self._schedules.pop(id, None) is None:
            return False
        self._claimed.pop(id, None)
        self._schedule_changed(id)
        return True

    def pause_schedule(self, id: str, paused: bool, next: int, now: int) -> bool:  # noqa: ARG002 - the port's
        self._check()
        known = self._schedules.get(id)
        if known is None:
            return False
        if known.paused != paused:
            self._keep(known._replace(paused=paused, next=known.next if paused else next))
        return True

    def schedules(self, after: str = "", limit: int = 1_000) -> list[Schedule]:
        self._check()
        return [self._schedules[id_] for id_ in sorted(self._schedules) if id_ > after][:limit]

    def claim_due(self, router: str, now: int, until: int, limit: int = 100) -> list[Schedule]:
        self._check()
        due = sorted((each for each in self._open() if each.next <= now), key=lambda each: (each.next, each.id))
        claimed: list[Schedule] = []
        for each in due:
            who, end = self._claimed.get(each.id, ("", 0))
            if len(claimed) < limit and (who == router or end <= now):
                self._claimed[each.id] = (router, until)
                claimed.append(each)
        return claimed

    def next_due(self, now: int) -> int:
        self._check()
        times = [each.next if each.next > now else self._claimed.get(each.id, ("", now))[1] for each in self._open()]
        return max(min(times), now) if times else 0

    def fire(self, fire: Fire, now: int) -> bool:
        self._check()
        known = self._schedules.get(fire.id)
        if known is None or known.paused or known.next != fire.tick:
            return False
        if fire.command:
            recent = (*known.recent, fire.command)[-fire.recent :]
            known = known._replace(last=now, fired=known.fired + 1, recent=recent)
        else:
            known = known._replace(passed=known.passed + 1)
        self._keep(known._replace(next=fire.next))
        return True

    def _open(self) -> Iterator[Schedule]:
        return (each for each in self._schedules.values() if each.next and not each.paused)

    def _keep(self, schedule: Schedule) -> None:
        self._schedules[schedule.id] = schedule
        self._claimed.pop(schedule.id, None)
        self._schedule_changed(schedule.id)
