"""Tokens and codes have one spelling each: whatever else decodes to the same bytes is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import jwt
import pytest

from concert.factory import create_app
from concert.ground.errors import TokenInvalid
from concert.ground.settings import Settings
from concert.ground.signing import sign, sign_code, verify, verify_code
from tests.sale import Fan, Sale

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def with_other_unused_bits(text: str) -> str:
    """The same bytes again: the last letter carries bits that no decoder looks at."""
    return text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1]


def in_the_other_alphabet(text: str) -> str:
    return text.replace("-", "+").replace("_", "/")


SPELLINGS: list[Callable[[str], str]] = [
    lambda text: text + "=",
    lambda text: text + "==",
    lambda text: text + "====",
    lambda text: text + "\n",
    lambda text: text + " ",
    lambda text: text + "\xa0",
    lambda text: text[:-3] + " " + text[-3:],
    lambda text: text[:-3] + "!" + text[-3:],
    lambda text: text[:-3] + "\n" + text[-3:],
    lambda text: text + "é",
    with_other_unused_bits,
    in_the_other_alphabet,
]


@pytest.fixture
def token(sale: Sale) -> str:
    """A token whose signature has letters in which the two alphabets differ, and unused bits."""
    return next(
        token
        for token in (sign("user", 3600, {"sub": "somebody", "n": n}) for n in range(1000))
        if {"-", "_"} & set(token.rpartition(".")[2])
    )


@pytest.fixture
def code(sale: Sale) -> str:
    return next(
        code
        for code in (sign_code("ticket", bytes([n]) * 16) for n in range(256))
        if {"-", "_"} & set(code)
    )


def other_spellings(text: str) -> Iterator[str]:
    for respelled in SPELLINGS:
        assert respelled(text) != text
        yield respelled(text)


def test_a_token_has_one_spelling(token: str) -> None:
    assert verify(token, "user", ["sub"])["sub"] == "somebody"
    for spelling in other_spellings(token):
        with pytest.raises(TokenInvalid):
            verify(spelling, "user", ["sub"])


def test_a_token_that_pyjwt_has_to_judge_has_one_spelling(token: str, settings: Settings) -> None:
    claims = jwt.decode(token, options={"verify_signature": False})
    theirs = next(
        theirs
        for theirs in (
            jwt.encode({**claims, "n": n}, settings.secret_keys[0], headers={"kid": "other"})
            for n in range(1000)
        )
        if {"-", "_"} & set(theirs.rpartition(".")[2])
    )
    assert verify(theirs, "user", ["sub"])["sub"] == "somebody"
    for spelling in other_spellings(theirs):
        with pytest.raises(TokenInvalid):
            verify(spelling, "user", ["sub"])


def test_a_token_of_an_older_key_has_one_spelling(token: str, settings: Settings) -> None:
    keys = ("the next key, just as long as the one before it", *settings.secret_keys)
    app = create_app(settings.model_copy(update={"secret_keys": keys}))
    with app.app_context():
        assert verify(token, "user", ["sub"])["sub"] == "somebody"
        for spelling in other_spellings(token):
            with pytest.raises(TokenInvalid):
                verify(spelling, "user", ["sub"])


def test_a_code_has_one_spelling(code: str) -> None:
    assert len(verify_code("ticket", code)) == 16
    for spelling in other_spellings(code):
        with pytest.raises(TokenInvalid):
            verify_code("ticket", spelling)


def test_a_ticket_s_address_has_one_spelling(sale: Sale) -> None:
    concert = sale.concert(price=0)
    fan = sale.admitted_fan(concert)
    fan.hold(concert, 1)
    payment = UUID(fan.pay(concert, 1).json["payment_id"])
    code = sign_code("ticket", payment.bytes)
    client = sale.app.test_client()
    assert client.get(f"/tickets/verify/{code}").status_code == 200
    for spelling in (code + "=", code + "%3D", with_other_unused_bits(code), code + "%0A"):
        assert client.get(f"/tickets/verify/{spelling}").status_code == 404


@pytest.mark.parametrize(
    "spelled",
    ["{}=", "{}==", "{}\xa0", "{}\x85", "{}\x0b", '"{}"', "{},", "{}, Bearer {}", "{} {}"],
)
def test_the_authorization_header_carries_the_token_as_it_is(sale: Sale, spelled: str) -> None:
    fan: Fan = sale.admitted_fan()
    for token, path in ((fan.user_token, "/v1/charges"), (fan.queue_token, "/v1/enqueues")):
        value = "Bearer " + spelled.format(token, token)
        refused = sale.app.test_client().get(path, environ_overrides={"HTTP_AUTHORIZATION": value})
        assert (refused.status_code, refused.json["code"]) == (401, "token_invalid")
        for good in (f"Bearer {token}", f"bearer  {token}", f"Bearer {token}\t"):
            answer = sale.app.test_client().get(
                path, environ_overrides={"HTTP_AUTHORIZATION": good}
            )
            assert answer.status_code == 200
