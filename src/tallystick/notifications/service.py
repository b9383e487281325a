"""Mails: queued once in the transaction of their cause, sent later by whichever worker comes first.

Delivery is at least once: a worker that dies between the server's "250" and our mark leaves a lease behind, and
another one sends the mail again, under the same Message-ID.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from tallystick.core.clock import Clock
from tallystick.core.ids import new_id
from tallystick.core.points import reach
from tallystick.notifications.addresses import InvalidAddress, Sender, parse_recipient, printable
from tallystick.notifications.alerts import ALERT_PREFIX, alert_context
from tallystick.notifications.locales import Catalogue, TextError
from tallystick.notifications.models import (
    TEMPLATES,
    Mail,
    MailRequest,
    MailState,
    NewMail,
    RenderedMail,
    UnknownTemplate,
)
from tallystick.notifications.outage import Outage
from tallystick.notifications.repository import MAIL_CHANNEL, MailRepository
from tallystick.notifications.silence import ReadMark, is_silent, no_mark
from tallystick.platform.database import WEATHER, Database, Record, Transaction
from tallystick.platform.mail import MailDelayed, MailRejected
from tallystick.platform.settings import Settings
from tallystick.platform.telemetry import note_mail
from tallystick.platform.tracing import Span, here, span
from tallystick.platform.work import Queue, WorkItem, backoff, enqueue, run_queue

if TYPE_CHECKING:
    from tallystick.notifications.rendering import Renderer

__all__ = ["MailTransport", "NotificationService", "StillHolds"]

log = structlog.get_logger()

# A check and a send together stay under the queue's lease of 60 s, or another worker would send it too.
_CHECK_TIMEOUT_S = 20
_MARK_TIMEOUT_S = 10
_CONCURRENCY = 4
# 30 s, doubling up to 6 h: the twentieth failure comes about three days after the first.
_MAX_ATTEMPTS = 20
_FIRST_DELAY = timedelta(seconds=30)
_MOST_DELAY = timedelta(hours=6)
_STAFF_ALERT = "staff_alert"

StillHolds = Callable[[Mapping[str, Any]], Awaitable[bool]]
"""Given a mail's context: whether what it says is still so."""


class MailTransport(Protocol):
    """What hands a message to a mail server; `platform.mail.SmtpTransport` is the one there is."""

    async def send(self, message: EmailMessage) -> None:
        """Hand it in; raises MailRejected or MailDelayed."""

    async def close(self) -> None:
        """Let go of open connections."""


