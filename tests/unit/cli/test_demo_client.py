"""What the demo sees of its client's operations: what left, what came, and what is amiss in words."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from system import free_port
from tallystick.cli.demo_client import Amiss, Operation, Sent, call, client_of, given
from tallystick.client import AuthenticatedClient
from tallystick.client.api.invoices import list_invoices
from tallystick.client.api.payments import confirm_payment_intent
from tallystick.client.models import ConfirmPayment, InvoicePage, PaymentView
from tallystick.client.types import UNSET

EMPTY = b'{"data": [], "has_more": false}'
PROBLEM = (
    b'{"type": "about:blank", "title": "No", "status": 404, "code": "NOT_FOUND", "detail": "There is no pi_1.", '
    b'"suggested_action": "Look."}'
)


@asynccontextmanager
async def answering(status: str, content: bytes) -> AsyncIterator[tuple[AuthenticatedClient, list[str]]]:
    """A client of a server that answers one way, and the heads of the requests that came there."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        if found := re.search(r"content-length: (\d+)", head, re.IGNORECASE):
            await reader.readexactly(int(found[1]))
        heads.append(head)
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client_of(f"http://127.0.0.1:{port}", "a-token") as client:
        yield client, heads


def open_invoices(client: AuthenticatedClient) -> Operation[InvoicePage]:
    return list_invoices.asyncio_detailed(client=client, limit=UNSET, status="open")


def confirmation(client: AuthenticatedClient) -> Operation[PaymentView]:
    body = ConfirmPayment(payment_method="pm_card_visa", off_session=UNSET)
    return confirm_payment_intent.asyncio_detailed("pi_1", client=client, body=body, idempotency_key="desk-1")


async def test_what_leaves_is_shown_before_it_leaves() -> None:
    shown: list[tuple[Sent, int]] = []
    async with answering("200 OK", EMPTY) as (client, heads):

        async def leaving(sent: Sent) -> None:
            shown.append((sent, len(heads)))

        answer = await call(open_invoices(client), leaving)
    assert shown == [(Sent("GET", "/api/invoices", ("status=open",), None, {}), 0)]
    assert heads[0].startswith("GET /api/invoices?status=open HTTP/1.1\r\n")
    assert "authorization: bearer a-token" in heads[0].lower()
    assert (answer.asked, answer.status, answer.content) == ("GET /api/invoices?status=open", 200, EMPTY)
    assert answer.value.data == answer.body["data"] == []
    with pytest.raises(Amiss, match=r"should be a problem, but it is 200: .*has_more"):
        _ = answer.problem


async def test_a_problem_is_no_value() -> None:
    async with answering("404 Not Found", PROBLEM) as (client, _):
        sent: list[Sent] = []

        async def leaving(request: Sent) -> None:
            sent.append(request)

        answer = await call(confirmation(client), leaving)
    path = "/api/payments/payment-intent/pi_1/confirm"
    assert sent == [Sent("POST", path, (), "desk-1", {"payment_method": "pm_card_visa"})]
    assert (answer.status, answer.problem.code) == (404, "NOT_FOUND")
    with pytest.raises(Amiss, match=r"should not be a problem, but it is NOT_FOUND: There is no pi_1\."):
        _ = answer.value


@pytest.mark.parametrize(
    ("status", "content", "told"),
    [
        ("418 I'm a teapot", b"short and stout", "tells of no answer 418 to GET /api/invoices?status=open: short"),
        ("200 OK", b"<html>pi_1_secret_abcdefgh", "is not what the document says (JSONDecodeError"),
        ("200 OK", b'{"data": []}', "is not what the document says (KeyError('has_more'))"),
    ],
)
async def test_what_the_document_does_not_tell_of_is_amiss(status: str, content: bytes, told: str) -> None:
    async with answering(status, content) as (client, _):
        with pytest.raises(Amiss) as amiss:
            await call(open_invoices(client))
    assert told in str(amiss.value)
    assert "_secret_abcde" not in str(amiss.value)


async def test_nobody_there_is_amiss() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    async with client_of(url, "a-token") as client:
        with pytest.raises(Amiss, match=f"{url} does not answer"):
            await call(open_invoices(client))


async def test_a_fault_of_the_teller_is_not_the_answers() -> None:
    async def leaving(_: Sent) -> None:
        raise KeyError("mine")

    async with answering("200 OK", EMPTY) as (client, heads):
        with pytest.raises(KeyError, match="mine"):
            await call(open_invoices(client), leaving)
    assert heads == []


def test_what_is_not_given_is_amiss() -> None:
    assert given(0, "an amount") == 0
    for nothing in (None, UNSET):
        with pytest.raises(Amiss, match="should have a link, but it has none"):
            given(nothing, "a link")
