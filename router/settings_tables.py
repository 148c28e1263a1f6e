"""The tables of a settings file: per queue and per type. A value that is not set decides nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from actors.options import QueueOptions, TypeOptions
from actors.policy.facts import ConflictPolicy, Facts, OnExhausted
from router.settings_values import Rate

Ms = Annotated[int, Field(ge=1, le=366 * 86_400_000)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Attempts = Annotated[int, Field(ge=0, le=1_000_000)]  #: 0: without end
RateText = Annotated[Rate, BeforeValidator(lambda value: Rate.parse(value) if isinstance(value, str) else value)]
Protocol = Literal["websocket", "queue", "rest", "direct"]


class Table(BaseModel):
    """A frozen table without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    def given(self) -> dict[str, Any]:
        """The values that were set."""
        return {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}


class QueueSettings(Table):
    """``[queues."bot:moderation"]``."""

    concurrency: Count | None = Field(None, description="handlers of this queue at once; for commands over all routers")
    attempts: Attempts | None = Field(None, description="real failures before the dead letters; 0: without end")
    backoff_ms: Ms | None = Field(None, description="wait after the first failure")
    backoff_factor: float | None = Field(None, ge=1, le=100, description="growth of the wait with each failure")
    backoff_cap_ms: Ms | None = Field(None, description="longest wait")
    rate_limit: RateText | None = Field(None, description="starts in a time, such as 2/minute; likewise")
    lease_ms: Ms | None = Field(None, description="a claim not renewed for so long is another's")
    retention_done: int | None = Field(None, ge=0, le=1_000_000, description="done entries kept to be looked at")
    retention_failed: int | None = Field(None, ge=0, le=1_000_000, description="failed entries kept")

    def options(self) -> QueueOptions:
        """The engine's numbers for commands of this queue."""
        rate = self.rate_limit
        bound = QueueOptions(concurrency=self.concurrency or 0)
        return bound if rate is None else replace(bound, rate=rate.count, rate_window=rate.per)


class TypeSettings(Table):
    """``[types.BAN_USER]``."""

    priority: int | None = Field(None, ge=1, le=10, description="1 (lowest) to 10")
    attempts: Attempts | None = Field(None, description="real failures before the dead letters; 0: without end")
    expires_ms: Ms | None = Field(None, description="not started later than this after acceptance")
    timeout_ms: Ms | None = Field(None, description="longest run of one attempt")
    backoff_ms: Ms | None = Field(None, description="wait after the first failure")
    backoff_factor: float | None = Field(None, ge=1, le=100, description="growth of the wait with each failure")
    backoff_cap_ms: Ms | None = Field(None, description="longest wait")
    window_ms: Ms | None = Field(None, description="a finished operation answers its duplicates for so long")
    idempotent: bool | None = Field(None, description="the same command twice leaves the same state")
    conflict: ConflictPolicy | None = Field(None, description="queue, supersede, annihilate or reject")
    on_exhausted: OnExhausted | None = Field(None, description="continue, pause or bury")
    protocols: tuple[Protocol, ...] | None = Field(None, description="the protocols to try, in order")
    rate_limit: RateText | None = Field(None, description="acceptances in a time, such as 100/minute, over all routers")
    backlog: Count | None = Field(None, description="unsettled commands of this type; more are refused")
    concurrency: Count | None = Field(None, description="attempts of this type at once, over all routers; more wait")

    def options(self) -> TypeOptions:
        """The engine's bounds for commands of this type."""
        rate = self.rate_limit
        bound = TypeOptions(concurrency=self.concurrency or 0, backlog=self.backlog or 0)
        return bound if rate is None else replace(bound, rate=rate.count, rate_window=rate.per)

    def sealing(self) -> dict[str, Any]:
        """What ``seal`` should do differently for this type, unless the sender says otherwise."""
        given = self.given()
        names = {"priority": "priority", "expires_ms": "expires_in_ms", "protocols": "protocols"}
        return {option: given[name] for name, option in names.items() if name in given}


def over_facts(facts: Facts, queue: QueueSettings | None, kind: TypeSettings | None) -> Facts:
    """The facts of a type after the queue's settings and then the type's own."""
    changes: dict[str, Any] = {}
    for table in (queue, kind):
        if table is None:
            continue
        given = table.given()
        changes |= {name: given[name] for name in _SAME_NAME & given.keys()}
        changes |= {fact: given[name] for name, fact in _RENAMED.items() if name in given}
        backoff = {field: given[name] for name, field in _BACKOFF.items() if name in given}
        if backoff:
            changes["backoff"] = replace(changes.get("backoff", facts.backoff), **backoff)
    return replace(facts, **changes) if changes else facts


_SAME_NAME = frozenset(("attempts", "idempotent", "conflict", "on_exhausted", "retention_done", "retention_failed"))
_RENAMED = {"timeout_ms": "timeout", "window_ms": "window"}
_BACKOFF = {"backoff_ms": "initial", "backoff_factor": "factor", "backoff_cap_ms": "cap"}
