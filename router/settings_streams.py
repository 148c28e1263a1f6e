"""Settings of the event stream, and of whoever reads too slowly."""

from __future__ import annotations

from pydantic import BaseModel, Field


class StreamSettings(BaseModel):
    """A part of ``Settings``."""

    event_log_size: int = Field(10_000, ge=1, le=10_000_000, description="events remembered for readers that come back")
    stream_readers: int = Field(200, ge=0, le=1_000_000, description="readers of the event stream at once")
    stream_buffer: int = Field(1_000, ge=1, le=1_000_000, description="events that wait for one reader; more are a gap")
    stream_heartbeat: float = Field(15.0, gt=0, le=600, description="seconds between signs of life in a quiet stream")
    write_timeout: float = Field(
        10.0, gt=0, le=600, description="seconds in which a peer must take what is sent, or it is cut off"
    )
