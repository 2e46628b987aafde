"""Pages in browsers: which of them may ask, and how a browser is told so (CORS)."""

from __future__ import annotations

import re

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

# Served by this machine, or the windows of an app on it.
_HERE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?|(app|tauri|vscode-webview)://.*")
_FOR_CLIENTS = ("/v1/", "/tokenize", "/detokenize")


def is_from_here(origin: str) -> bool:
    return _HERE.fullmatch(origin) is not None


class Pages:
    """In front of an app. With a key any page may ask: it cannot know the key unless its user typed it in. Without one, pages from here.

    Only what is for clients is opened to them: a page elsewhere learns nothing from health and metrics.
    """

    def __init__(self, app: ASGIApp, has_key: bool):
        self._closed = app
        self._open = CORSMiddleware(
            app,
            allow_origins=("*",) if has_key else (),
            allow_origin_regex=None if has_key else _HERE.pattern,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=("retry-after", "x-request-id"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_for_clients = scope["type"] == "http" and scope["path"].startswith(_FOR_CLIENTS)
        await (self._open if is_for_clients else self._closed)(scope, receive, send)
