"""Pages of other sites may not act through a visitor's browser, and no foreign name may point at our loopback."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from router.http.problems import HttpProblem
from router.settings_values import is_loopback

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


def check_origin(method: str, headers: Mapping[bytes, bytes], allowed: Collection[str]) -> None:
    """Refuse a change of state that a browser sends for another site's page.

    Browsers say so in ``Sec-Fetch-Site`` or ``Origin``; other clients send neither.
    """
    if method in SAFE_METHODS:
        return
    origin = headers.get(b"origin", b"").decode("latin-1")
    if origin and origin in allowed:
        return
    site = headers.get(b"sec-fetch-site", b"").decode("latin-1")
    own = urlsplit(origin).netloc.lower() == headers.get(b"host", b"").decode("latin-1").lower() if origin else True
    if site not in ("", "same-origin", "none") or not own:
        raise HttpProblem(403, "cross_site", "Pages of other sites may not change anything here.", retryable=False)


def check_host(headers: Mapping[bytes, bytes], known: Collection[str]) -> None:
    """Refuse a request without a token for a name that is not ours (DNS rebinding)."""
    host = headers.get(b"host", b"").decode("latin-1")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if not is_loopback(name) and name not in known:
        raise HttpProblem(403, "unknown_host", "This host name is not one of ours.", retryable=False)
