"""What operators may ask of a static supervisor; methods of ``Supervisor``, kept apart because they are another trade.

Each answers its promise now or leaves it with the child, to be answered when the child is up or down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.runtime.children import DOWN, STARTING, STOPPING, UP, Child
from actors.runtime.errors import (
    ActorStopped,
    AlreadyPresent,
    AlreadyStarted,
    ChildRestarting,
    ChildRunning,
    NoSuchChild,
)
from actors.runtime.promise import Promise
from actors.runtime.spec import ChildSpec, SupervisorSpec

if TYPE_CHECKING:
    from actors.runtime.supervisor import Supervisor


def start(supervisor: Supervisor, spec: ChildSpec | SupervisorSpec, promise: Promise[Any]) -> None:
    """``SupervisorRef.start_child``."""
    if supervisor._phase == "stopping":
        raise ActorStopped(supervisor.spec.id)
    supervisor.runtime.check(spec, supervisor.spec.auto_shutdown)
    child = supervisor._children.get(spec.id)
    if child is not None:
        wanted = child.want or child.alive
        raise AlreadyStarted(spec.id, child.cell.ref) if wanted else AlreadyPresent(spec.id, child.cell.ref)
    supervisor._add(spec, own=False).starting.append(promise)


def terminate(supervisor: Supervisor, name: str, promise: Promise[Any]) -> None:
    """``SupervisorRef.terminate_child``."""
    child = _known(supervisor, name)
    child.want = child.bounce = False
    child.halted = True
    child.remove = child.remove or child.cell.spec.restart == "temporary"
    supervisor._cancel_delay(child)
    child.stopping.append(promise)
    if child.state == DOWN:
        supervisor._settle(child)
    elif child.state == STOPPING:
        child.cell.mailbox.closed = True
    else:
        supervisor._children.to_stop(child)


def restart(supervisor: Supervisor, name: str, promise: Promise[Any]) -> None:
    """``SupervisorRef.restart_child``."""
    child = _known(supervisor, name)
    _must_be_stopped(child)
    _revive(supervisor, child, promise)


def delete(supervisor: Supervisor, name: str, promise: Promise[Any]) -> None:
    """``SupervisorRef.delete_child``."""
    child = _known(supervisor, name)
    _must_be_stopped(child)
    supervisor._drop(child)
    promise.offer(None)


def bounce(supervisor: Supervisor, name: str, promise: Promise[Any]) -> None:
    """``SupervisorRef.bounce_child``."""
    child = _known(supervisor, name)
    if child.state == DOWN and not child.want:
        _revive(supervisor, child, promise)
        return
    child.starting.append(promise)
    if child.state in (STARTING, UP):
        child.bounce = True
        supervisor._children.to_stop(child)


def _revive(supervisor: Supervisor, child: Child, promise: Promise[Any]) -> None:
    if supervisor._phase == "stopping":
        raise ActorStopped(supervisor.spec.id)
    child.want = True
    child.started_before = False  # a failure is told to the operator, and nothing is retried
    child.starting.append(promise)
    child.cell.mailbox.reopen()
    supervisor._children.to_start(child)


def _known(supervisor: Supervisor, name: str) -> Child:
    child = supervisor._children.get(name)
    if child is None:
        raise NoSuchChild(name)
    return child


def _must_be_stopped(child: Child) -> None:
    if child.alive:
        raise ChildRunning(child.cell.name, child.cell.ref)
    if child.want:
        raise ChildRestarting(child.cell.name, child.cell.ref)
