"""The router over HTTP."""

from router.http.app import create_app

__all__ = ["create_app"]
