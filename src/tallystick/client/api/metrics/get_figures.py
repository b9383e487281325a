from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.figures_view import FiguresView
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast
import datetime



def _get_kwargs(
    *,
    day: datetime.date | None | Unset = UNSET,
    currency: None | str | Unset = UNSET,
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

    json_day: None | str | Unset
    if isinstance(day, Unset):
        json_day = UNSET
    elif isinstance(day, datetime.date):
        json_day = day.isoformat()
    else:
        json_day = day
    params["day"] = json_day

    json_currency: None | str | Unset
    if isinstance(currency, Unset):
        json_currency = UNSET
    else:
        json_currency = currency
    params["currency"] = json_currency


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/metrics",
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> FiguresView | Problem | None:
    if response.status_code == 200:
        response_200 = FiguresView.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[FiguresView | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    day: datetime.date | None | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[FiguresView | Problem]:
    """ Get figures

     The figures of a day (today); rates look back 30 days. """


    kwargs = _get_kwargs(
        day=day,
currency=currency,
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
    day: datetime.date | None | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> FiguresView | Problem | None:
    """ Get figures

     The figures of a day (today); rates look back 30 days. """


    return sync_detailed(
        client=client,
day=day,
currency=currency,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    day: datetime.date | None | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[FiguresView | Problem]:
    """ Get figures

     The figures of a day (today); rates look back 30 days. """


    kwargs = _get_kwargs(
        day=day,
currency=currency,
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
    day: datetime.date | None | Unset = UNSET,
    currency: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> FiguresView | Problem | None:
    """ Get figures

     The figures of a day (today); rates look back 30 days. """


    return (await asyncio_detailed(
        client=client,
day=day,
currency=currency,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )).parsed
