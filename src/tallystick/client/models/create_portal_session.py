from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, BinaryIO, TextIO, TYPE_CHECKING, Generator

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

from ..models.create_portal_session_flow_type_0 import check_create_portal_session_flow_type_0
from ..models.create_portal_session_flow_type_0 import CreatePortalSessionFlowType0
from ..types import UNSET, Unset
from typing import cast






T = TypeVar("T", bound="CreatePortalSession")



@_attrs_define
class CreatePortalSession:
    """ A new link to the billing pages.

        Attributes:
            return_url (None | str | Unset): where the pages' way back leads. Its origin is one of CHECKOUT_RETURN_URLS.
            flow (CreatePortalSessionFlowType0 | None | Unset): what the customer wants to do: the link leads right there
            locale (None | str | Unset): the pages' language; else the user's, else the browser's """

    return_url: None | str | Unset = UNSET
    flow: CreatePortalSessionFlowType0 | None | Unset = UNSET
    locale: None | str | Unset = UNSET





    def to_dict(self) -> dict[str, Any]:
        return_url: None | str | Unset
        if isinstance(self.return_url, Unset):
            return_url = UNSET
        else:
            return_url = self.return_url

        flow: None | str | Unset
        if isinstance(self.flow, Unset):
            flow = UNSET
        elif isinstance(self.flow, str):
            flow = self.flow
        else:
            flow = self.flow

        locale: None | str | Unset
        if isinstance(self.locale, Unset):
            locale = UNSET
        else:
            locale = self.locale


        field_dict: dict[str, Any] = {}

        field_dict.update({
        })
        if return_url is not UNSET:
            field_dict["return_url"] = return_url
        if flow is not UNSET:
            field_dict["flow"] = flow
        if locale is not UNSET:
            field_dict["locale"] = locale

        return field_dict



    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        def _parse_return_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        return_url = _parse_return_url(d.pop("return_url", UNSET))


        def _parse_flow(data: object) -> CreatePortalSessionFlowType0 | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                flow_type_0 = check_create_portal_session_flow_type_0(data)



                return flow_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CreatePortalSessionFlowType0 | None | Unset, data)

        flow = _parse_flow(d.pop("flow", UNSET))


        def _parse_locale(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        locale = _parse_locale(d.pop("locale", UNSET))


        create_portal_session = cls(
            return_url=return_url,
            flow=flow,
            locale=locale,
        )

        return create_portal_session

