"""The RQ worker: the app is built once, and every job runs within it."""

from __future__ import annotations

from typing import Any

import structlog
from rq.job import Job
from rq.queue import Queue
from rq.worker import SimpleWorker

from concert.factory import create_app
from concert.ground.tracing import span_of_job

log = structlog.get_logger()


class Worker(SimpleWorker):
    """Runs jobs in its own process: our jobs take milliseconds, and a fork for each would cost more."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._app = create_app()

    def perform_job(self, job: Job, queue: Queue, *arguments: Any) -> bool:
        """Run a job within the app, under the id of the request it came from, or its own."""
        request_id = (job.meta or {}).get("request_id") or job.id
        with (
            self._app.app_context(),
            structlog.contextvars.bound_contextvars(request_id=request_id),
            span_of_job(self._app, str(job.func_name)),
        ):
            succeeded: bool = super().perform_job(job, queue, *arguments)
            if not succeeded:
                log.error("job_failed", job=job.func_name, error=_last_line(job))
            return succeeded


def _last_line(job: Job) -> str:
    result = job.latest_result()
    return (
        (result.exc_string or "").strip().splitlines()[-1] if result and result.exc_string else ""
    )
