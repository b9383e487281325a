"""`/payments/return`: where a customer lands after 3D Secure when the application named no page of its own."""

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tallystick.ui.kit import SECURITY_HEADERS, page_environment

__all__ = ["PageController"]


class PageController:
    """The hosted pages' routes. The query string bears Stripe's claims about the payment; none of it is believed."""

    def __init__(self) -> None:
        self._templates = page_environment(Path(__file__).parent / "templates")
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/payments/return", self.returned, methods=["GET"])

    async def returned(self, request: Request) -> Response:
        """Thank the customer; what became of the payment is told by the application and by mail."""
        failed = request.query_params.get("redirect_status") == "failed"
        page = self._templates.get_template("return.html").render(failed=failed)
        return HTMLResponse(page, headers=SECURITY_HEADERS)
