"""Jobs of every hour and every day: in batches, each a job of its own, by a worker of their own.

A batch is short, and the next one queues behind whatever else there is. So even where one
worker does everything, upkeep keeps no tick waiting for longer than a batch may take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

import structlog
from rq import Queue, get_current_job

from concert.catalogue.service import performance_after
from concert.ground import idempotency
from concert.ground.parts import part
from concert.ground.redis_client import jobs_redis
from concert.ground.settings import Settings
from concert.overview import samples
from concert.payments.service import differing_seats
from concert.refunds import books, cancelling
from concert.waiting_room import rooms, service
from concert.wallet.service import GREATEST, LEAST, differing_wallets, wallet_after

log = structlog.get_logger()

# Where upkeep queues, and what one job of it may take; its statements may take 5 s.
UPKEEP: dict[str, Any] = {"queue_name": "upkeep", "job_timeout": 30, "ttl": 3600, "result_ttl": 0}
KEYS_AT_ONCE = 1000
WALLETS_AT_ONCE = 1000


def clean_idempotency_keys() -> None:
    """Drop idempotency keys that are older than any retry."""
    keys = idempotency.forget_old(KEYS_AT_ONCE)
    log.info("idempotency_keys_cleaned", keys=keys)
    if keys == KEYS_AT_ONCE:
        _go_on(clean_idempotency_keys)


def forget_old_samples() -> None:
    """Drop what is known of sales from longer ago than anybody looks."""
    dropped = samples.forget_old_samples()
    log.info("samples_forgotten", samples=dropped)
    if dropped == samples.FORGOTTEN_AT_ONCE:
        _go_on(forget_old_samples)


def forget_ended_places() -> None:
    """Drop what Redis remembers of places whose tokens have ended, too."""
    for room in rooms.list_rooms():
        _go_on(forget_ended_places_of, slug=room.slug)


def forget_ended_places_of(slug: str) -> None:
    """Drop what Redis remembers of one room's ended places."""
    settings = part(Settings)
    dropped = service.forget_ended(slug, settings.queue_token_hours * 3600 + 3600)
    log.info("ended_places_forgotten", room=slug, places=dropped)


def refund_cancelled() -> None:
    """Go on giving back the money of dates that are cancelled; the clock asks for it all the time."""
    refunded = cancelling.refund_cancelled()
    if refunded:
        log.info("payments_refunded", payments=refunded)


def reconcile() -> None:
    """Compare wallets, ledger, payments, refunds, payouts, seats and tickets; report any difference."""
    _go_on(reconcile_wallets, after=str(LEAST), differing_wallets_so_far=0)


def reconcile_wallets(
    after: str, differing_wallets_so_far: int, differing_documents_so_far: int = 0
) -> None:
    """Compare the next wallets, in the order of their users' ids, with their ledgers.

    And their users' payments, refunds and payouts with the ledger and with the seats.
    """
    begin = UUID(after)
    end = wallet_after(begin, WALLETS_AT_ONCE)
    differences = differing_wallets(begin, end or GREATEST)
    for difference in differences:
        log.error("wallet_differs", **difference)
    found = differing_wallets_so_far + len(differences)
    documents = differing_documents_so_far + _tell(
        books.differing_documents(begin, end or GREATEST)
    )
    if end is not None:
        _go_on(
            reconcile_wallets,
            after=str(end),
            differing_wallets_so_far=found,
            differing_documents_so_far=documents,
        )
    else:
        documents += _tell(books.differing_cancellations())
        _go_on(
            reconcile_seats, after=0, wallets=found, documents=documents, differing_seats_so_far=0
        )


def reconcile_seats(
    after: int, wallets: int, differing_seats_so_far: int, documents: int = 0
) -> None:
    """Compare the seats of the next performance with their payments; the last one tells the result."""
    performance_id = performance_after(after)
    # From the one before on, so that what is said of a performance that is not there is found, too.
    last = {} if performance_id is None else {"last": performance_id}
    differences = differing_seats(after + 1, **last)
    for difference in differences:
        log.error("seat_differs", **difference)
    found = differing_seats_so_far + len(differences)
    documents += _tell(books.differing_tickets(after + 1, **last))
    if performance_id is None:
        log.info(
            "reconciled",
            differing_wallets=wallets,
            differing_documents=documents,
            differing_seats=found,
        )
    else:
        _go_on(
            reconcile_seats,
            after=performance_id,
            wallets=wallets,
            documents=documents,
            differing_seats_so_far=found,
        )


def _tell(differences: Sequence[books.Difference]) -> int:
    for one in differences:
        log.error("money_differs", **asdict(one))
    return len(differences)


def _go_on(job: Callable[..., None], **known: Any) -> None:
    """Queue the next batch."""
    current = get_current_job()
    # Where jobs have a Redis of their own, it is the one that this job came from.
    queue = Queue(UPKEEP["queue_name"], connection=current.connection if current else jobs_redis())
    options = {name: value for name, value in UPKEEP.items() if name != "queue_name"}
    queue.enqueue(job, kwargs=known, **options)
