"""The application: one router behind one door."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from actors.errors import EngineError
from router.errors import RouterError
from router.http import (
    admin,
    audit,
    cluster,
    commands,
    dead_letters,
    events,
    health,
    metrics,
    queues,
    schedules,
    stream,
)
from router.http.docs import add_docs
from router.http.door import Door
from router.http.openapi import describe
from router.http.problems import problem_of
from router.http.sockets.registry import Sockets, not_upgraded, serve
from router.router import Router
from router.settings import Settings
from router.version import package_version

MODULES = (commands, events, stream, health, metrics, queues, dead_letters, admin, audit, cluster, schedules)
ABOUT = """A command router for bots in many guilds: once, in order, over whichever protocol is open.

Ids are strings, times are milliseconds since the epoch, keys are camelCase (snake_case is accepted).
Errors are `application/problem+json` with a stable `code`; `retryAfter` is in milliseconds.
"""


def create_app(router: Router, settings: Settings | None = None) -> FastAPI:
    """An ASGI application over a router that is started and stopped by somebody else."""
    settings = settings or router.settings
    app = FastAPI(
        title="guild-router",
        version=package_version(),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.router = router
    app.state.settings = settings
    app.state.draining = False
    router.hub.log(settings.event_log_size)  # from the start: a reader that comes back finds what it missed
    app.state.sockets = Sockets(router, settings)
    app.add_middleware(Door, settings=settings)
    for kind in (HTTPException, RequestValidationError, EngineError, RouterError):
        app.add_exception_handler(kind, _answer)
    for module in MODULES:
        app.include_router(module.routes)
    app.router.routes += [WebSocketRoute("/ws", serve), Route("/ws", not_upgraded, methods=["GET"])]
    add_docs(app)
    app.openapi = lambda: describe(app, router.catalog)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


async def _answer(request: Request, error: Exception) -> Response:
    return problem_of(error).response(request.scope["state"]["request_id"])
