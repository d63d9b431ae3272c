"""The simulated public API: paths, checks and answers; what they do is up to the simulator's controls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.govuk_pay.simulated import rules
from connectors.govuk_pay.simulated.ledger import OPEN, Payment, Refund, instant
from connectors.govuk_pay.simulated.rules import ApiError
from connectors.govuk_pay.simulated.search import indexed, matching, paged

if TYPE_CHECKING:
    from connectors.govuk_pay.simulator import PaySimulator

_Handler = Callable[[Request], Awaitable[Response]]
_LIFE_OF_A_KEY = timedelta(hours=24)


class Api:
    """Handlers over a simulator's account."""

    def __init__(self, pay: PaySimulator) -> None:
        self._pay = pay
        self._keys: dict[str, tuple[dict[str, Any], Payment]] = {}

    def routes(self) -> list[BaseRoute]:
        """Every path, each behind the check of the API key."""
        one = "/v1/payments/{payment_id}"
        return [
            Route("/v1/payments", self._guarded(self.create), methods=["POST"]),
            Route("/v1/payments", self._guarded(self.search), methods=["GET"]),
            Route(one, self._guarded(self.get), methods=["GET"]),
            Route(f"{one}/events", self._guarded(self.events), methods=["GET"]),
            Route(f"{one}/cancel", self._guarded(self.cancel), methods=["POST"]),
            Route(f"{one}/capture", self._guarded(self.capture), methods=["POST"]),
            Route(f"{one}/refunds", self._guarded(self.refund), methods=["POST"]),
            Route(f"{one}/refunds", self._guarded(self.refunds), methods=["GET"]),
            Route(f"{one}/refunds/{{refund_id}}", self._guarded(self.get_refund), methods=["GET"]),
            Route("/v1/refunds", self._guarded(self.search_refunds), methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """POST /v1/payments. An idempotency key counts for recurring payments alone."""
        key = rules.idempotency_key(request.headers)
        asked = rules.checked_payment(await request.body())
        if asked.get("authorisation_mode") != "agreement" or not key:
            return JSONResponse(self._shown(self._pay.ledger.create(asked)), 201)
        before = self._keys.get(key)
        if before and self._pay.clock.now() - before[1].created < _LIFE_OF_A_KEY:
            if before[0] != asked:
                told = "The `Idempotency-Key` you sent in the request header has already been used"
                raise ApiError(409, "P0191", told, header="Idempotency-Key")
            return JSONResponse(self._shown(before[1]), 200)
        self._keys[key] = (asked, self._pay.ledger.create(asked))
        return JSONResponse(self._shown(self._keys[key][1]), 201)

    async def search(self, request: Request) -> Response:
        """GET /v1/payments."""
        pay, query = self._pay, dict(request.query_params)
        rules.checked_search(query, "P0401")
        found = matching(indexed(list(pay.ledger.payments.values()), pay.clock.now(), pay.search_lag), query)
        page = paged(found, query, f"{pay.url}/v1/payments", ("P0401", "P0402"))
        for shown in page["results"]:
            shown["_links"] = {"self": self._link(shown["payment_id"])}
        return JSONResponse(page)

    async def get(self, request: Request) -> Response:
        """GET /v1/payments/{id}: always up to date."""
        return JSONResponse(self._shown(self._payment(request, "P0200")))

    async def events(self, request: Request) -> Response:
        """GET /v1/payments/{id}/events."""
        payment = self._payment(request, "P0300")
        identity = payment.payment_id
        links = {"payment_url": self._link(identity)}
        events = [
            {"payment_id": identity, "state": state, "updated": instant(at), "_links": links}
            for at, state in payment.past
        ]
        links_of_all = {"self": self._link(identity, "/events")}
        return JSONResponse({"payment_id": identity, "events": events, "_links": links_of_all})

    async def cancel(self, request: Request) -> Response:
        """POST /v1/payments/{id}/cancel."""
        payment = self._payment(request, "P0500")
        if payment.status not in OPEN:
            raise ApiError(400, "P0501", "Cancellation of payment failed")
        if payment.status == "submitted":
            raise ApiError(409, "P0502", "Cancellation of payment failed")
        self._pay.fail(payment.payment_id, "P0040")
        return Response(status_code=204)

    async def capture(self, request: Request) -> Response:
        """POST /v1/payments/{id}/capture."""
        payment = self._payment(request, "P1000")
        if payment.status not in OPEN:
            raise ApiError(409, "P1003", "Payment cannot be captured")
        if payment.status != "capturable":
            raise ApiError(400, "P1001", "Capture of payment failed")
        self._pay.capture(payment.payment_id)
        return Response(status_code=204)

    async def refund(self, request: Request) -> Response:
        """POST /v1/payments/{id}/refunds. `refund_amount_available` is an optimistic lock."""
        payment = self._payment(request, "P0600")
        summary = payment.shown()["refund_summary"]
        amount = rules.checked_refund(await request.body(), summary["amount_available"])
        if summary["status"] != "available":
            told = f"The payment is not available for refund. Payment refund status: {summary['status']}"
            raise ApiError(400, "P0603", told)
        refund = self._pay.ledger.refund(payment, amount)
        answer = JSONResponse(self._shown_refund(refund), 202)
        self._pay.settle_refund(refund.refund_id)
        return answer

    async def refunds(self, request: Request) -> Response:
        """GET /v1/payments/{id}/refunds."""
        payment = self._payment(request, "P0800")
        shown = [self._shown_refund(refund) for refund in payment.refunds]
        links = {
            "self": self._link(payment.payment_id, "/refunds"),
            "payment": self._link(payment.payment_id),
        }
        return JSONResponse(
            {"payment_id": payment.payment_id, "_embedded": {"refunds": shown}, "_links": links}
        )

    async def get_refund(self, request: Request) -> Response:
        """GET /v1/payments/{id}/refunds/{refund_id}."""
        payment = self._payment(request, "P0700")
        refund = self._pay.ledger.refunds.get(request.path_params["refund_id"])
        if refund is None or refund.payment_id != payment.payment_id:
            raise ApiError(404, "P0700", "Not found")
        return JSONResponse(self._shown_refund(refund))

    async def search_refunds(self, request: Request) -> Response:
        """GET /v1/refunds."""
        pay, query = self._pay, dict(request.query_params)
        rules.checked_search(query, "P1101")
        found = matching(indexed(list(pay.ledger.refunds.values()), pay.clock.now(), pay.search_lag), query)
        return JSONResponse(paged(found, query, f"{pay.url}/v1/refunds", ("P1101", "P1100")))

    def _guarded(self, handler: _Handler) -> _Handler:
        async def guarded(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._pay.api_key}":
                return rules.refusal(401)
            try:
                return await handler(request)
            except ApiError as error:
                return error.response()

        return guarded

    def _payment(self, request: Request, code: str) -> Payment:
        payment = self._pay.ledger.payments.get(request.path_params["payment_id"])
        if payment is None:
            raise ApiError(404, code, "Not found")
        return payment

    def _shown(self, payment: Payment) -> dict[str, Any]:
        identity = payment.payment_id
        links: dict[str, Any] = {name: self._link(identity, f"/{name}") for name in ("events", "refunds")}
        links["self"] = self._link(identity)
        if payment.status in OPEN and payment.status != "submitted":
            links["cancel"] = self._link(identity, "/cancel", "POST")
        if payment.status == "capturable":
            links["capture"] = self._link(identity, "/capture", "POST")
        if payment.status == "created":
            links["next_url"] = {"href": f"{self._pay.url}/secure/{identity[::-1]}", "method": "GET"}
        return payment.shown() | {"_links": links}

    def _shown_refund(self, refund: Refund) -> dict[str, Any]:
        identity = refund.payment_id
        shown = {name: value for name, value in refund.shown().items() if name != "payment_id"}
        shown["_links"] = {
            "self": self._link(identity, f"/refunds/{refund.refund_id}"),
            "payment": self._link(identity),
        }
        return shown

    def _link(self, payment_id: str, rest: str = "", method: str = "GET") -> dict[str, str]:
        return {"href": f"{self._pay.url}/v1/payments/{payment_id}{rest}", "method": method}
