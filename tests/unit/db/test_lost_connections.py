"""What the event loop tells of futures that nobody waits for any more."""

from __future__ import annotations

import asyncio
import logging
import socket

import asyncpg
import pytest

from smartdorf.db.pool import hush_lost_connections


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"), False),
        (socket.gaierror(-3, "Temporary failure in name resolution"), False),
        (RuntimeError("a mistake of ours"), True),
    ],
)
def test_what_somebody_was_told_already_is_not_shown_again(
    error: Exception, *, shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    hush_lost_connections(loop)
    with caplog.at_level(logging.ERROR):
        loop.call_exception_handler({"message": "Future exception was never retrieved", "exception": error})
    loop.close()
    assert bool(caplog.records) is shown
