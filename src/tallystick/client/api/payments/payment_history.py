from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.payment_page import PaymentPage
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast
import datetime



def _get_kwargs(
    *,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: None | str | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    created_from: datetime.datetime | None | Unset = UNSET,
    created_until: datetime.datetime | None | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(tallystick_user, Unset):
        headers["tallystick-user"] = tallystick_user

    if not isinstance(tallystick_user_email, Unset):
        headers["tallystick-user-email"] = tallystick_user_email

    if not isinstance(tallystick_user_locale, Unset):
        headers["tallystick-user-locale"] = tallystick_user_locale



    

    params: dict[str, Any] = {}

    params["limit"] = limit

    json_starting_after: None | str | Unset
    if isinstance(starting_after, Unset):
        json_starting_after = UNSET
    else:
        json_starting_after = starting_after
    params["starting_after"] = json_starting_after

    json_ending_before: None | str | Unset
    if isinstance(ending_before, Unset):
        json_ending_before = UNSET
    else:
        json_ending_before = ending_before
    params["ending_before"] = json_ending_before

    json_status: None | str | Unset
    if isinstance(status, Unset):
        json_status = UNSET
    else:
        json_status = status
    params["status"] = json_status

    json_currency: None | str | Unset
    if isinstance(currency, Unset):
        json_currency = UNSET
    else:
        json_currency = currency
    params["currency"] = json_currency

    json_created_from: None | str | Unset
    if isinstance(created_from, Unset):
        json_created_from = UNSET
    elif isinstance(created_from, datetime.datetime):
        json_created_from = created_from.isoformat()
    else:
        json_created_from = created_from
    params["created_from"] = json_created_from

    json_created_until: None | str | Unset
    if isinstance(created_until, Unset):
        json_created_until = UNSET
    elif isinstance(created_until, datetime.datetime):
        json_created_until = created_until.isoformat()
    else:
        json_created_until = created_until
    params["created_until"] = json_created_until


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/payments/history",
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> PaymentPage | Problem | None:
    if response.status_code == 200:
        response_200 = PaymentPage.from_dict(response.json())



        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())



        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())



        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())



        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())



        return response_404

    if response.status_code == 422:
        response_422 = Problem.from_dict(response.json())



        return response_422

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())



        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())



        return response_500

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())



        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[PaymentPage | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: None | str | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    created_from: datetime.datetime | None | Unset = UNSET,
    created_until: datetime.datetime | None | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[PaymentPage | Problem]:
    """ Payment history

     Payments, newest first; staff see everybody's. """


    kwargs = _get_kwargs(
        limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
currency=currency,
created_from=created_from,
created_until=created_until,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: None | str | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    created_from: datetime.datetime | None | Unset = UNSET,
    created_until: datetime.datetime | None | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> PaymentPage | Problem | None:
    """ Payment history

     Payments, newest first; staff see everybody's. """


    return sync_detailed(
        client=client,
limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
currency=currency,
created_from=created_from,
created_until=created_until,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: None | str | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    created_from: datetime.datetime | None | Unset = UNSET,
    created_until: datetime.datetime | None | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[PaymentPage | Problem]:
    """ Payment history

     Payments, newest first; staff see everybody's. """


    kwargs = _get_kwargs(
        limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
currency=currency,
created_from=created_from,
created_until=created_until,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: None | str | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    created_from: datetime.datetime | None | Unset = UNSET,
    created_until: datetime.datetime | None | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> PaymentPage | Problem | None:
    """ Payment history

     Payments, newest first; staff see everybody's. """


    return (await asyncio_detailed(
        client=client,
limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
currency=currency,
created_from=created_from,
created_until=created_until,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )).parsed
