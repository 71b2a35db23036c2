"""The floor of every list: a WSGI application that sends ready-made bytes, whatever it is asked."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Start = Callable[[str, list[tuple[str, str]]], Any]


def main(_global: Any, *, body_file: str, content_type: str) -> Callable[..., Iterable[bytes]]:
    """For ``paste.app_factory``, so that pserve serves it as it serves cloudweb."""
    body = Path(body_file).read_bytes()
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]

    def app(_environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [body]

    return app
