"""Settings of limits: how much at once, how much in a time, and when this process counts as full."""

from __future__ import annotations

from pydantic import BaseModel, Field

from router.settings_tables import Count, Ms


class LimitSettings(BaseModel):
    """A part of ``Settings``."""

    max_backlog: Count = Field(100_000, description="unsettled commands in this router")
    guild_backlog: Count = Field(10_000, description="unsettled commands of one guild")
    user_backlog: int = Field(0, ge=0, le=100_000_000, description="unsettled commands of one acting user; 0: no bound")
    router_rate: int = Field(0, ge=0, le=100_000_000, description="commands per second this router takes; 0: no bound")
    guild_rate: int = Field(
        0, ge=0, le=1_000_000, description="commands per second of one guild, over all routers; 0: no bound"
    )
    user_rate: int = Field(
        0, ge=0, le=1_000_000, description="commands per second of one acting user, over all routers; 0: no bound"
    )
    memory_limit_mb: int = Field(
        0,
        ge=0,
        le=100_000_000,
        description="resident memory at which nothing more is taken; 0: 9/10 of the container's",
    )
    lag_limit_ms: Ms = Field(2_000, description="lateness of actors or the event loop at which nothing more is taken")
