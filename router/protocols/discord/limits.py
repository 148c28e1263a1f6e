"""Discord's limits for one bot, kept from this side: what may be sent now, and if not, when.

- Buckets per route, as its headers tell them (``X-RateLimit-*``), counted apart for each guild, channel or webhook. Of
  a route nothing is known of, one request is under way at a time until the first answer tells.
- 50 requests a second in all.
- 10,000 answers 401, 403 and 429 in ten minutes, and Cloudflare bars the address. So what was refused is remembered for
  a while and not asked for again, and at ``budget`` of them everything waits.
- A 401 stops everything: the token is wrong, until an operator says otherwise (``resume``) or a process with another
  token starts.

Pure: ``now`` in ms on a steady clock. Not thread-safe.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping

from actors.policy.limits import Denied, Limits, Rule
from router.protocols.discord.call import Call, NotSent, Rejected
from router.protocols.rest.wire import retry_after_of

PER_SECOND = 50
WINDOW = 600_000  # ms in which refusals are counted
SLICE = 10_000  # ms; they are counted in slices of it
BUDGET = 3_000  # refusals; Discord's own limit is 10,000 for everything that comes from one address
NEGATIVE = 30_000  # ms for which a refusal is believed
STOPPED = 60_000  # ms; advice while the token is wrong
CLOUDFLARE = 60_000  # ms, when Cloudflare does not say how long
STALE = 5_000  # ms; a request without an answer for so long takes no place any more, or one that hangs would keep it
UNKNOWN = 50  # ms until one looks again whether the first request of a route has told its limit
BUCKETS = 10_000
NAMES = 1_000
BUSY = "rate_limited"


class Bucket:
    """One counter of Discord's, as far as we know it."""

    __slots__ = ("limit", "remaining", "reset_at", "running")

    def __init__(self) -> None:
        self.limit = 0  #: 0: not told yet
        self.remaining = 1
        self.reset_at = 0
        self.running: deque[int] = deque()  # when those began that have no answer yet

    def wait(self, now: int) -> int:
        """ms until a request may go; 0: now."""
        if now >= self.reset_at and self.limit:
            self.remaining = self.limit
        while self.running and self.running[0] <= now - STALE:
            self.running.popleft()
        if self.remaining > len(self.running):
            return 0
        return max(self.reset_at - now, 1) if self.limit else max(self.reset_at - now, UNKNOWN)

    def ended(self) -> None:
        """One of those under way is not any more; which one makes no difference."""
        if self.running:
            self.running.popleft()


