from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.problem import Problem
from ...models.receive_stripe_event_body import ReceiveStripeEventBody
from ...models.receive_stripe_event_response_200 import ReceiveStripeEventResponse200
from typing import cast



def _get_kwargs(
    *,
    body: ReceiveStripeEventBody,
    stripe_signature: str,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    headers["Stripe-Signature"] = stripe_signature



    

    

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/api/webhooks/stripe",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | ReceiveStripeEventResponse200 | None:
    if response.status_code == 200:
        response_200 = ReceiveStripeEventResponse200.from_dict(response.json())



        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())



        return response_400

    if response.status_code == 408:
        response_408 = Problem.from_dict(response.json())



        return response_408

    if response.status_code == 413:
        response_413 = Problem.from_dict(response.json())



        return response_413

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())



        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | ReceiveStripeEventResponse200]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReceiveStripeEventBody,
    stripe_signature: str,

) -> Response[Problem | ReceiveStripeEventResponse200]:
    """ Receive stripe event

     Stores an event of Stripe's whose signature holds, and answers when it is committed; an event that
    came before is answered alike. Your own code never calls this: Stripe does. """


    kwargs = _get_kwargs(
        body=body,
stripe_signature=stripe_signature,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient | Client,
    body: ReceiveStripeEventBody,
    stripe_signature: str,

) -> Problem | ReceiveStripeEventResponse200 | None:
    """ Receive stripe event

     Stores an event of Stripe's whose signature holds, and answers when it is committed; an event that
    came before is answered alike. Your own code never calls this: Stripe does. """


    return sync_detailed(
        client=client,
body=body,
stripe_signature=stripe_signature,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: ReceiveStripeEventBody,
    stripe_signature: str,

) -> Response[Problem | ReceiveStripeEventResponse200]:
    """ Receive stripe event

     Stores an event of Stripe's whose signature holds, and answers when it is committed; an event that
    came before is answered alike. Your own code never calls this: Stripe does. """


    kwargs = _get_kwargs(
        body=body,
stripe_signature=stripe_signature,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: ReceiveStripeEventBody,
    stripe_signature: str,

) -> Problem | ReceiveStripeEventResponse200 | None:
    """ Receive stripe event

     Stores an event of Stripe's whose signature holds, and answers when it is committed; an event that
    came before is answered alike. Your own code never calls this: Stripe does. """


    return (await asyncio_detailed(
        client=client,
body=body,
stripe_signature=stripe_signature,

    )).parsed
