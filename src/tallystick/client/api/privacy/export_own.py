from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.export_own_response_200 import ExportOwnResponse200
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    payloads: bool | Unset = False,

) -> dict[str, Any]:
    

    

    params: dict[str, Any] = {}

    params["payloads"] = payloads


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/api/me/export",
        "params": params,
    }


    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> ExportOwnResponse200 | Problem | None:
    if response.status_code == 200:
        response_200 = ExportOwnResponse200.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[ExportOwnResponse200 | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    payloads: bool | Unset = False,

) -> Response[ExportOwnResponse200 | Problem]:
    """ Export own

     Everything that is held about you. """


    kwargs = _get_kwargs(
        payloads=payloads,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient | Client,
    payloads: bool | Unset = False,

) -> ExportOwnResponse200 | Problem | None:
    """ Export own

     Everything that is held about you. """


    return sync_detailed(
        client=client,
payloads=payloads,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    payloads: bool | Unset = False,

) -> Response[ExportOwnResponse200 | Problem]:
    """ Export own

     Everything that is held about you. """


    kwargs = _get_kwargs(
        payloads=payloads,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    payloads: bool | Unset = False,

) -> ExportOwnResponse200 | Problem | None:
    """ Export own

     Everything that is held about you. """


    return (await asyncio_detailed(
        client=client,
payloads=payloads,

    )).parsed
