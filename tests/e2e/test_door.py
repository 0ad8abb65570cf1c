"""The door: two phones whose cameras see real codes, one of them without a network for a while."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import segno
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserType, expect

from concert.factory import ConcertApp
from concert.ground.audit import SYSTEM
from concert.ground.database import connection
from concert.staff import service
from concert.tickets.service import void_tickets
from tests.e2e.conftest import LOCALES, PHONE
from tests.e2e.house import Hall, HttpSale
from tests.e2e.test_pages import COLOURS, FINISH, WIDTHS
from tests.e2e.visitor import Complaints, Visitor, Words
from tests.tickets.buying import Owner
from tests.waiting import wait_until

# Two browsers, each with a film to look at, on a machine that does other things as well.
PATIENCE_MS = 40_000
WIDTH, HEIGHT, FRAMES = 640, 480, 10
OpenPhone = Callable[..., Visitor]


def film(path: Path, address: str) -> Path:
    """A film of a QR code on white paper, as a camera would see it (YUV4MPEG2, grey)."""
    code = segno.make(address, error="m", micro=False)
    scale = (HEIGHT - 40) // code.symbol_size(border=4)[0]
    drawn = [bytes(row) for row in code.matrix_iter(scale=scale, border=4)]
    left, top = (WIDTH - len(drawn[0])) // 2, (HEIGHT - len(drawn)) // 2
    lines = [bytes([235]) * WIDTH for _ in range(HEIGHT)]
    for number, row in enumerate(drawn):
        dark = bytes(16 if module else 235 for module in row)
        lines[top + number] = lines[0][:left] + dark + lines[0][left + len(row) :]
    frame = b"FRAME\n" + b"".join(lines) + bytes([128]) * (WIDTH * HEIGHT // 2)
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(head + frame * FRAMES)
    return path


@pytest.fixture
def open_phone(
    browser_type: BrowserType,
    browser_type_launch_args: dict[str, Any],
    house_app: ConcertApp,
    base_url: str,
    complaints: Complaints,
    tmp_path: Path,
) -> Iterator[OpenPhone]:
    """Opens a phone whose camera sees a code; each is a browser of its own, for a camera is a browser's."""
    opened = []

    def open_phone(code: str, language: str = "en") -> Visitor:
        seen = film(tmp_path / f"{uuid4()}.y4m", f"{base_url}/tickets/verify/{code}")
        camera = [
            # The browser without a window can show no question; this one answers it with yes.
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={seen}",
        ]
        arguments = [*browser_type_launch_args.get("args", []), *camera]
        browser = browser_type.launch(**{**browser_type_launch_args, "args": arguments})
        opened.append(browser)
        context = browser.new_context(
            base_url=base_url, viewport=PHONE, locale=LOCALES[language], reduced_motion="reduce"
        )
        context.set_default_timeout(PATIENCE_MS)
        # A phone that has not been asked yet: the camera waits for the thumb.
        context.add_init_script("navigator.permissions.query = async () => ({ state: 'prompt' });")
        complaints.listen(context)
        return Visitor(context, context.new_page(), complaints, Words(house_app, language))

    yield open_phone
    for browser in opened:
        browser.close()


@dataclass
class AtTheDoor:
    """Somebody at a gate with a phone."""

    visitor: Visitor

    def sign_in(self, gate: str, performance: int) -> None:
        """Use a link for the door, and choose the gate and the date."""
        made = service.add_person(f"Door {uuid4().hex[:6]}", "door", actor=SYSTEM)
        page = self.visitor.page
        self.visitor.go(f"/staff/enter/{made.code}")
        self.visitor.button("/staff/enter/").click()
        page.wait_for_url("**/door")
        page.locator("#gate").fill(gate)
        page.locator(f'button[formaction="/door/{performance}"]').click()
        page.wait_for_url(f"**/door/{performance}?gate={gate}")

    def turn_camera_on(self) -> None:
        """With the thumb."""
        self.visitor.page.locator("#start").click()

    def type(self, code: str) -> None:
        """Type a code, or paste it."""
        # What is seen next is of this code.
        self.visitor.page.locator("#verdict").evaluate("(one) => (one.dataset.kind = 'none')")
        self.visitor.page.locator("#code").fill(code)
        self.visitor.page.locator("#typed button").click()

    def sees(self, kind: str, word: str) -> None:
        """The verdict, by its colour and by its word."""
        verdict = self.visitor.page.locator("#verdict")
        expect(verdict).to_have_attribute("data-kind", kind, timeout=PATIENCE_MS)
        expect(verdict.locator(".door-word")).to_have_text(
            self.visitor.words(word), timeout=PATIENCE_MS
        )

    def counts(self, entered: int, expected: int) -> None:
        """How many are in."""
        expect(self.visitor.page.locator("#entered")).to_have_text(
            str(entered), timeout=PATIENCE_MS
        )
        expect(self.visitor.page.locator("#expected")).to_have_text(
            str(expected), timeout=PATIENCE_MS
        )

    def is_ready_to_be_alone(self, entered: int) -> None:
        """The phone has kept the page, and a list on which so many are in."""
        page = self.visitor.page
        expect(page.locator("#door[data-kept]")).to_be_attached(timeout=PATIENCE_MS)
        kept = """async () => {
          const { keptList } = await import(document.querySelector('script[src*="door/door.js"]').src.replace("door.js", "kept.js"));
          return (await keptList(Number(document.getElementById("door").dataset.performance)))?.entered.length;
        }"""
        wait_until(lambda: page.evaluate(kept) == entered, what="the list is kept", seconds=40)


def told(sale: HttpSale, performance: int) -> dict[str, Any]:
    """What the server knows of who is in."""
    answer = sale.organise("GET", f"/v1/performances/{performance}/entries")
    found: dict[str, Any] = answer.json
    return found


