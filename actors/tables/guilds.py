"""The guilds that live in this process: a guild's actor is started at its first message and forgotten when idle."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from actors.messages import Wake
from actors.runtime.errors import ActorStopped, AlreadyStarted, RuntimeFault
from actors.runtime.ref import Ref


class Guilds:
    """Guild id -> live actor. Messages to one guild from one thread arrive in order, across forgetting and restarts.

    Thread-safe; messages are held back while nobody can start a guild, and until recovery has put the old places first.
    """

    def __init__(self) -> None:
        self._refs: dict[str, Ref] = {}
        self._idle: dict[str, int] = {}
        self._lock = Lock()
        self._unread: set[str] = set()
        self._start: Callable[[str], Ref] | None = None
        self._stop: Callable[[Ref], bool] | None = None
        self._back: list[tuple[str, object]] | None = []  # held back

    def __len__(self) -> int:
        return len(self._refs)

    def attach(self, start: Callable[[str], Ref], stop_if_idle: Callable[[Ref], bool]) -> None:
        """The supervisor is up: this is how guilds are started and stopped."""
        with self._lock:
            self._start = start
            self._stop = stop_if_idle
            self._unread.clear()  # recovery tells them everything

    def hold(self) -> None:
        """Recovery begins, or will: what is told waits until ``release``; ``tell_recovered`` goes through."""
        with self._lock:
            if self._back is None:
                self._back = []

    def release(self) -> None:
        """Recovery is over: what waited goes out in order, and the door is open."""
        while True:
            with self._lock:
                back = self._back
                if not back:
                    self._back = None
                    return
                self._back = []
            for guild, message in back:
                self.tell_recovered(guild, message)

    def tell(self, guild: str, message: object) -> None:
        """Tell a guild, starting it if need be. Raises ``MailboxFull``."""
        if self._back is not None:
            with self._lock:
                if self._back is not None:
                    self._back.append((guild, message))
                    return
        self.tell_recovered(guild, message)

    def tell_recovered(self, guild: str, message: object) -> None:
        """As ``tell``, also while recovery runs."""
        while True:
            ref = self._refs.get(guild) or self._started(guild, message)
            if ref is None:
                return
            try:
                ref.tell(message)
            except ActorStopped:
                self.forget(guild, ref)  # it was passivated, or given up, between the look and the tell
            else:
                return

    def _started(self, guild: str, message: object) -> Ref | None:
        with self._lock:
            ref = self._refs.get(guild)
            if ref is None and self._start is not None:
                try:
                    ref = self._refs[guild] = self._start(guild)
                except AlreadyStarted as error:
                    ref = self._refs[guild] = error.ref
                except ActorStopped:
                    pass
            if ref is None:
                # Their supervisor is down. If it comes back, recovery comes after it, puts the old places first and
                # releases; if not, the tree stops, and what is stored is found at the next start.
                if self._back is None:
                    self._back = []
                self._back.append((guild, message))
            return ref

    def wake(self, guild: str, message: Wake) -> None:
        """Tell a guild only if it lives: one that does not has nothing to wake for."""
        ref = self._refs.get(guild)
        if ref is None:
            return
        try:
            ref.tell(message)
        except ActorStopped:
            self.forget(guild, ref)
        except RuntimeFault:
            pass  # full: it has enough to wake for

    def everybody(self) -> list[str]:
        """The guilds that live now."""
        return list(self._refs)

    def awake(self) -> list[str]:
        """Those of them that have something to do."""
        with self._lock:
            return list(self._refs.keys() - self._idle.keys())

    def forget(self, guild: str, ref: Ref) -> None:
        """The actor behind ``ref`` is gone for good; the next message starts a new one."""
        with self._lock:
            if self._refs.get(guild) is ref:
                del self._refs[guild]
                self._idle.pop(guild, None)

    def idle(self, guild: str, now: int) -> None:
        """A guild has nothing left to do since ``now``."""
        with self._lock:
            self._idle.pop(guild, None)
            self._idle[guild] = now

    def busy(self, guild: str) -> None:
        """It has work again."""
        with self._lock:
            self._idle.pop(guild, None)

    def passivate(self, before: int) -> int:
        """Forget guilds idle since before that time (ms); how many."""
        count = 0
        while (found := self._idle_since(before)) is not None:
            guild, ref = found
            if ref is not None and self._stop is not None and self._stop(ref):
                self.forget(guild, ref)
                count += 1
        return count

    def _idle_since(self, before: int) -> tuple[str, Ref | None] | None:
        with self._lock:
            for guild, since in self._idle.items():
                if since > before:
                    return None
                del self._idle[guild]
                return guild, self._refs.get(guild)
        return None

    def leave_unread(self, guild: str) -> None:
        """Its actor ended with work left: whoever is started next under its name reads the store first."""
        with self._lock:
            self._unread.add(guild)

    def read(self, guild: str) -> bool:
        """Whether somebody left it with work; the one who asks takes over. Called by whoever starts it."""
        if guild in self._unread:
            self._unread.discard(guild)
            return True
        return False