class Ledger:
    """All of them."""

    def __init__(self, *, per_second: int = PER_SECOND, budget: int = BUDGET) -> None:
        self._names: dict[str, str] = {}  # route -> Discord's name of its bucket
        self._told: dict[str, int] = {}  # that name -> its limit
        self._buckets: OrderedDict[tuple[str, str], Bucket] = OrderedDict()
        # A bucket of so many that fills at the rest of the rate: in no second go more than ``per_second``.
        burst = max(1, per_second // 5)
        self._global = Limits([Rule("discord", rate=max(1, per_second - burst), burst=burst)])
        self._blocked_until = 0
        self._blocked_by = ""
        self._budget = budget
        self._refusals: deque[list[int]] = deque()  # [beginning of the slice, count]
        self._refused: OrderedDict[tuple[str, ...], tuple[int, Rejected]] = OrderedDict()
        self.unauthorized = False  #: Discord does not know the token

    # ------------------------------------------------------------ before

    def hold(self, call: Call, now: int) -> NotSent | None:
        """Why it may not be sent now, and for how long; ``None``: it may, and is counted as under way."""
        if self.unauthorized:
            return NotSent("unauthorized", "Discord does not know the bot's token", STOPPED)
        if now < self._blocked_until:
            return NotSent(self._blocked_by, "Discord bars all requests for a while", self._blocked_until - now)
        if (wait := self._over_budget(now)) > 0:
            return NotSent("invalid_request_budget", "too many requests were refused lately", wait)
        bucket = self._bucket(call)
        if (wait := bucket.wait(now)) > 0:
            return NotSent(BUSY, f"the limit of {call.key} is used up", wait)
        denied = self._global.admit([("discord", "")], now)
        if isinstance(denied, Denied):
            return NotSent(BUSY, "the limit of all requests is used up", max(1, denied.retry_after))
        bucket.running.append(now)
        return None

    # ------------------------------------------------------------ after

    def unanswered(self, call: Call) -> None:
        """No answer came."""
        bucket = self._bucket(call)
        bucket.ended()
        if bucket.limit:
            bucket.remaining = max(0, bucket.remaining - 1)  # it may have been counted there

    def answered(self, call: Call, status: int, headers: Mapping[str, str], now: int) -> None:
        """Learn from an answer's headers."""
        bucket = self._bucket(call)
        bucket.ended()
        name = headers.get("x-ratelimit-bucket", "")
        if name:
            bucket = self._rename(call, name, bucket)
        limit, remaining = _number(headers, "x-ratelimit-limit"), _number(headers, "x-ratelimit-remaining")
        after = _number(headers, "x-ratelimit-reset-after")
        if limit is not None and remaining is not None and after is not None:
            reset_at = now + round(after * 1000)
            newer = now >= bucket.reset_at or not bucket.limit
            # Answers overtake each other: of one window, the smallest remainder is the latest.
            bucket.remaining = int(remaining) if newer else min(bucket.remaining, int(remaining))
            bucket.limit = max(1, int(limit))
            if name:
                if len(self._told) >= NAMES:  # Discord has about a hundred; they change when it likes
                    self._told.clear()
                self._told[name] = bucket.limit
            bucket.reset_at = max(bucket.reset_at, reset_at)
        elif not bucket.limit and status < 500:
            bucket.limit, bucket.remaining, bucket.reset_at = 1, 1, now  # it has none
        if status == 401:
            self.unauthorized = True
        if status in (401, 403) or (status == 429 and headers.get("x-ratelimit-scope") != "shared"):
            self._count_refusal(now)

    def limited(self, call: Call, scope: str, retry_after: int, now: int) -> None:
        """A 429 said for how long."""
        if scope in ("global", "cloudflare"):
            self._blocked_until, self._blocked_by = max(self._blocked_until, now + retry_after), scope
        else:
            bucket = self._bucket(call)
            bucket.limit = max(1, bucket.limit)
            bucket.remaining, bucket.reset_at = 0, max(bucket.reset_at, now + retry_after)

    def resume(self) -> None:
        """An operator says that the token is known, and the bar lifted. If not, the next answer says so."""
        self.unauthorized = False
        self._blocked_until = 0

    def refused(self, key: tuple[str, ...], rejected: Rejected, now: int) -> None:
        """Believe this refusal for a while."""
        self._refused[key] = (now + NEGATIVE, rejected)
        self._refused.move_to_end(key)
        while len(self._refused) > BUCKETS:
            self._refused.popitem(last=False)

    def refusal(self, key: tuple[str, ...], now: int) -> Rejected | None:
        """What was refused a short while ago, and would be again."""
        known = self._refused.get(key)
        if known is None:
            return None
        if known[0] <= now:
            del self._refused[key]
            return None
        return known[1]

    def refusals(self, now: int) -> int:
        """Counted in the last ten minutes."""
        while self._refusals and self._refusals[0][0] <= now - WINDOW:
            self._refusals.popleft()
        return sum(count for _, count in self._refusals)

    # ------------------------------------------------------------ inside

    def _bucket(self, call: Call) -> Bucket:
        key = (self._names.get(call.key, call.key), call.major)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket()
            limit = self._told.get(self._names.get(call.key, ""), 0)
            if limit:  # it is known from elsewhere, and nothing of it was used here
                bucket.limit = bucket.remaining = limit
            self._make_room()
        self._buckets.move_to_end(key)
        return bucket

    def _rename(self, call: Call, name: str, bucket: Bucket) -> Bucket:
        if self._names.get(call.key) == name:
            return bucket
        self._buckets.pop((self._names.get(call.key, call.key), call.major), None)
        self._names[call.key] = name
        return self._buckets.setdefault((name, call.major), bucket)

    def _make_room(self) -> None:
        while len(self._buckets) > BUCKETS:
            key = next((key for key, one in self._buckets.items() if not one.running), None)
            if key is None:
                return
            del self._buckets[key]

    def _over_budget(self, now: int) -> int:
        if self.refusals(now) < self._budget:
            return 0
        return max(1, self._refusals[0][0] + WINDOW - now)

    def _count_refusal(self, now: int) -> None:
        if self._refusals and now < self._refusals[-1][0] + SLICE:
            self._refusals[-1][1] += 1
        else:
            self._refusals.append([now, 1])


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def wait_of(body: object, headers: Mapping[str, str], now: int, otherwise: int) -> int:
    """ms a 429 asks to wait: ``retry_after`` of its body (s), else its header, else ``otherwise``; at most a day."""
    said = body.get("retry_after") if isinstance(body, dict) else None
    if isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said <= 86_400:
        return max(1, round(said * 1000 + 0.499))
    return retry_after_of(headers.get("retry-after", ""), now) or otherwise
