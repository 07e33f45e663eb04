"""Health, readiness and metrics over HTTP. Knows how to say it, and nothing of where it comes from.

Every error has one shape: ``{"error": {"status": 404, "message": "…"}}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from aiohttp import web

from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.metrics import CONTENT_TYPE, Metrics

log = structlog.get_logger(__name__)

SHUTDOWN_TIMEOUT = 3.0  # seconds for requests under way
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "smartdorf",
}


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the service can do its work right now."""

    database: bool  # it answers
    writer: bool  # we hold its writer lock
    rules: bool  # loaded without an error that stops them
    disconnected: Mapping[str, str] = field(default_factory=dict)  # source → why


class Health(Protocol):
    def readiness(self) -> Readiness:
        """The state as it is known now; asks nobody, so that a hanging database cannot hang the answer."""


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def reasons(state: Readiness) -> list[str]:
    """Why the service is not ready, in plain words; empty: it is."""
    found = []
    if not state.database:
        found.append(_("the database does not answer"))
    elif not state.writer:
        found.append(_("another instance is the writer of this database"))
    if not state.rules:
        found.append(_("the rules are not loaded"))
    for source, why in state.disconnected.items():
        found.append(_("source {source} is not connected: {why}").format(source=source, why=why))
    return found


def make_app(health: Health, metrics: Metrics) -> web.Application:
    """The application without a socket."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        found = reasons(health.readiness())
        status = 503 if found else 200
        return web.json_response(
            {"status": "not ready" if found else "ready", "reasons": found}, status=status
        )

    async def scrape(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(middlewares=[_errors])
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    return app


@asynccontextmanager
async def open_web(health: Health, metrics: Metrics, host: str, port: int) -> AsyncIterator[WebServer]:
    """Serve on ``host:port`` (0: any free port) as long as the context lasts."""
    runner = web.AppRunner(
        make_app(health, metrics), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            message = _(
                "The web server cannot listen on {host}:{port}: {error}. Change [web] in smartdorf.toml."
            )
            raise UsageError(message.format(host=host, port=port, error=error.strerror or error)) from error
        yield WebServer(host, runner.addresses[0][1])
    finally:
        await runner.cleanup()


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPException as error:
        return _error(
            error.status, error.reason, {"Allow": error.headers["Allow"]} if error.status == 405 else {}
        )
    except Exception:
        log.exception("request failed", path=request.path)
        return _error(500, "Internal Server Error", {})
    return response


def _error(status: int, message: str, headers: Mapping[str, str]) -> web.Response:
    return web.json_response(
        {"error": {"status": status, "message": message}}, status=status, headers=dict(headers)
    )


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
