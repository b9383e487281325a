from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.mrr_report import MrrReport
from ...models.problem import Problem
from ...models.report_mrr_by import check_report_mrr_by
from ...models.report_mrr_by import ReportMrrBy
from ...types import UNSET, Unset
from typing import cast
import datetime



def _get_kwargs(
    *,
    start: datetime.date | None | Unset = UNSET,
    end: datetime.date | None | Unset = UNSET,
    by: ReportMrrBy | Unset = 'day',
    currency: None | str | Unset = UNSET,
    format_: str | Unset = 'json',
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

    json_start: None | str | Unset
    if isinstance(start, Unset):
        json_start = UNSET
    elif isinstance(start, datetime.date):
        json_start = start.isoformat()
    else:
        json_start = start
    params["start"] = json_start

    json_end: None | str | Unset
    if isinstance(end, Unset):
        json_end = UNSET
    elif isinstance(end, datetime.date):
        json_end = end.isoformat()
    else:
        json_end = end
    params["end"] = json_end

    json_by: str | Unset = UNSET
    if not isinstance(by, Unset):
        json_by = by

    params["by"] = json_by

    json_currency: None | str | Unset
    if isinstance(currency, Unset):
        json_currency = UNSET
    else:
        json_currency = currency
    params["currency"] = json_currency

    params["format"] = format_


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/metrics/mrr",
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> MrrReport | Problem | None:
    if response.status_code == 200:
        response_200 = MrrReport.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[MrrReport | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    start: datetime.date | None | Unset = UNSET,
    end: datetime.date | None | Unset = UNSET,
    by: ReportMrrBy | Unset = 'day',
    currency: None | str | Unset = UNSET,
    format_: str | Unset = 'json',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[MrrReport | Problem]:
    """ Report MRR

     Monthly recurring revenue and its movements. By day, week (from Monday) or month; the last 30 days
    unless said otherwise. """


    kwargs = _get_kwargs(
        start=start,
end=end,
by=by,
currency=currency,
format_=format_,
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
    start: datetime.date | None | Unset = UNSET,
    end: datetime.date | None | Unset = UNSET,
    by: ReportMrrBy | Unset = 'day',
    currency: None | str | Unset = UNSET,
    format_: str | Unset = 'json',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> MrrReport | Problem | None:
    """ Report MRR

     Monthly recurring revenue and its movements. By day, week (from Monday) or month; the last 30 days
    unless said otherwise. """


    return sync_detailed(
        client=client,
start=start,
end=end,
by=by,
currency=currency,
format_=format_,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    start: datetime.date | None | Unset = UNSET,
    end: datetime.date | None | Unset = UNSET,
    by: ReportMrrBy | Unset = 'day',
    currency: None | str | Unset = UNSET,
    format_: str | Unset = 'json',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[MrrReport | Problem]:
    """ Report MRR

     Monthly recurring revenue and its movements. By day, week (from Monday) or month; the last 30 days
    unless said otherwise. """


    kwargs = _get_kwargs(
        start=start,
end=end,
by=by,
currency=currency,
format_=format_,
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
    start: datetime.date | None | Unset = UNSET,
    end: datetime.date | None | Unset = UNSET,
    by: ReportMrrBy | Unset = 'day',
    currency: None | str | Unset = UNSET,
    format_: str | Unset = 'json',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> MrrReport | Problem | None:
    """ Report MRR

     Monthly recurring revenue and its movements. By day, week (from Monday) or month; the last 30 days
    unless said otherwise. """


    return (await asyncio_detailed(
        client=client,
start=start,
end=end,
by=by,
currency=currency,
format_=format_,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )).parsed
