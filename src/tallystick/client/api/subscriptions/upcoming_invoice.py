from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.problem import Problem
from ...models.upcoming_invoice import UpcomingInvoice
from ...models.upcoming_invoice_proration_behavior_type_0 import check_upcoming_invoice_proration_behavior_type_0
from ...models.upcoming_invoice_proration_behavior_type_0 import UpcomingInvoiceProrationBehaviorType0
from ...models.upcoming_invoice_when import check_upcoming_invoice_when
from ...models.upcoming_invoice_when import UpcomingInvoiceWhen
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    id: str,
    *,
    price: None | str | Unset = UNSET,
    quantity: int | None | Unset = UNSET,
    proration_behavior: None | Unset | UpcomingInvoiceProrationBehaviorType0 = UNSET,
    promotion_code: None | str | Unset = UNSET,
    when: UpcomingInvoiceWhen | Unset = 'now',
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

    json_price: None | str | Unset
    if isinstance(price, Unset):
        json_price = UNSET
    else:
        json_price = price
    params["price"] = json_price

    json_quantity: int | None | Unset
    if isinstance(quantity, Unset):
        json_quantity = UNSET
    else:
        json_quantity = quantity
    params["quantity"] = json_quantity

    json_proration_behavior: None | str | Unset
    if isinstance(proration_behavior, Unset):
        json_proration_behavior = UNSET
    elif isinstance(proration_behavior, str):
        json_proration_behavior = proration_behavior
    else:
        json_proration_behavior = proration_behavior
    params["proration_behavior"] = json_proration_behavior

    json_promotion_code: None | str | Unset
    if isinstance(promotion_code, Unset):
        json_promotion_code = UNSET
    else:
        json_promotion_code = promotion_code
    params["promotion_code"] = json_promotion_code

    json_when: str | Unset = UNSET
    if not isinstance(when, Unset):
        json_when = when

    params["when"] = json_when


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/subscriptions/{id}/upcoming-invoice".format(id=quote(str(id), safe=""),),
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Problem | UpcomingInvoice | None:
    if response.status_code == 200:
        response_200 = UpcomingInvoice.from_dict(response.json())



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

    if response.status_code == 409:
        response_409 = Problem.from_dict(response.json())



        return response_409

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Problem | UpcomingInvoice]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    price: None | str | Unset = UNSET,
    quantity: int | None | Unset = UNSET,
    proration_behavior: None | Unset | UpcomingInvoiceProrationBehaviorType0 = UNSET,
    promotion_code: None | str | Unset = UNSET,
    when: UpcomingInvoiceWhen | Unset = 'now',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[Problem | UpcomingInvoice]:
    """ Upcoming invoice

     What will be billed next; with a change, what it costs now and then, and a token to make just that. """


    kwargs = _get_kwargs(
        id=id,
price=price,
quantity=quantity,
proration_behavior=proration_behavior,
promotion_code=promotion_code,
when=when,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    price: None | str | Unset = UNSET,
    quantity: int | None | Unset = UNSET,
    proration_behavior: None | Unset | UpcomingInvoiceProrationBehaviorType0 = UNSET,
    promotion_code: None | str | Unset = UNSET,
    when: UpcomingInvoiceWhen | Unset = 'now',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Problem | UpcomingInvoice | None:
    """ Upcoming invoice

     What will be billed next; with a change, what it costs now and then, and a token to make just that. """


    return sync_detailed(
        id=id,
client=client,
price=price,
quantity=quantity,
proration_behavior=proration_behavior,
promotion_code=promotion_code,
when=when,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    ).parsed

async def asyncio_detailed(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    price: None | str | Unset = UNSET,
    quantity: int | None | Unset = UNSET,
    proration_behavior: None | Unset | UpcomingInvoiceProrationBehaviorType0 = UNSET,
    promotion_code: None | str | Unset = UNSET,
    when: UpcomingInvoiceWhen | Unset = 'now',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Response[Problem | UpcomingInvoice]:
    """ Upcoming invoice

     What will be billed next; with a change, what it costs now and then, and a token to make just that. """


    kwargs = _get_kwargs(
        id=id,
price=price,
quantity=quantity,
proration_behavior=proration_behavior,
promotion_code=promotion_code,
when=when,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    id: str,
    *,
    client: AuthenticatedClient | Client,
    price: None | str | Unset = UNSET,
    quantity: int | None | Unset = UNSET,
    proration_behavior: None | Unset | UpcomingInvoiceProrationBehaviorType0 = UNSET,
    promotion_code: None | str | Unset = UNSET,
    when: UpcomingInvoiceWhen | Unset = 'now',
    tallystick_user: None | str | Unset = UNSET,
    tallystick_user_email: None | str | Unset = UNSET,
    tallystick_user_locale: None | str | Unset = UNSET,

) -> Problem | UpcomingInvoice | None:
    """ Upcoming invoice

     What will be billed next; with a change, what it costs now and then, and a token to make just that. """


    return (await asyncio_detailed(
        id=id,
client=client,
price=price,
quantity=quantity,
proration_behavior=proration_behavior,
promotion_code=promotion_code,
when=when,
tallystick_user=tallystick_user,
tallystick_user_email=tallystick_user_email,
tallystick_user_locale=tallystick_user_locale,

    )).parsed
