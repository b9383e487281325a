from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.difference_page import DifferencePage
from ...models.list_differences_cause_type_0 import check_list_differences_cause_type_0
from ...models.list_differences_cause_type_0 import ListDifferencesCauseType0
from ...models.list_differences_state_type_0 import check_list_differences_state_type_0
from ...models.list_differences_state_type_0 import ListDifferencesStateType0
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    state: ListDifferencesStateType0 | None | Unset = UNSET,
    cause: ListDifferencesCauseType0 | None | Unset = UNSET,
    of: None | str | Unset = UNSET,
    stripe_id: None | str | Unset = UNSET,
    run: None | str | Unset = UNSET,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,

) -> dict[str, Any]:
    

    

    params: dict[str, Any] = {}

    json_state: None | str | Unset
    if isinstance(state, Unset):
        json_state = UNSET
    elif isinstance(state, str):
        json_state = state
    else:
        json_state = state
    params["state"] = json_state

    json_cause: None | str | Unset
    if isinstance(cause, Unset):
        json_cause = UNSET
    elif isinstance(cause, str):
        json_cause = cause
    else:
        json_cause = cause
    params["cause"] = json_cause

    json_of: None | str | Unset
    if isinstance(of, Unset):
        json_of = UNSET
    else:
        json_of = of
    params["of"] = json_of

    json_stripe_id: None | str | Unset
    if isinstance(stripe_id, Unset):
        json_stripe_id = UNSET
    else:
        json_stripe_id = stripe_id
    params["stripe_id"] = json_stripe_id

    json_run: None | str | Unset
    if isinstance(run, Unset):
        json_run = UNSET
    else:
        json_run = run
    params["run"] = json_run

    params["limit"] = limit

    json_starting_after: None | str | Unset
    if isinstance(starting_after, Unset):
        json_starting_after = UNSET
    else:
        json_starting_after = starting_after
    params["starting_after"] = json_starting_after


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/reconciliation/differences",
        "params": params,
    }


    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> DifferencePage | Problem | None:
    if response.status_code == 200:
        response_200 = DifferencePage.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[DifferencePage | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: ListDifferencesStateType0 | None | Unset = UNSET,
    cause: ListDifferencesCauseType0 | None | Unset = UNSET,
    of: None | str | Unset = UNSET,
    stripe_id: None | str | Unset = UNSET,
    run: None | str | Unset = UNSET,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,

) -> Response[DifferencePage | Problem]:
    """ List differences

     Differences, the last seen first (admin, support). """


    kwargs = _get_kwargs(
        state=state,
cause=cause,
of=of,
stripe_id=stripe_id,
run=run,
limit=limit,
starting_after=starting_after,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient | Client,
    state: ListDifferencesStateType0 | None | Unset = UNSET,
    cause: ListDifferencesCauseType0 | None | Unset = UNSET,
    of: None | str | Unset = UNSET,
    stripe_id: None | str | Unset = UNSET,
    run: None | str | Unset = UNSET,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,

) -> DifferencePage | Problem | None:
    """ List differences

     Differences, the last seen first (admin, support). """


    return sync_detailed(
        client=client,
state=state,
cause=cause,
of=of,
stripe_id=stripe_id,
run=run,
limit=limit,
starting_after=starting_after,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    state: ListDifferencesStateType0 | None | Unset = UNSET,
    cause: ListDifferencesCauseType0 | None | Unset = UNSET,
    of: None | str | Unset = UNSET,
    stripe_id: None | str | Unset = UNSET,
    run: None | str | Unset = UNSET,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,

) -> Response[DifferencePage | Problem]:
    """ List differences

     Differences, the last seen first (admin, support). """


    kwargs = _get_kwargs(
        state=state,
cause=cause,
of=of,
stripe_id=stripe_id,
run=run,
limit=limit,
starting_after=starting_after,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    state: ListDifferencesStateType0 | None | Unset = UNSET,
    cause: ListDifferencesCauseType0 | None | Unset = UNSET,
    of: None | str | Unset = UNSET,
    stripe_id: None | str | Unset = UNSET,
    run: None | str | Unset = UNSET,
    limit: int | Unset = 20,
    starting_after: None | str | Unset = UNSET,

) -> DifferencePage | Problem | None:
    """ List differences

     Differences, the last seen first (admin, support). """


    return (await asyncio_detailed(
        client=client,
state=state,
cause=cause,
of=of,
stripe_id=stripe_id,
run=run,
limit=limit,
starting_after=starting_after,

    )).parsed
