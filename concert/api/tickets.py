"""JSON calls about tickets: mine, a new code, handing one on, and the keys that verify them."""

from __future__ import annotations

from typing import Any

from flask import Response, url_for

from concert.api.door import answer, answers, new_door, security, takes, user_id
from concert.api.ticket_schemas import (
    LinkPath,
    NewTicketLink,
    OfferAnswer,
    TicketAnswer,
    TicketKeysAnswer,
    TicketLinkAnswer,
    TicketPath,
    TicketsAnswer,
)
from concert.catalogue.labels import called_in_json
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.tickets import handing_on, service
from concert.tickets.keys import public_keys

door = new_door("my tickets", "What somebody owns, seat by seat.")

NO_PLAN = dict.fromkeys(("section", "row", "seat", "label"))
# Keys change seldom, and those before go on verifying.
KEPT = "public, max-age=300"


@door.get(
    "/tickets",
    summary="My tickets, the newest first",
    security=security("user"),
    responses=answers({200: TicketsAnswer}, 401),
)
@takes("user")
def get_tickets() -> Response:
    """One for each seat, with those that are over; 500 at the most."""
    return answer({"tickets": [ticket_document(one) for one in service.tickets_of(user_id())]})


@door.get(
    "/tickets/keys",
    summary="The keys that verify tickets",
    responses=answers({200: TicketKeysAnswer}),
)
def get_ticket_keys() -> Response:
    """A JSON Web Key Set. A code is base64url of 31 bytes and their ECDSA signature (P-256, SHA-256, 64 bytes):
    version, key (2), ticket (16), performance (8), seat (2), serial number of the code (2)."""
    response = answer({"keys": public_keys()})
    response.headers["Cache-Control"] = KEPT
    return response


@door.get(
    "/tickets/<ticket_id>",
    summary="One of my tickets",
    security=security("user"),
    responses=answers({200: TicketAnswer}, 400, 401, 403, 404),
)
@takes("user")
def get_ticket(path: TicketPath) -> Response:
    """Its code is what its QR code says."""
    return answer(ticket_document(service.ticket_of(user_id(), path.ticket_id)))


@door.post(
    "/tickets/<ticket_id>/codes",
    summary="A new code for one of my tickets",
    security=security("user"),
    responses=answers({201: TicketAnswer}, 400, 401, 403, 404, 409, 413, 415),
)
@takes("user")
def post_code(path: TicketPath) -> Response:
    """The one before it opens no door any more: for somebody whose code was seen by others."""
    return answer(ticket_document(service.renew_code(user_id(), path.ticket_id)), 201)


@door.post(
    "/tickets/<ticket_id>/links",
    summary="Make the link that hands a ticket on",
    security=security("user"),
    responses=answers({201: TicketLinkAnswer}, 400, 401, 403, 404, 409, 413, 415),
)
@takes("user")
def post_ticket_link(path: TicketPath, body: NewTicketLink) -> Response:
    """It works once, until the organiser's limit; one before it works no more."""
    made = handing_on.offer(user_id(), path.ticket_id, gift=body.gift)
    assert made.code is not None
    document = {
        "code": made.code,
        "link": address_of_link(made.code),
        "price": made.price,
        "until": made.until,
    }
    return answer(document, 201)


@door.delete(
    "/tickets/<ticket_id>/links",
    summary="Take the link back",
    security=security("user"),
    responses=answers({204: None}, 400, 401, 403, 404),
)
@takes("user")
def delete_ticket_link(path: TicketPath) -> Response:
    """Nobody can take the ticket over by it any more."""
    handing_on.withdraw(user_id(), path.ticket_id)
    return Response(status=204)


@door.get(
    "/ticket-links/<code>",
    summary="What a link offers",
    security=security("user"),
    responses=answers({200: OfferAnswer}, 400, 401, 404, 409),
)
@takes("user")
def get_offer(path: LinkPath) -> Response:
    """Which seat, and what it costs."""
    found = handing_on.look_at_offer(path.code)
    return answer(
        {
            "concert_id": found.ticket.concert_id,
            "performance_id": found.ticket.performance_id,
            "seat_no": found.ticket.seat_no,
            "price": found.price,
            "until": found.until,
        }
    )


@door.post(
    "/ticket-links/<code>",
    summary="Take a ticket over",
    security=security("user"),
    responses=answers({201: TicketAnswer}, 400, 401, 402, 404, 409, 413, 415),
)
@takes("user")
def post_takeover(path: LinkPath) -> Response:
    """It is yours from here on, with a code of its own. Repeating it gives the same ticket."""
    return answer(ticket_document(handing_on.take_over(user_id(), path.code)), 201)


def address_of_link(code: str) -> str:
    """The address of the page that takes a ticket over."""
    public = part(Settings).public_url
    path = url_for("tickets.offered", code=code)
    return f"{public}{path}" if public else url_for("tickets.offered", code=code, _external=True)


def ticket_document(ticket: service.Ticket) -> dict[str, Any]:
    """A ticket as JSON shows it to its owner."""
    return {
        "ticket_id": ticket.ticket_id,
        "payment_id": ticket.payment_id,
        "concert_id": ticket.concert_id,
        "performance_id": ticket.performance_id,
        "seat_no": ticket.seat_no,
        **NO_PLAN,
        **called_in_json(ticket.performance_id, ticket.seat_no),
        "status": ticket.status,
        "code": ticket.code,
        "price": ticket.price,
        "reason": ticket.reason,
        "ended_at": ticket.ended_at,
        "offered_for": ticket.offered_for,
    }