class NotificationService:
    """The outbox and its sender.

    `transport` is None where no SMTP_URL is set: mails are queued and wait. Raises ValueError, naming the
    setting, when MAIL_FROM, ADMIN_EMAIL, MAILS_DISABLED or MAIL_TEMPLATES_DIR cannot be used.
    """

    def __init__(self, database: Database, clock: Clock, settings: Settings, transport: MailTransport | None) -> None:
        self._database = database
        self._clock = clock
        self._transport = transport
        self._sender = Sender.parse(settings.mail_from, settings.public_url)
        self._default_locale = settings.mail_locale
        self._admin = _administrator(settings)
        self._disabled = _disabled(settings)
        self._templates_dir = settings.mail_templates_dir
        self._catalogue = _catalogue(self._templates_dir)
        self._repository = MailRepository()
        self._outage = Outage(clock)
        self._queue = _PatientQueue(database, clock, self._outage)
        self._checks: dict[str, StillHolds] = {}
        self._read_mark: ReadMark = no_mark

    def register_check(self, template: str, still_holds: StillHolds) -> None:
        """Ask `still_holds` before a mail of this kind is sent, outside any transaction; False supersedes it.

        Raises UnknownTemplate.
        """
        self._known(template)
        self._checks[template] = still_holds

    def tell_from(self, mark: ReadMark) -> None:
        """Queue no mail that tells of what happened before the mark."""
        self._read_mark = mark

    async def queue_mails(self, tx: Transaction, requests: Sequence[MailRequest]) -> None:
        """Store mails in the caller's transaction; those whose business key is taken are left alone.

        A mail that is switched off, that is told in silence, or whose recipient cannot be an address, is stored as such
        and takes its key. Raises UnknownTemplate.
        """
        if requests:
            mark = await self._read_mark(tx)
            mails = [self._new(request, silent=is_silent() or _before(request, mark)) for request in requests]
            await self._repository.insert(tx, mails, self._clock.now())

    async def alert(self, item: WorkItem) -> None:
        """Tell the administrator (ADMIN_EMAIL) about a work item of a kind `alert.*`; without one, the log."""
        if not self._admin:
            log.warning("alert.no_admin", kind=item.kind, key=item.business_key)
            return
        request = MailRequest(
            business_key=item.business_key,
            template=_STAFF_ALERT,
            recipient=self._admin,
            locale=None,
            context=alert_context(item.kind, item.payload),
            user_id=None,
            due_at=self._clock.now(),
        )
        async with self._database.transaction() as tx:
            await self.queue_mails(tx, [request])

    async def run(self, stop: asyncio.Event) -> None:
        """Send what is due until `stop`."""
        if self._transport is None:
            log.warning("mail.no_server", hint="SMTP_URL is not set; mails are queued and wait")
            await stop.wait()
            return
        for problem in self.check_templates() if self._templates_dir else ():
            log.error("mail.template_broken", problem=problem)
        wake = asyncio.Event()
        listener = asyncio.create_task(self._database.listen(MAIL_CHANNEL, wake.set, stop))
        try:
            await run_queue(self._queue, self._deliver, stop=stop, wake=wake, concurrency=_CONCURRENCY)
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)
            await self._transport.close()

    def render(self, template: str, locale: str | None, context: Mapping[str, Any]) -> RenderedMail:
        """A mail as it would be sent now; raises UnknownTemplate or `rendering.RenderError`."""
        resolved = self._catalogue.resolve(locale, self._default_locale)
        return self._renderer.render(template, resolved, context)

    def check_templates(self) -> Sequence[str]:
        """What is wrong with the templates and texts, the operator's included: one line for each mail at fault."""
        return self._renderer.problems()

    @cached_property
    def _renderer(self) -> "Renderer":
        # Templates and their tools are for the process that sends; the API only queues.
        from tallystick.notifications.rendering import Renderer

        return Renderer(self._sender.name, self._catalogue, self._templates_dir)

    def _known(self, template: str) -> None:
        if template not in TEMPLATES:
            raise UnknownTemplate(f"there is no mail {template!r}; there are {', '.join(sorted(TEMPLATES))}")

    def _new(self, request: MailRequest, *, silent: bool) -> NewMail:
        self._known(request.template)
        mail_id = new_id()
        state = MailState.DISABLED if request.template in self._disabled else MailState.QUEUED
        if silent:
            state = MailState.SILENT
        problem = None
        try:
            recipient = parse_recipient(request.recipient).addr_spec
        except InvalidAddress as error:
            recipient, problem = printable(request.recipient, 320), f"recipient: {error}"
            if state is MailState.QUEUED:
                state = MailState.DEAD
                log.warning("mail.bad_recipient", template=request.template, key=request.business_key)
        return NewMail(
            id=mail_id,
            request=request,
            recipient=recipient,
            locale=printable(request.locale or self._default_locale, 35),
            context=_storable(request.context),
            state=state,
            message_id=self._sender.message_id(mail_id),
            problem=problem,
            trace=here(request.event_id),
        )

    async def _deliver(self, row: Record) -> None:
        mail = Mail.of(row)
        with span(f"mail {mail.template}", "client", parent=mail.trace, alone=True) as traced:
            traced.set("tallystick.mail.id", str(mail.id))
            await self._try(mail, traced)

    async def _try(self, mail: Mail, traced: Span) -> None:
        try:
            if not await self._still_holds(mail):
                traced.set("tallystick.mail.outcome", MailState.SUPERSEDED)
                await self._finish(mail, MailState.SUPERSEDED)
                return
            rendered = self.render(mail.template, mail.locale, mail.context)
            assert self._transport is not None
            await reach("send.before")
            await self._transport.send(self._message(mail, rendered))
            await reach("send.after")
        except MailRejected as error:
            traced.failed("rejected")
            await self._give_up(mail, str(error))
        except MailDelayed as error:
            traced.failed("delayed")
            await self._put_back(mail, str(error), counted=error.counted)
        except WEATHER:
            raise
        except Exception as error:
            # A template or a check that is broken: it may be mended while the mail waits.
            traced.failed(type(error).__name__)
            log.exception("mail.failed", id=str(mail.id), template=mail.template)
            await self._put_back(mail, f"{type(error).__name__}: {error}", counted=True)
        else:
            self._outage.over()
            await self._finish(mail, MailState.SENT, rendered.subject)
            log.info("mail.sent", id=str(mail.id), template=mail.template)

    async def _still_holds(self, mail: Mail) -> bool:
        check = self._checks.get(mail.template)
        if check is None:
            return True
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await check(mail.context)

    def _message(self, mail: Mail, rendered: RenderedMail) -> EmailMessage:
        # Every part is encoded to 7 bits, so that no server on the way has to convert anything.
        message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        message["From"] = self._sender.address
        message["To"] = parse_recipient(mail.recipient)
        message["Subject"] = rendered.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = mail.message_id
        # Nobody's absence note should answer (RFC 3834, and what Exchange looks at).
        message["Auto-Submitted"] = "auto-generated"
        message["X-Auto-Response-Suppress"] = "OOF, AutoReply"
        message.set_content(rendered.text)
        message.add_alternative(rendered.html, subtype="html")
        # Only now: a Content-* header that is there before moves into the text part.
        message["Content-Language"] = rendered.language
        return message

    async def _finish(self, mail: Mail, state: MailState, subject: str | None = None) -> None:
        """Mark it. After a send, a mark that fails would mean a second copy, so it is tried for a while."""
        until = self._clock.monotonic() + _MARK_TIMEOUT_S
        while True:
            try:
                async with self._database.connection() as connection:
                    await self._repository.finish(connection, mail.id, state, self._clock.now(), subject=subject)
                note_mail(mail.template, state)
                return
            except WEATHER:
                if self._clock.monotonic() > until:
                    raise
                await asyncio.sleep(0.2)

    async def _put_back(self, mail: Mail, reason: str, *, counted: bool) -> None:
        if counted and mail.attempts + 1 >= _MAX_ATTEMPTS:
            await self._give_up(mail, reason, tries=True)
            return
        delay = backoff(mail.attempts + 1, _FIRST_DELAY, _MOST_DELAY) if counted else self._outage.begin()
        log.warning("mail.delayed", id=str(mail.id), template=mail.template, counted=counted, reason=reason)
        await self._queue.put_back(mail.id, reason, delay, counted=counted)
        note_mail(mail.template, "delayed")

    async def _give_up(self, mail: Mail, reason: str, *, tries: bool = False) -> None:
        error = f"{reason} (after {_MAX_ATTEMPTS} tries)" if tries else reason
        log.error("mail.dead", id=str(mail.id), template=mail.template, reason=error)
        now = self._clock.now()
        async with self._database.transaction() as tx:
            closed = await self._repository.finish(tx, mail.id, MailState.DEAD, now, error=error[:500], attempts=1)
            # An alert about an alert would go the same way.
            if closed and mail.template != _STAFF_ALERT:
                kind = f"{ALERT_PREFIX}mail_dead"
                payload = {"mail_id": str(mail.id), "template": mail.template, "error": error}
                # Named by its time, too: a mail that was sent again may be given up again.
                await enqueue(tx, kind, f"{kind}:{mail.id}:{int(now.timestamp())}", payload, due_at=now)
        note_mail(mail.template, "dead")