def buyer(sale: HttpSale, hall: Hall, *seats: int) -> Owner:
    fan = hall.fan_inside()
    fan.charge(50_000 * len(seats))
    hall.take(fan, *seats)
    paid = fan.pay(hall.concert_id, seats[0])
    assert paid.status_code == 200, paid.text
    listed = fan.call_as_user("GET", "/v1/tickets").json["tickets"]
    return Owner(
        fan,
        hall.concert_id,
        listed[0]["performance_id"],
        paid.json["payment_id"],
        [one["ticket_id"] for one in listed],
    )


@pytest.mark.timeout(300)
def test_two_phones_one_of_them_alone_for_a_while_let_each_ticket_in_once(
    sale: HttpSale, hall: Hall, open_phone: OpenPhone
) -> None:
    owner = buyer(sale, hall, 1, 2, 3)
    one, two, three = (owner.code(number) for number in range(3))
    near, far = AtTheDoor(open_phone(one)), AtTheDoor(open_phone(two, "ko"))
    far.visitor.complaints.expect_broken_network()
    near.sign_in("A", owner.performance)
    far.sign_in("B", owner.performance)

    # The camera of the first sees a ticket, and the server lets it in.
    near.turn_camera_on()
    near.sees("in", "In")
    near.counts(1, 3)
    far.counts(1, 3)

    # The second is alone: its page opens all the same, and what it lets in is never said to be in.
    far.is_ready_to_be_alone(entered=1)
    far.visitor.context.set_offline(True)
    far.visitor.page.reload()
    far.turn_camera_on()
    far.sees("queued", "Queued")
    far.type(three)
    far.sees("queued", "Queued")
    far.type(three)
    far.sees("already_in", "Already in")
    far.type(one)
    far.sees("already_in", "Already in")
    far.type(three[:60] + ("B" if three[60] == "A" else "A") + three[61:])
    far.sees("unknown", "Not ours")
    expect(far.visitor.page.locator("#queue li[data-state=queued]")).to_have_count(
        2, timeout=PATIENCE_MS
    )
    assert told(sale, owner.performance)["entered"] == 1

    # Meanwhile the first lets one of the two in.
    near.type(two)
    near.sees("in", "In")

    # The network is back: one entry stands, and the other is a conflict that both see.
    far.visitor.context.set_offline(False)
    page = far.visitor.page
    expect(page.locator("#queue li[data-state=in]")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#queue li[data-state=conflict]")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#queue li[data-state=queued]")).to_have_count(0, timeout=PATIENCE_MS)
    expect(near.visitor.page.locator("#conflict-list li")).to_have_count(1, timeout=PATIENCE_MS)
    near.counts(3, 3)
    known = told(sale, owner.performance)
    assert known["by_gate"] == {"A": 2, "B": 1}
    assert [(one["seat_no"], one["gate"], one["first_gate"]) for one in known["conflicts"]] == [
        (2, "B", "A")
    ]


@pytest.mark.timeout(300)
def test_every_verdict_has_a_word_a_sign_and_a_sound_of_its_own_and_a_group_enters_at_once(
    sale: HttpSale,
    hall: Hall,
    open_hall: Callable[..., Hall],
    open_phone: OpenPhone,
) -> None:
    owner, elsewhere = buyer(sale, hall, 1, 2, 3, 4), buyer(sale, open_hall(), 1)
    void = owner.code(3)
    with connection() as link, link.transaction():
        void_tickets(link, payment_id=owner.payment, seat_nos=[4], reason="refunded")
    door = AtTheDoor(open_phone(owner.code(0)))
    door.sign_in("A", owner.performance)
    page = door.visitor.page
    page.evaluate(HEARD)

    shown = {}
    for code, kind, word in (
        (void, "void", "Void"),
        (elsewhere.code(), "other_date", "Other date"),
        ("nonsense", "unknown", "Not ours"),
        (owner.code(1), "in", "In"),
    ):
        door.type(code)
        door.sees(kind, word)
        style = page.locator("#verdict").evaluate("(one) => getComputedStyle(one).borderTopStyle")
        shown[kind] = (page.locator(".door-sign").inner_text(), word, style)

    assert len({sign for sign, _, _ in shown.values()}) == len(shown)
    heard = page.evaluate("heard")
    assert len(heard) >= 6 and len({json.dumps(one) for one in heard}) >= 5
    no_violations(door.visitor)

    page.locator("#together").click()
    expect(page.locator(".door-more")).to_have_text(
        door.visitor.words("{n} together", n=2).replace("{n}", "2")
    )
    door.counts(3, 3)

    # A wrong one is undone, with a reason.
    door.type(owner.code(1))
    door.sees("already_in", "Already in")
    door.visitor.page.get_by_role(
        "link", name=door.visitor.words("Search by name or number")
    ).click()
    page.locator("#search").fill("3")
    page.locator(".another button").click()
    page.locator("details > summary").click()
    page.locator("input[name=reason]").fill("went home")
    page.locator("form[action$='/undo'] button").click()
    door.counts(2, 3)
    no_violations(door.visitor)


# What the page asks the browser to play: pitch and length.
HEARD = """() => {
  window.heard = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (at) {
    window.heard.push([this.frequency.value, this.type, Math.round(at * 0)]);
    return start.call(this, at);
  };
}"""


def no_violations(visitor: Visitor) -> None:
    """The page keeps nobody out, light and dark, and is not wider than a phone."""
    page, axe = visitor.page, Axe()
    for scheme, rules in (("light", None), ("dark", COLOURS)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.evaluate(FINISH)
        violations = axe.run(page, options=rules).response["violations"]
        assert violations == [], [
            (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in violations
        ]
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), width
    page.set_viewport_size(PHONE)
