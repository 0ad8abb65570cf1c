"""Every table, imported once: what migrations compare the database with."""

from concert.accounts.models import User
from concert.catalogue.models import Concert, Performance, Seat
from concert.ground.idempotency import IdempotencyKey
from concert.payments.models import Payment
from concert.reservations.models import Reservation
from concert.waiting_room.models import CompletedPlace, Room
from concert.wallet.models import Wallet, WalletEntry

__all__ = [
    "CompletedPlace",
    "Concert",
    "IdempotencyKey",
    "Payment",
    "Performance",
    "Reservation",
    "Room",
    "Seat",
    "User",
    "Wallet",
    "WalletEntry",
]
