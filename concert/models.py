"""Every table, imported once: what migrations compare the database with."""

from concert.accounts.models import User
from concert.catalogue.models import Concert, Performance, Seat
from concert.covers.models import Cover, CoverFile
from concert.ground.audit import AuditEntry
from concert.ground.idempotency import IdempotencyKey
from concert.halls.models import Hall
from concert.overview.models import SaleSample
from concert.payments.models import Payment, Refund, RefundedSeat
from concert.planning.models import PerformanceChange
from concert.refunds.models import Cancellation
from concert.reservations.models import Reservation
from concert.staff.models import ApiKey, StaffLink, StaffMember, StaffSession
from concert.tickets.models import Entry, HandOn, Ticket
from concert.waiting_room.models import CompletedPlace, Room
from concert.wallet.models import Payout, Wallet, WalletEntry

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Cancellation",
    "CompletedPlace",
    "Concert",
    "Cover",
    "CoverFile",
    "Entry",
    "Hall",
    "HandOn",
    "IdempotencyKey",
    "Payment",
    "Payout",
    "Performance",
    "PerformanceChange",
    "Refund",
    "RefundedSeat",
    "Reservation",
    "Room",
    "SaleSample",
    "Seat",
    "StaffLink",
    "StaffMember",
    "StaffSession",
    "Ticket",
    "User",
    "Wallet",
    "WalletEntry",
]
