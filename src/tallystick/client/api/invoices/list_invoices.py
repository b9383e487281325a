from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.invoice_page import InvoicePage
from ...models.list_invoices_status_type_0 import check_list_invoices_status_type_0
from ...models.list_invoices_status_type_0 import ListInvoicesStatusType0
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,
    ending_before: None | str | Unset = UNSET,
    status: ListInvoicesStatusType0 | None | Unset = UNSET,
    subscription: None | str | Unset = UNSET,
    user: None | str | Unset = UNSET,
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
    elif isinstance(status, str):
        json_status = status
    else:
        json_status = status
    params["status"] = json_status

    json_subscription: None | str | Unset
    if isinstance(subscription, Unset):
        json_subscription = UNSET
    else:
        json_subscription = subscription
    params["subscription"] = json_subscription

    json_user: None | str | Unset
    if isinstance(user, Unset):
        json_user = UNSET
    else:
        json_user = user
    params["user"] = json_user


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/invoices",
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> InvoicePage | Problem | None:
    if response.status_code == 200:
        response_200 = InvoicePage.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[InvoicePage | Problem]:
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
    status: ListInvoicesStatusType0 | None | Unset = UNSET,
    subscription: None | str | Unset = UNSET,
    user: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[InvoicePage | Problem]:
    """ List invoices

     Invoices with their lines, newest first; staff see everybody's. `status=open` is what is owed. """


    kwargs = _get_kwargs(
        limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
subscription=subscription,
user=user,
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
    status: ListInvoicesStatusType0 | None | Unset = UNSET,
    subscription: None | str | Unset = UNSET,
    user: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> InvoicePage | Problem | None:
    """ List invoices

     Invoices with their lines, newest first; staff see everybody's. `status=open` is what is owed. """


    return sync_detailed(
        client=client,
limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
subscription=subscription,
user=user,
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
    status: ListInvoicesStatusType0 | None | Unset = UNSET,
    subscription: None | str | Unset = UNSET,
    user: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[InvoicePage | Problem]:
    """ List invoices

     Invoices with their lines, newest first; staff see everybody's. `status=open` is what is owed. """


    kwargs = _get_kwargs(
        limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
subscription=subscription,
user=user,
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
    status: ListInvoicesStatusType0 | None | Unset = UNSET,
    subscription: None | str | Unset = UNSET,
    user: None | str | Unset = UNSET,
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> InvoicePage | Problem | None:
    """ List invoices

     Invoices with their lines, newest first; staff see everybody's. `status=open` is what is owed. """


    return (await asyncio_detailed(
        client=client,
limit=limit,
starting_after=starting_after,
ending_before=ending_before,
status=status,
subscription=subscription,
user=user,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )).parsed
