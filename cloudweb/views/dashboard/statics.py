"""The dashboard's files under ``/static``, and the headers that keep its pages to themselves."""

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyramid.config import Configurator
from pyramid.path import AssetResolver
from pyramid.registry import Registry
from pyramid.request import Request
from pyramid.response import Response
from pyramid.static import QueryStringCacheBuster
from pyramid.tweens import INGRESS

from cloudweb.security import is_page

_YEAR_S = 31_536_000

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class ContentHash(QueryStringCacheBuster):
    """Puts a hash of the file into its address, so that a changed file is another address."""

    def __init__(self) -> None:
        super().__init__("v")
        self._assets = AssetResolver()

    def tokenize(self, request: Request, pathspec: str, kw: dict[str, Any]) -> str:
        path = Path(self._assets.resolve(kw["pathspec"]).abspath())
        return _digest(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=100)
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def protect(
    handler: Callable[[Request], Response], registry: Registry
) -> Callable[[Request], Response]:
    """Gives each page and file its security headers, error pages too; pages are never stored."""

    secure = registry["cloudweb.settings"].session_cookie_secure

    def tween(request: Request) -> Response:
        response = handler(request)
        if secure:
            response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_S}"
        path = request.environ.get("PATH_INFO", "")
        if is_page(path) or path.startswith("/static/"):
            response.headers.update(_HEADERS)
        if is_page(path):
            response.headers["Cache-Control"] = "no-store"
            response.headers["Vary"] = "Cookie, HX-Request"
        return response

    return tween


def includeme(config: Configurator) -> None:
    """Serve the files, far-future; put the headers outermost."""
    config.add_static_view("static", "cloudweb:static", cache_max_age=_YEAR_S)
    config.add_cache_buster("cloudweb:static", ContentHash())
    config.add_tween(
        "cloudweb.views.dashboard.statics.protect", under=INGRESS, over="cloudweb.tweens.front"
    )
