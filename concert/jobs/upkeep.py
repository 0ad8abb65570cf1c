"""Jobs of every hour and every day."""

from __future__ import annotations

import structlog

from concert.ground import idempotency
from concert.ground.parts import part
from concert.ground.settings import Settings
from concert.payments.service import differing_seats
from concert.waiting_room import rooms, service
from concert.wallet.service import differing_wallets

log = structlog.get_logger()


def clean_idempotency_keys() -> None:
    """Drop the idempotency keys that are older than any retry."""
    log.info("idempotency_keys_cleaned", keys=idempotency.forget_old())


def forget_ended_places() -> None:
    """Drop what Redis remembers of places whose tokens have ended, too."""
    settings = part(Settings)
    for room in rooms.list_rooms():
        dropped = service.forget_ended(room.slug, settings.queue_token_hours * 3600 + 3600)
        log.info("ended_places_forgotten", room=room.slug, places=dropped)


def reconcile() -> dict[str, int]:
    """Compare every wallet with its ledger and every seat with its payment; report any difference."""
    wallets, seats = differing_wallets(), differing_seats()
    for difference in wallets:
        log.error("wallet_differs", **difference)
    for difference in seats:
        log.error("seat_differs", **difference)
    log.info("reconciled", differing_wallets=len(wallets), differing_seats=len(seats))
    return {"wallets": len(wallets), "seats": len(seats)}
