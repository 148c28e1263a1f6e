"""What a named queue allows: the seeds' figures, under the settings of this installation."""

from __future__ import annotations

from dataclasses import replace

from actors.options import QueueOptions
from actors.policy.consuming import QueueRules
from router.messages.queues import QueueSpec, queue_spec
from router.settings_tables import QueueSettings

PLAIN = QueueSpec("")
"""A queue of which nothing is said."""


def rules_of(name: str, own: QueueSettings | None, concurrency: int) -> QueueRules:
    """For entries of the queue: its own table, else the seeds' figures, else ``concurrency`` and the defaults."""
    spec = queue_spec(name)
    rules = QueueRules(
        concurrency=concurrency if spec.concurrency == PLAIN.concurrency else spec.concurrency,
        attempts=spec.attempts,
        backoff=spec.backoff,
        rate=spec.rate_limit.count if spec.rate_limit else 0,
        rate_window=spec.rate_limit.per if spec.rate_limit else 60_000,
        lease=spec.stalled_after,
        retention_done=spec.retention_done,
        retention_failed=spec.retention_failed,
    )
    if own is None:
        return rules
    given = own.given()
    same = ("concurrency", "attempts", "retention_done", "retention_failed")
    changes = {key: given[key] for key in same if key in given}
    if "lease_ms" in given:
        changes["lease"] = given["lease_ms"]
    if own.rate_limit is not None:
        changes |= {"rate": own.rate_limit.count, "rate_window": own.rate_limit.per}
    backoff = {
        field: given[key]
        for key, field in (("backoff_ms", "initial"), ("backoff_factor", "factor"), ("backoff_cap_ms", "cap"))
        if key in given
    }
    return replace(rules, **changes, backoff=replace(rules.backoff, **backoff))


def bounds_of(name: str, own: QueueSettings | None) -> QueueOptions:
    """For commands of the queue: bounds only where the seeds or this installation set one."""
    spec = queue_spec(name)
    bounds = QueueOptions(concurrency=0 if spec.concurrency == PLAIN.concurrency else spec.concurrency)
    if spec.rate_limit is not None:
        bounds = replace(bounds, rate=spec.rate_limit.count, rate_window=spec.rate_limit.per)
    if own is None:
        return bounds
    wanted = own.options()
    return QueueOptions(
        concurrency=wanted.concurrency or bounds.concurrency,
        rate=wanted.rate or bounds.rate,
        rate_window=wanted.rate_window if wanted.rate else bounds.rate_window,
    )