class _PatientQueue(Queue):
    """The outbox, from which nothing is taken while the mail server is away, but one mail now and then to see."""

    def __init__(self, database: Database, clock: Clock, outage: Outage) -> None:
        super().__init__(database, clock, "mails")
        self._outage = outage

    async def take(self, limit: int) -> Sequence[Record]:
        allowed = self._outage.allowed(limit)
        return await super().take(allowed) if allowed else ()


def _before(request: MailRequest, mark: datetime | None) -> bool:
    return mark is not None and request.happened_at is not None and request.happened_at < mark


def _administrator(settings: Settings) -> str | None:
    if not settings.admin_email:
        return None
    try:
        return parse_recipient(settings.admin_email).addr_spec
    except InvalidAddress as error:
        raise ValueError(f"ADMIN_EMAIL: {error}; it should be like: admin@example.com") from None


def _disabled(settings: Settings) -> frozenset[str]:
    disabled = frozenset(settings.mails_disabled)
    if unknown := sorted(disabled - TEMPLATES):
        raise ValueError(
            f"MAILS_DISABLED: no such mail: {', '.join(unknown)}; there are {', '.join(sorted(TEMPLATES))}"
        )
    return disabled


def _catalogue(templates_dir: Path | None) -> Catalogue:
    if templates_dir is not None and not templates_dir.is_dir():
        raise ValueError("MAIL_TEMPLATES_DIR: is not a folder")
    try:
        return Catalogue(templates_dir)
    except TextError as error:
        raise ValueError(f"MAIL_TEMPLATES_DIR: {error}") from None


def _storable(value: Any) -> Any:
    """`value` with the characters taken out of its texts that JSON in PostgreSQL cannot hold."""
    if isinstance(value, str):
        return printable(value, 2000)
    if isinstance(value, Mapping):
        return {printable(str(name), 200): _storable(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(inner) for inner in value]
    return value
