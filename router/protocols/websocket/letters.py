"""What routers write to each other about their bots: the queue of each, the names of entries, and questions.

A router with bots consumes one named queue, ``bots:PLACE``. Places are numbers from 0 that living routers share out
among themselves, for queues are kept for ever and routers are not. An entry in it is an attempt
(``attempt/ID:NUMBER@PLACE``, framed by ``actors.tickets``) or a question whether one happened (``record/ID@ASKER/N``).
The execution that is written down before an attempt leaves names the bot: ``ROUTER/INSTANCE/NAME`` as its worker.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actors.codec import ENVELOPE, decode, pack, unpack
from actors.envelope import Envelope
from actors.errors import EnvelopeError
from actors.outcome import Outcome
from actors.policy.consuming import QueueRules
from actors.scan import scan
from actors.tickets import entry_name
from actors.workers import Execution
from router.protocols import results
from router.protocols.elsewhere import outcome_of

QUEUES = "bots:"
QUESTION = "record/"
VERSION = 1

RULES = QueueRules(concurrency=1_000, attempts=0, lease=600, retention_done=0, retention_failed=0, depth=20_000)
"""Of such a queue. More than a thousand in hand wait where they can still be taken back; a claim lapses soon after its
router died, and how often it may is the asker's to say."""


class Question(NamedTuple):
    """Whether it happened."""

    asker: str
    envelope: Envelope
    name: str = ""  #: of the bot it was sent to; "": nobody knows
    instance: str = ""


def queue_of(place: int) -> str:
    """The named queue of what the bots of the router at this place are to do."""
    return f"{QUEUES}{place}"


def is_place(queue: str) -> bool:
    """Whether this is such a queue, and nobody's own."""
    prefix, place = queue[: len(QUEUES)], queue[len(QUEUES) :]
    return prefix == QUEUES and place.isascii() and place.isdigit()


def attempt_name(id_: str, attempt: int, queue: str) -> str:
    """Of the entry that asks for this attempt in this queue."""
    return f"{entry_name(id_, attempt)}@{queue.removeprefix(QUEUES)}"


def question_name(id_: str, asker: str, number: int | str) -> str:
    """Of the entry that asks whether it happened."""
    return f"{QUESTION}{id_}@{asker}/{number}"


def worker_name(router: str, bot: str, instance: str) -> str:
    """Of an execution by a bot of this router."""
    return f"{router}/{instance.replace('/', '_')}/{bot}"


def bot_of(worker: str) -> tuple[str, str, str]:
    """(router, name, instance); empty where it does not say."""
    router, _, rest = worker.partition("/")
    instance, _, name = rest.partition("/")
    return router, name, instance


def begun_before(known: Execution | None, entry: str) -> Outcome | None:
    """What can be said of an attempt that somebody had in hand before: his word, or a doubt; ``None``: not begun."""
    if known is None or known.entry != entry:
        return None
    if known.ended_at:
        return outcome_of(known)
    _, bot, _ = bot_of(known.worker)
    return results.in_doubt("connection_lost", f"its router went away, and bot {bot} may have it")


def encode_question(question: Question, frame: bytes) -> bytes:
    """``[1, asker, name, instance, envelope frame]``."""
    return pack((VERSION, question.asker, question.name, question.instance, frame))


def decode_question(data: bytes) -> Question:
    """The question that was encoded; raises ``EnvelopeError`` for anything else, and for another version."""
    scan(data, ENVELOPE, "question")
    fields: Any = unpack(data)
    if type(fields) is not list or len(fields) < 5 or fields[0] != VERSION:
        raise EnvelopeError(f"not a question of version {VERSION}", field="version")
    _, asker, name, instance, frame = fields[:5]
    if not all(type(each) is str for each in (asker, name, instance)) or type(frame) is not bytes:
        raise EnvelopeError("not a question", field="question")
    return Question(asker, decode(frame), name, instance)
