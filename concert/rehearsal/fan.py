"""One fan's evening: lining up, waiting, choosing, holding, paying; or leaving, or never coming."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from concert.rehearsal.client import Answer, Caller
from concert.rehearsal.notes import (
    Admitted,
    Audited,
    Charged,
    Gone,
    Held,
    Inside,
    Joined,
    Missed,
    Note,
    Out,
    Paid,
    Released,
    Returned,
    Stood,
    Unsure,
    Walked,
    Watched,
)
from concert.rehearsal.plan import Guest, Plan

MOST_CHOICES = 12
MOST_ENTRIES = 100
# However long people have to wait, they look once in this time.
LOOKS_AGAIN_SECONDS = 30.0
# Nobody waits for a hold to lapse that lasts longer; whoever would walk away releases it.
LONGEST_LAPSE_SECONDS = 60.0


@dataclass(frozen=True)
class Stage:
    """What is rehearsed: a concert, its only date, and the moment at which the doors open."""

    concert_id: int
    date: str
    opens: float


class GoneHome(Exception):
    """The fan's evening is over; the message says how."""


class Fan:
    """A fan on the way through the sale."""

    def __init__(
        self,
        guest: Guest,
        plan: Plan,
        caller: Caller,
        note: Callable[[Note], None],
        is_sold_out: Callable[[], bool],
    ) -> None:
        self._guest = guest
        self._plan = plan
        self._caller = caller
        self._note = note
        self._is_sold_out = is_sold_out
        self._user = ""
        self._place = ""
        self._sequence = 0
        self._state = ""
        self._chance: str | None = None
        self._goes_at = float("inf")

    async def sign_up(self) -> None:
        """Become a user, before the doors open."""
        answer = await self._caller.call(
            "user", "POST", "/v1/users", body={"name": f"Fan {self._guest.number}"}
        )
        if answer.status == 201:
            self._user = answer.body["user_token"]

    async def go(self, stage: Stage) -> None:
        """The evening, from the door to home."""
        await asyncio.sleep(max(0.0, stage.opens + self._guest.arrives - time.time()))
        try:
            if not self._user:
                raise GoneHome("never became a user")
            await self._line_up(stage)
            await self._wait(stage)
            await self._buy(stage)
        except GoneHome as home:
            self._note(Gone(self._guest.number, str(home), time.time()))

    async def audit(self) -> None:
        """Ask the service what it says of this fan, now that all is over."""
        if not self._user:
            return
        payments = await self._caller.call("payments", "GET", "/v1/payments", self._user)
        wallet = await self._caller.call(
            "balance", "GET", f"/v1/charges?entries={MOST_ENTRIES}", self._user
        )
        if payments.status != 200 or wallet.status != 200:
            return
        self._note(
            Audited(
                self._guest.number,
                tuple(
                    (one["payment_id"], one["performance_id"], _seats(one), one["amount"])
                    for one in payments.body["payments"]
                ),
                wallet.body["balance"],
                tuple(
                    (one["amount"], one["balance_after"]) for one in wallet.body.get("entries", [])
                ),
            )
        )

    async def _line_up(self, stage: Stage) -> None:
        asked = {"concert_id": stage.concert_id}
        if self._guest.temper == "double_clicker":
            first, second = await asyncio.gather(
                self._caller.call("join", "POST", "/v1/enqueues", self._user, asked),
                self._caller.call("join", "POST", "/v1/enqueues", self._user, asked),
            )
            # Of two answers at once nobody can say which place is the later one.
            self._joined(second, looks=False)
            self._joined(first)
        else:
            self._joined(await self._caller.call("join", "POST", "/v1/enqueues", self._user, asked))
        if self._guest.temper == "absent":
            raise GoneHome("joined and never looked again")

    def _joined(self, answer: Answer, *, looks: bool = True) -> None:
        if answer.status != 200:
            raise GoneHome(f"could not join: {answer.status} {answer.code}".strip())
        self._place = answer.body["queue_token"]
        self._sequence = _sequence(self._place)
        self._note(Joined(self._guest.number, self._sequence, answer.sent, answer.seen))
        if looks:
            self._seen(answer.body, answer.sent, answer.seen)

    async def _wait(self, stage: Stage) -> None:
        """Wait for the turn, by the stream where it may be had and else by asking."""
        if self._guest.streams and await self._watch():
            return
        while True:
            answer = await self._caller.call("ask", "GET", "/v1/enqueues", self._place)
            if answer.status != 200:
                raise GoneHome(f"lost the place: {answer.status} {answer.code}")
            if self._seen(answer.body, answer.sent, answer.seen):
                return
            await self._perhaps_leave()
            if self._guest.temper == "reloader" and self._guest.chance.random() < 0.3:
                again = await self._caller.call(
                    "join", "POST", "/v1/enqueues", self._user, {"concert_id": stage.concert_id}
                )
                self._joined(again)
            pause = min(answer.body["poll_after_seconds"], LOOKS_AGAIN_SECONDS)
            await asyncio.sleep(max(0.1, min(pause, self._goes_at - time.time())))

    async def _watch(self) -> bool:
        """Look at the stream; whether it told that it is this fan's turn."""
        since = 0.0
        try:
            async with asyncio.timeout(None) as stay:
                async for place in self._caller.events("/v1/enqueues/events", self._place):
                    since = since or time.time()
                    if self._seen(place, None, time.time()):
                        return True
                    await self._perhaps_leave()
                    if self._goes_at < float("inf"):
                        stay.reschedule(
                            asyncio.get_running_loop().time() + self._goes_at - time.time()
                        )
        except TimeoutError:
            await self._perhaps_leave()
        finally:
            if since:
                self._note(Watched(self._guest.number, since, time.time()))
        return False

    def _seen(self, place: Any, sent: float | None, seen: float) -> bool:
        """Note where the place stands; whether it is this fan's turn."""
        if place["status"] == "waiting":
            self._read(place, sent, seen)
            return False
        if place["status"] != "admitted":
            raise GoneHome(f"the place is {place['status']}")
        until = datetime.fromisoformat(place["admitted_until"]).timestamp()
        at = until - self._plan.entry_seconds
        self._note(Admitted(self._guest.number, self._sequence, at, seen))
        return True

    def _read(self, place: Any, sent: float | None, seen: float) -> None:
        """Read what the service tells of the place in line, and of the seats."""
        seats = place["seats"]
        self._state, self._chance = seats["state"], place["chance"]
        if self._state != "sold_out":
            self._goes_at = float("inf")
        elif self._goes_at == float("inf"):
            self._goes_at = seen + self._guest.stands_by
        estimated = place["estimated_wait_seconds"], place["estimated_wait_range"]
        self._note(
            Stood(
                self._guest.number,
                place["position"],
                place["waiting"],
                sent,
                seen,
                seats["free"],
                seats["held"],
                seats["sold"],
                self._state,
                self._chance,
                estimated != (None, None),
            )
        )

    async def _perhaps_leave(self) -> None:
        # Who is easily put off goes the sooner, the worse it looks.
        likely = {"unlikely": 0.5, "none": 0.5}.get(self._chance or "", 0.3)
        if self._guest.temper == "leaver" and self._guest.chance.random() < likely:
            how = "left the line"
        elif self._state == "all_held" and self._guest.gives_up:
            how = "left, since all is being paid for"
        elif self._goes_at <= time.time():
            how = "stood by, and left" if self._guest.stands_by else "left, since all is sold"
        else:
            return
        await self._leave(how)

    async def _leave(self, how: str) -> None:
        answer = await self._caller.call("leave", "DELETE", "/v1/enqueues", self._place)
        if answer.status == 204:
            self._note(Out(self._guest.number, answer.seen))
        raise GoneHome(how)

    async def _buy(self, stage: Stage) -> None:
        await self._think(0.3)
        await self._behind("dates", "GET", f"/v1/concerts/{stage.concert_id}/dates")
        for _ in range(MOST_CHOICES):
            held = await self._choose(stage)
            if held is None:
                continue
            await self._think(1.0)
            if self._guest.temper == "changes_mind" and self._guest.chance.random() < 0.6:
                await self._release(held)
                continue
            await self._perhaps_return(held)
            await self._pay(stage, held)
            raise GoneHome("has tickets")
        await self._leave_inside("found no seats")

    async def _choose(self, stage: Stage) -> Any:
        """Look at the seats and hold some; None where somebody was quicker."""
        path = f"/v1/concerts/{stage.concert_id}"
        seen = await self._behind("seats", "GET", f"{path}/seats?date={stage.date}")
        free = [
            seat["seat_no"]
            for seat in seen.body["dates"][0]["seats"]
            if seat["state"] == "available"
        ]
        if not free:
            self._note(Missed(self._guest.number, seen.seen))
            if self._is_sold_out():
                await self._leave_inside("all was sold")
            await self._think(0.7)
            return None
        await self._think(1.0)
        wanted = sorted(self._guest.chance.sample(free, min(len(free), self._guest.party)))
        sent = time.time()
        unsure = Unsure(self._guest.number, tuple(wanted), sent)
        try:
            answer = await self._caller.call(
                "hold",
                "POST",
                f"{path}/reservations",
                self._place,
                {"date": stage.date, "seats": wanted},
                f"hold-{self._guest.number}-{self._guest.chance.getrandbits(48):x}",
            )
        except BaseException:
            self._note(unsure)
            raise
        if answer.status in (0, 429) or answer.status >= 500:
            self._note(unsure)
        self._still_inside(answer)
        if answer.status != 200:
            self._note(Missed(self._guest.number, answer.seen))
            return None
        self._note(Inside(self._guest.number, sent, seen=answer.seen))
        made, until = (
            datetime.fromisoformat(answer.body[name]).timestamp()
            for name in ("created_at", "held_until")
        )
        self._note(
            Held(
                self._guest.number,
                answer.body["performance_id"],
                _seats(answer.body),
                until - made,
                answer.sent,
                answer.seen,
            )
        )
        return answer.body

    async def _perhaps_return(self, held: Any) -> None:
        """Some do not pay after all, and their seats come back."""
        number, seats = self._guest.number, (held["performance_id"], _seats(held))
        how = self._guest.returns
        made, until = (
            datetime.fromisoformat(held[name]).timestamp() for name in ("created_at", "held_until")
        )
        if how == "walks away" and until - made > LONGEST_LAPSE_SECONDS:
            how = "releases"
        if how == "releases":
            await self._release(held)
            await self._leave_inside("gave the seats back")
        elif how == "leaves":
            sent = time.time()
            self._note(Released(number, *seats, sent))
            self._note(Inside(number, sent, last=True))
            answer = await self._caller.call("leave", "DELETE", "/v1/enqueues", self._place)
            if answer.status == 204:
                self._note(Returned(number, *seats, answer.seen))
                self._note(Out(number, answer.seen))
            raise GoneHome("left, and gave the seats back")
        elif how == "walks away":
            self._note(Walked(number, time.time()))
            raise GoneHome("let the seats lapse")

    async def _release(self, held: Any) -> None:
        number, seats = self._guest.number, (held["performance_id"], _seats(held))
        self._note(Released(number, *seats, time.time()))
        answer = await self._caller.call(
            "release", "DELETE", f"/v1/reservations/{held['reservation_id']}", self._user
        )
        if answer.status == 204:
            self._note(Returned(number, *seats, answer.seen))
        self._still_inside(answer)

    async def _pay(self, stage: Stage, held: Any) -> None:
        number, amount = self._guest.number, held["amount"]
        charged = await self._caller.call(
            "charge",
            "PATCH",
            "/v1/charges",
            self._user,
            {"amount": amount},
            f"charge-{number}-{held['reservation_id']}",
        )
        if charged.status != 200:
            raise GoneHome(f"could not charge: {charged.status} {charged.code}")
        self._note(Charged(number, amount, charged.seen))
        path = f"/v1/concerts/{stage.concert_id}/seats/{held['seats'][0]['seat_no']}/payments"
        asked = ("POST", path, self._place, {"date": stage.date}, f"pay-{held['reservation_id']}")
        sent = time.time()
        self._note(Inside(number, sent, last=True))
        if self._guest.temper == "vanisher":
            # The phone is gone in the middle of it; later it asks again with the same key.
            await self._caller.once(
                "pay", *asked, give_up_after=self._guest.chance.uniform(0, 0.05)
            )
            await self._think(1.0)
        answer = await self._caller.call("pay", *asked)
        if self._guest.temper == "double_clicker" and answer.status == 200:
            again = await self._caller.call("pay", *asked)
            if again.body != answer.body:
                raise GoneHome(f"paid twice and was told something else: {again.status}")
        if answer.status != 200:
            raise GoneHome(f"could not pay: {answer.status} {answer.code}")
        self._note(
            Paid(
                number,
                answer.body["payment_id"],
                answer.body["performance_id"],
                _seats(answer.body),
                answer.body["amount"],
                sent,
                answer.seen,
            )
        )
        self._note(Out(number, answer.seen))

    async def _behind(self, name: str, method: str, path: str) -> Answer:
        """A call behind the room, which shows that the fan is still inside."""
        sent = time.time()
        answer = await self._caller.call(name, method, path, self._place)
        self._still_inside(answer)
        if answer.status != 200:
            raise GoneHome(f"{name}: {answer.status} {answer.code}")
        self._note(Inside(self._guest.number, sent, seen=answer.seen))
        return answer

    def _still_inside(self, answer: Answer) -> None:
        if answer.status in (401, 403):
            raise GoneHome(f"the visit was over: {answer.code}")

    async def _leave_inside(self, how: str) -> None:
        self._note(Inside(self._guest.number, time.time(), last=True))
        await self._leave(how)

    async def _think(self, share: float) -> None:
        await asyncio.sleep(self._guest.chance.uniform(0.3, 1.7) * self._plan.thinking * share)


def _seats(document: Any) -> tuple[int, ...]:
    return tuple(seat["seat_no"] for seat in document["seats"])


def _sequence(token: str) -> int:
    """The place's number, which the token carries for everybody to read."""
    claims = token.split(".")[1]
    return int(orjson.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["seq"])
