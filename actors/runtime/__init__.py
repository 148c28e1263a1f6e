"""Supervised actors on pykka: names that outlive crashes, few threads for many actors, promises for any event loop.

::

    runtime = Runtime()
    runtime.start(SupervisorSpec("root", [ChildSpec("counter", Counter)]))
    runtime.ref("counter").tell(1)
    runtime.stop()
"""

from actors.runtime.actor import Actor
from actors.runtime.clock import Clock, SystemClock, Timer
from actors.runtime.dispatch import Dispatcher, ThreadDispatcher
from actors.runtime.errors import (
    ActorCrashed,
    ActorFenced,
    ActorStopped,
    AlreadyPresent,
    AlreadyStarted,
    AskDeadlock,
    BadSpec,
    ChildError,
    ChildRestarting,
    ChildRunning,
    MailboxFull,
    NameTaken,
    NoSuchActor,
    NoSuchChild,
    NotRunning,
    PoolExhausted,
    RuntimeFault,
    StartError,
    Undelivered,
)
from actors.runtime.mailbox import Mailbox
from actors.runtime.node import Node
from actors.runtime.pooled import PoolDispatcher
from actors.runtime.promise import Promise
from actors.runtime.ref import Ref, Target
from actors.runtime.restart import add_restart
from actors.runtime.runtime import Runtime
from actors.runtime.spec import ChildSpec, SupervisorSpec
from actors.runtime.supervision import ChildCounts, ChildInfo, SupervisorRef

__all__ = [
    "Actor",
    "ActorCrashed",
    "ActorFenced",
    "ActorStopped",
    "AlreadyPresent",
    "AlreadyStarted",
    "AskDeadlock",
    "BadSpec",
    "ChildCounts",
    "ChildError",
    "ChildInfo",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "Clock",
    "Dispatcher",
    "Mailbox",
    "MailboxFull",
    "NameTaken",
    "NoSuchActor",
    "NoSuchChild",
    "Node",
    "NotRunning",
    "PoolDispatcher",
    "PoolExhausted",
    "Promise",
    "Ref",
    "Runtime",
    "RuntimeFault",
    "StartError",
    "SupervisorRef",
    "SupervisorSpec",
    "SystemClock",
    "Target",
    "ThreadDispatcher",
    "Timer",
    "Undelivered",
    "add_restart",
]
