"""The explorer's server: static files and JSON on 127.0.0.1, for one person at this machine.

A record holds texts of a model, which are hostile, and prompts, which may be private. So: only requests that name this host
are answered (a page elsewhere cannot reach it under a name of its own), nothing but GET is known, and the page may load
scripts, styles and data from here alone.
"""

from __future__ import annotations

import errno
import json
import socket
from importlib.resources import files
from typing import Any

from awpo_ext.explorer.api import Explorer
from reward_models.errors import UserError

HOST = "127.0.0.1"
BACKLOG = 128  # connections that wait
HOSTS = (HOST, "localhost")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = files("awpo_ext.explorer") / "static"


def make_app(explorer: Explorer) -> Any:
    """The ASGI application."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response
    from starlette.routing import Mount, Route
    from starlette.staticfiles import StaticFiles

    def page(request: Request) -> Response:
        return FileResponse(str(STATIC / "index.html"))

    def answer(request: Request) -> Response:
        asked, given = request.path_params["what"], request.query_params
        try:
            run = int(given.get("run", 0))
            if asked == "runs":
                return _json(explorer.runs())
            if asked not in ("metrics", "rows", "rollout", "search") or not 0 <= run < len(explorer.names):
                return _json({"error": "no such thing"}, 404)
            if asked == "rows":
                body = explorer.rows(run, int(given.get("from", 0)), int(given.get("generation", -1)))
                return Response(body, media_type="application/octet-stream")
            if asked == "metrics":
                return _json(explorer.metrics(run))
            if asked == "search":
                return _json(explorer.search(run, given.get("text", "")))
            return _json(
                explorer.rollout(
                    run, int(given.get("row", -1)), int(given["generation"]) if "generation" in given else None
                )
            )
        except IndexError as error:
            return _json({"error": str(error)}, 404)
        except (UserError, ValueError, OSError) as error:
            return _json({"error": str(error)}, 400)

    def _json(value: Any, status: int = 200) -> Response:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return Response(text, status, media_type="application/json")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/api/{what}", answer),
            Mount("/static", StaticFiles(directory=str(STATIC))),
        ],
        middleware=[Middleware(_Headers), Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
    )


class _Headers:
    """Adds `HEADERS` to every answer, errors included."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(key.lower().encode(), value.encode()) for key, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        await self.app(scope, receive, with_headers)


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1; port 0 takes any that is free. UserError where the port is in use.

    It listens already: a browser that comes before the server has started waits for it, and the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise UserError(
                f"port {port} is in use or not allowed; give another with --port, or --port 0 for any"
            ) from None
        raise
    return listener


def serve(explorer: Explorer, listener: socket.socket) -> None:
    """Answer until Ctrl-C."""
    import uvicorn

    config = uvicorn.Config(make_app(explorer), log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])
