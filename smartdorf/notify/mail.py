"""Mail, SMS gateways, Matrix, Teams, ntfy and a hundred more through Apprise. The only module that knows it.

Apprise blocks, so each receiver has threads of its own: a mail server that hangs holds these and nothing else.
Apprise ends a call by its sockets' timeouts (15 s). Its ``timeout`` argument is not used: it would run all
receivers' calls in one small pool, where one that hangs holds up the others.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from smartdorf.errors import UsageError
from smartdorf.i18n import gettext as _
from smartdorf.notify.message import body, footer, subject
from smartdorf.notify.receiver import DeliveryError, Notification, PartlyToldError

if TYPE_CHECKING:
    from apprise import AppriseResult

_THREADS = 4  # per address; as many notifications are under way at once
_REMEMBERED = 1000  # notifications that are partly told


@dataclass(frozen=True)
class MailReceiver:
    """Tells every address of ``urls`` (Apprise's notation, one recipient each).

    An address that was told is not told again when another one has to be tried again; only a restart in
    between forgets that. Raises UsageError for a URL that is none.
    """

    name: str
    urls: tuple[str, ...] = field(repr=False)  # with passwords
    language: str = "de"
    _told: dict[int, set[str]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _under_way: dict[tuple[int, str], asyncio.Future[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _threads: ThreadPoolExecutor = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError(_('Receiver "{name}" has no address.').format(name=self.name))
        for url in self.urls:
            _check(self.name, url)
        threads = ThreadPoolExecutor(_THREADS * len(self.urls), thread_name_prefix=f"notify {self.name}")
        object.__setattr__(self, "_threads", threads)  # frozen; set once, here

    async def send(self, message: Notification) -> str:
        told = self._told.setdefault(message.id, set())
        left = [url for url in self.urls if url not in told]
        answers = await asyncio.gather(*(self._tell(url, message, told) for url in left))
        reasons = [reason for reason in answers if reason]
        if reasons and told:
            if len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
            part = _("{told} of {all} addresses told").format(told=len(told), all=len(self.urls))
            raise PartlyToldError("; ".join([part, *reasons]))
        self._told.pop(message.id, None)
        if reasons:
            raise DeliveryError("; ".join(reasons))
        return _("told {count} address(es)").format(count=len(self.urls))

    async def _tell(self, url: str, message: Notification, told: set[str]) -> str:
        """Empty, or why it failed."""
        key = (message.id, url)
        if key not in self._under_way:
            call = asyncio.get_running_loop().run_in_executor(self._threads, _notify, url, message)
            self._under_way[key] = call
            call.add_done_callback(partial(self._done, key, told))
        # a thread cannot be stopped: where we are, the next attempt waits for the same call
        return await asyncio.shield(self._under_way[key])

    def _done(self, key: tuple[int, str], told: set[str], call: asyncio.Future[str]) -> None:
        """Remembers who was told, also when nobody waits for the call any more."""
        del self._under_way[key]
        if not call.cancelled() and call.exception() is None and not call.result():
            told.add(key[1])


def _check(name: str, url: str) -> None:
    # imported where it is used: with its plugins it costs 25 MB, which a village without mail keeps
    from apprise import Apprise  # noqa: PLC0415

    # what it logs comes back with each result and is said once, by us
    apprise_log = logging.getLogger("apprise")
    apprise_log.propagate = False
    apprise_log.setLevel(logging.DEBUG)
    scheme, separator, _rest = url.partition("://")
    if not separator:  # the line may be a password
        advice = _('Receiver "{name}": a line of its file is no Apprise URL; expected e.g. mailtos://…')
        raise UsageError(advice.format(name=name))
    with warnings.catch_warnings():
        # a plugin imports a module that Python 3.13 no longer has, and copes
        warnings.simplefilter("ignore", DeprecationWarning)
        service = Apprise.instantiate(url)
    if service is None:
        message = _('Receiver "{name}": Apprise does not understand the URL {scheme}://…')
        raise UsageError(message.format(name=name, scheme=scheme))
    if len(service) > 1:
        message = _(
            'Receiver "{name}": the URL {scheme}://… names {count} recipients; write one URL for each, '
            "so that one bad address repeats nothing for the others"
        )
        raise UsageError(message.format(name=name, scheme=scheme, count=len(service)))


def _notify(url: str, message: Notification) -> str:
    """Blocks. Empty, or why it failed."""
    from apprise import Apprise, NotifyFormat, NotifyType  # noqa: PLC0415 - see _check

    if message.kind in ("eased", "resolved"):
        kind = NotifyType.SUCCESS
    elif message.kind == "listed":
        kind = NotifyType.INFO
    else:
        kind = NotifyType.FAILURE if message.severity == "critical" else NotifyType.WARNING
    text = f"{body(message)}\n\n-- \n{footer(message)}\n"
    # made anew each time: an instance that is kept would throttle, and hold up the second alert
    service = Apprise()
    service.add(url)
    with service.notify(
        text,
        subject(message),
        notify_type=kind,
        body_format=NotifyFormat.TEXT,
        # the mail plugin keeps the server's words for debugging; those of other plugins may hold tokens
        log_level=logging.DEBUG if url.startswith("mailto") else logging.WARNING,
    ) as result:
        return "" if result else _reason(result)


def _reason(result: AppriseResult) -> str:
    """Apprise says only that it failed; why is in what it logged meanwhile."""
    lines = [
        entry.message
        for entry in result.logs()
        if entry.level in ("WARNING", "ERROR") or "Exception" in entry.message
    ]
    return " ".join(lines) or _("failed without a reason")
