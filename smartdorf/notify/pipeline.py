"""From the outbox to the receivers: every waiting row is told, tried again, or given up with a reason.

Each receiver has a task of its own, so a dead mail server holds up nobody else. A row is told at least once:
what was under way when the process died is told again, under the same id. The process is the only one that
reads the outbox (it is the writer), so rows need no lock.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import asyncpg
import structlog

from smartdorf.clock import Clock
from smartdorf.db import alerts, outbox
from smartdorf.db.outbox import Hush
from smartdorf.errors import DatabaseUnavailableError
from smartdorf.i18n import gettext as _
from smartdorf.metrics import Metrics
from smartdorf.notify.log import MissingReceiver
from smartdorf.notify.parcels import WITHIN, Parcel, message_of, parcels, reason_to_skip
from smartdorf.notify.receiver import DeliveryError, PartlyToldError, Receiver, RefusedError

log = structlog.get_logger(__name__)

PARALLEL = 4  # messages under way to one receiver
LOOK = 250  # notifications that are looked at together
SEND_TIMEOUT = 60.0  # seconds; receivers have shorter ones of their own
FIRST_RETRY = 10.0  # seconds
LONGEST_RETRY = 900.0  # seconds
LONGEST_WISH = 3600.0  # seconds that a receiver may ask us to wait
# Ten seconds, doubled up to a quarter of an hour: 200 attempts are two days, 10 are one hour.
MAX_ATTEMPTS = 200
MAX_PARTLY_TOLD = 10
RESULT_LENGTH = 300


def retry_delay(attempts: int, jitter: float, wish: float = 0.0) -> timedelta:
    """How long to wait after the ``attempts``-th failed attempt. ``jitter`` is 0…1 and moves it by ± 20 %."""
    # 2 ** 10 is past the cap already
    seconds = min(FIRST_RETRY * 2 ** min(attempts - 1, 10), LONGEST_RETRY) * (0.8 + 0.4 * jitter)
    return timedelta(seconds=max(seconds, min(wish, LONGEST_WISH)))


@dataclass(frozen=True)
class _Desk:
    """The work for one receiver; ``receiver`` None: for all those that the settings do not have."""

    receiver: Receiver | None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.receiver.name if self.receiver else "unknown receivers"


class Notifier:
    """Delivers the outbox until stopped."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        receivers: Iterable[Receiver],
        *,
        clock: Clock,
        caught_up: Callable[[], bool],
        waiting: Callable[[datetime], Mapping[str, datetime] | None] = lambda _now: {},
        metrics: Metrics,
        base_url: str | None = None,
        poll_seconds: float = 5.0,
        grace_seconds: float = 6.0,  # less than the service has for everything
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._caught_up = caught_up
        self._waiting = (
            waiting  # rules of which nothing may be told at a time, and from when on; None: unknown
        )
        self._metrics = metrics
        self._base_url = base_url
        self._poll = poll_seconds
        self._grace = grace_seconds
        self._jitter = jitter
        self._desks = [*(_Desk(receiver) for receiver in receivers), _Desk(None)]
        self._known: Collection[str] = [desk.receiver.name for desk in self._desks if desk.receiver]
        self._stop = asyncio.Event()
        self._database_lost = False
        for name in self._known:
            metrics.watch_receiver(name)

    def wake(self) -> None:
        """There may be something to tell: look at once instead of at the next poll."""
        for desk in self._desks:
            desk.wake.set()

    def stop(self) -> None:
        """Take nothing new; ``run`` returns once what is under way has ended, or the grace time is over."""
        self._stop.set()
        self.wake()

    async def run(self) -> None:
        """Deliver until ``stop``. Cancelling ends it at once; what was under way is told again later."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._serve(desk), name=f"notify {desk.name}") for desk in self._desks]
            tasks.append(group.create_task(self._count(), name="notify count"))
            tasks.append(group.create_task(self._release(), name="notify after silences"))
            await self._stop.wait()
            _done, late = await asyncio.wait(tasks, timeout=self._grace)
            for task in late:
                log.warning(
                    "receiver still busy at shutdown; told again after the start", task=task.get_name()
                )
                task.cancel()

    async def _serve(self, desk: _Desk) -> None:
        while not self._stop.is_set():
            desk.wake.clear()
            due = await self._due(desk)
            async with asyncio.TaskGroup() as group:
                for parcel in due:
                    name = f"notify {parcel[0].receiver} {parcel[0].id}"
                    group.create_task(self._deliver(desk, parcel), name=name)
            if not due:
                await _wait(desk.wake, self._poll)

    async def _due(self, desk: _Desk) -> list[Parcel]:
        name, now = desk.receiver.name if desk.receiver else None, self._clock.now()
        try:
            rows = await outbox.fetch_due(
                self._pool,
                now,
                receiver=name,
                except_receivers=() if desk.receiver else self._known,
                with_stale=self._caught_up(),
                limit=LOOK,
            )
            lately = await outbox.count_lately(self._pool, now - WITHIN, name) if rows else {}
        except DatabaseUnavailableError as error:
            if not self._database_lost:
                log.warning("notifications wait for the database", error=str(error))
            self._database_lost = True
            return []
        self._database_lost = False
        return list(islice(parcels(rows, lately, now, LOOK), PARALLEL))

    async def _deliver(self, desk: _Desk, parcel: Parcel) -> None:
        row = parcel[0]
        if reason := reason_to_skip(row):
            await self._finish(parcel, "skipped", row.attempts, reason, row.silence)
            return
        try:
            number = row.summary_id or (await self._put_together(parcel) if len(parcel) > 1 else row.id)
        except DatabaseUnavailableError:
            return  # the next look finds them again
        receiver = desk.receiver or MissingReceiver(row.receiver, self._known)
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                answer = await receiver.send(message_of(parcel, number, receiver.language, self._base_url))
        except RefusedError as error:
            await self._finish(parcel, "failed", row.attempts + 1, str(error))
        except PartlyToldError as error:
            if row.attempts + 1 >= MAX_PARTLY_TOLD:
                await self._finish(parcel, "sent", row.attempts + 1, str(error))
            else:
                await self._try_again(parcel, error)
        except DeliveryError as error:
            await self._try_again(parcel, error)
        except TimeoutError:
            await self._try_again(parcel, DeliveryError(_("the receiver hung")))
        except Exception as error:
            # a receiver's mistake must not end the service, nor lose the message
            log.exception("receiver failed unexpectedly", receiver=row.receiver)
            await self._try_again(parcel, DeliveryError(f"{type(error).__name__}: {error}"))
        else:
            await self._finish(parcel, "sent", row.attempts + 1, answer)

    async def _put_together(self, parcel: Parcel) -> int:
        return await outbox.put_together(self._pool, [row.id for row in parcel])

    async def _try_again(self, parcel: Parcel, error: DeliveryError) -> None:
        attempts, ids = parcel[0].attempts + 1, [row.id for row in parcel]
        if attempts >= MAX_ATTEMPTS:
            await self._finish(parcel, "failed", attempts, str(error))
            return
        delay = retry_delay(attempts, self._jitter(), error.retry_after)
        next_attempt_at = self._clock.now() + delay
        result = _short(_in_company(parcel, str(error)))
        await self._record(partial(outbox.postpone, self._pool, ids, attempts, result, next_attempt_at))
        for row in parcel:
            self._metrics.count_notification(row.receiver, "retried")
            log.warning(
                "notification not delivered, will be tried again",
                receiver=row.receiver,
                alert_id=row.alert_id,
                attempt=attempts,
                in_seconds=round(delay.total_seconds()),
                reason=result,
            )

    async def _finish(
        self,
        parcel: Parcel,
        outcome: outbox.Outcome,
        attempts: int,
        result: str,
        silence: Hush | None = None,
    ) -> None:
        """All rows of a message in one statement: it was told, or it was not."""
        result, ids = _short(_in_company(parcel, result)), [row.id for row in parcel]
        number = silence.id if silence is not None else None
        await self._record(
            partial(outbox.finish, self._pool, ids, outcome, attempts, result, self._clock.now(), number)
        )
        say = log.error if outcome == "failed" else log.info
        for row in parcel:
            self._metrics.count_notification(row.receiver, outcome)
            say(
                f"notification {outcome}",
                receiver=row.receiver,
                alert_id=row.alert_id,
                rule=row.rule,
                kind=row.kind,
                attempts=attempts,
                result=result,
            )

    async def _record(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until the database has it: forgetting it would tell people twice."""
        while True:
            try:
                await write()
            except DatabaseUnavailableError:
                await asyncio.sleep(self._poll)
            else:
                return

    async def _release(self) -> None:
        """What a silence held back is told once it is over."""
        while not self._stop.is_set():
            try:
                now = self._clock.now()
                waiting = self._waiting(now)
                if waiting is not None and await outbox.release(self._pool, now, waiting):
                    self.wake()
            except DatabaseUnavailableError:
                pass  # the tasks beside this one say so
            await _wait(self._stop, self._poll)

    async def _count(self) -> None:
        """Keep the gauges that only the database knows."""
        while not self._stop.is_set():
            try:
                self._metrics.show_waiting(await outbox.count_waiting(self._pool, self._clock.now()))
                self._metrics.show_firing(await alerts.count_firing(self._pool))
            except DatabaseUnavailableError:
                pass  # the tasks beside this one say so; the last known numbers stay
            await _wait(self._stop, self._poll)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _in_company(parcel: Parcel, result: str) -> str:
    if len(parcel) == 1:
        return result
    text = _("in one message with {count} others: {result}")
    return text.format(count=len(parcel) - 1, result=result)


def _short(text: str) -> str:
    """One line that PostgreSQL takes: a receiver's answer may hold anything, NUL included."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:RESULT_LENGTH]
