"""JSON calls about who works here, their API keys, and what was done: for organisers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response, url_for

from concert.api.door import actor, answer, answers, for_staff, new_door
from concert.api.schemas import (
    AuditLogAnswer,
    KeyPath,
    KeysAnswer,
    LinkAnswer,
    NewKey,
    NewKeyAnswer,
    NewPerson,
    PeopleAnswer,
    Rotation,
    StaffPath,
    WhichEntries,
    Why,
)
from concert.ground.audit import Wanted, as_document, read_log
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.staff import keys, service
from concert.staff.access import needs

door = new_door("staff", "People, their keys and what they did; for organisers.")


@door.get(
    "/staff",
    summary="Who works here",
    security=for_staff(keys=False),
    responses=answers({200: PeopleAnswer}, 401, 403, 429),
)
@needs("organiser", keys=False)
def get_staff() -> Response:
    """Everybody, by name."""
    return answer({"staff": [asdict(person) for person in service.list_people()]})


@door.post(
    "/staff",
    summary="Let somebody work here",
    security=for_staff(keys=False),
    responses=answers({201: LinkAnswer}, 400, 401, 403, 409, 413, 415, 429),
)
@needs("organiser", keys=False)
def post_staff(body: NewPerson) -> Response:
    """Returns the link with which they sign in, once and soon."""
    made = service.add_person(body.name, body.role, actor=actor(), reason=body.reason)
    return answer(link_document(made), 201)


@door.delete(
    "/staff/<staff_id>",
    summary="Let somebody work here no more",
    security=for_staff(keys=False),
    responses=answers({204: None}, 400, 401, 403, 404, 429),
)
@needs("organiser", keys=False)
def delete_staff(path: StaffPath, query: Why) -> Response:
    """Their sessions and their link end with it."""
    service.remove_person(path.staff_id, actor=actor(), reason=query.reason)
    return Response(status=204)


@door.post(
    "/staff/<staff_id>/links",
    summary="A new sign-in link",
    security=for_staff(keys=False),
    responses=answers({201: LinkAnswer}, 400, 401, 403, 404, 413, 415, 429),
)
@needs("organiser", keys=False)
def post_link(path: StaffPath) -> Response:
    """A link that they had before works no more."""
    return answer(link_document(service.make_link(path.staff_id, actor=actor())), 201)


@door.get(
    "/keys",
    summary="The API keys that are good",
    security=for_staff(keys=False),
    responses=answers({200: KeysAnswer}, 401, 403, 429),
)
@needs("organiser", keys=False)
def get_keys() -> Response:
    """By name; each by how it begins."""
    return answer({"keys": [key_document(key) for key in keys.list_keys()]})


@door.post(
    "/keys",
    summary="Make an API key",
    security=for_staff(keys=False),
    responses=answers({201: NewKeyAnswer}, 400, 401, 403, 409, 413, 415, 429),
)
@needs("organiser", keys=False)
def post_key(body: NewKey) -> Response:
    """Returns the key itself, which cannot be asked for again."""
    made = keys.add_key(
        body.name, body.scope, actor=actor(), expires_at=body.expires_at, reason=body.reason
    )
    return answer({**key_document(made.key), "key": made.secret}, 201)


@door.post(
    "/keys/<key_id>/rotation",
    summary="Make the next key of this name",
    security=for_staff(keys=False),
    responses=answers({201: NewKeyAnswer}, 400, 401, 403, 404, 409, 413, 415, 429),
)
@needs("organiser", keys=False)
def post_rotation(path: KeyPath, body: Rotation) -> Response:
    """Both are good for `overlap_hours`, so that a program can change over without a gap."""
    made = keys.rotate_key(
        path.key_id, actor=actor(), overlap_hours=body.overlap_hours, reason=body.reason
    )
    return answer({**key_document(made.key), "key": made.secret}, 201)


@door.delete(
    "/keys/<key_id>",
    summary="Revoke an API key",
    security=for_staff(keys=False),
    responses=answers({204: None}, 400, 401, 403, 404, 429),
)
@needs("organiser", keys=False)
def delete_key(path: KeyPath, query: Why) -> Response:
    """It is good no more, at once and everywhere."""
    keys.revoke_key(path.key_id, actor=actor(), reason=query.reason)
    return Response(status=204)


@door.get(
    "/audit-log",
    summary="What the staff, keys and commands have changed",
    security=for_staff(),
    responses=answers({200: AuditLogAnswer}, 400, 401, 403, 429),
)
@needs("organiser")
def get_audit_log(query: WhichEntries) -> Response:
    """Newest first."""
    asked = query.model_dump(exclude={"limit", "cursor"})
    entries, following = read_log(Wanted(**asked), before=query.cursor, limit=query.limit)
    return answer({"entries": [as_document(one) for one in entries], "next": following})


def link_document(made: service.SignInLink) -> dict[str, Any]:
    """A sign-in link as JSON shows it."""
    path = url_for("staff_pages.confirm", code=made.code)
    address = part(Settings).public_url
    link = (
        f"{address}{path}"
        if address
        else url_for("staff_pages.confirm", code=made.code, _external=True)
    )
    return {**asdict(made.person), "code": made.code, "link": link, "expires_at": made.expires_at}


def key_document(key: keys.Key) -> dict[str, Any]:
    """A key as JSON shows it."""
    document = asdict(key)
    del document["revoked_at"]
    return document
