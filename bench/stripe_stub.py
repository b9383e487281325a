"""An instant Stripe: it answers the calls that creating a payment makes, at once, and keeps nothing."""

import asyncio
import json
import time
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import uvloop

__all__ = ["run_stub"]


def run_stub(port: int) -> None:
    """Serve until SIGTERM."""
    numbers = count(1)

    class Stub(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport: Any = transport
            self._buffer = b""

        def data_received(self, data: bytes) -> None:
            self._buffer += data
            head, found, body = self._buffer.partition(b"\r\n\r\n")
            _, named, length = head.lower().partition(b"content-length: ")
            if not found or (named and len(body) < int(length.partition(b"\r\n")[0])):
                return
            self._buffer = b""
            path = head.split(b" ", 2)[1].decode()
            answer = json.dumps(_answer(path, dict(parse_qsl(body.decode())), next(numbers))).encode()
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_stub\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(answer), answer)
            )

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


def _answer(path: str, sent: dict[str, str], number: int) -> dict[str, Any]:
    metadata = {key[9:-1]: value for key, value in sent.items() if key.startswith("metadata[")}
    now = int(time.time())
    if path.startswith("/v1/customers"):
        return {
            "id": f"cus_stub{number:014d}", "object": "customer", "created": now, "email": sent.get("email"),
            "livemode": False, "metadata": metadata, "name": None, "invoice_settings": {"default_payment_method": None},
        }  # fmt: skip
    if path.startswith("/v1/payment_intents"):
        intent_id = f"pi_3stub{number:019d}"
        return {
            "id": intent_id, "object": "payment_intent", "amount": int(sent.get("amount", "0")),
            "amount_capturable": 0, "amount_received": 0, "canceled_at": None, "cancellation_reason": None,
            "capture_method": sent.get("capture_method", "automatic"), "client_secret": f"{intent_id}_secret_{number}",
            "created": now, "currency": sent.get("currency", "usd"), "customer": sent.get("customer"),
            "description": sent.get("description"), "last_payment_error": None, "latest_charge": None,
            "livemode": False, "metadata": metadata, "next_action": None, "payment_method": None,
            "payment_method_types": ["card", "link"], "setup_future_usage": None, "status": "requires_payment_method",
        }  # fmt: skip
    if path.startswith("/v1/account"):
        return {"id": "acct_stub", "object": "account"}
    return {"object": "list", "data": [], "has_more": False, "url": path}
