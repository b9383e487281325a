"""The shapes of requests and answers about links to the billing pages."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tallystick.payments.schemas import ReturnUrl

__all__ = ["CreatePortalSession", "PortalSessionView"]

_LOCALE = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"


class CreatePortalSession(BaseModel):
    """A new link to the billing pages."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"return_url": "https://shop.example.com/account"}]}
    )

    return_url: ReturnUrl | None = Field(
        default=None, description="where the pages' way back leads. Its origin is one of CHECKOUT_RETURN_URLS."
    )
    flow: Literal["cancel", "change", "payment_method", "pay"] | None = Field(
        default=None, description="what the customer wants to do: the link leads right there"
    )
    locale: Annotated[str, StringConstraints(strict=True, pattern=_LOCALE)] | None = Field(
        default=None, max_length=35, description="the pages' language; else the user's, else the browser's"
    )


class PortalSessionView(BaseModel):
    """A link that signs one browser in, once."""

    object: Literal["portal_session"]
    url: str = Field(description="for this customer's eyes only; each request gets a link of its own")
    expires_at: datetime = Field(description="until when it can be opened")
