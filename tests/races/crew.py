"""A crew of processes, each with an app of its own on the same servers, that act all at once."""

from __future__ import annotations

import importlib
import multiprocessing
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from flask.ctx import AppContext

from concert.factory import ConcertApp, create_app
from concert.ground.prepared import Hot
from concert.ground.settings import Settings
from tests.sale import forget_all

MOST_THREADS = 24
START_SECONDS = 60.0

# What one member does: a function of a module (it travels by its name) and its arguments,
# after the app. It runs within the app's context.
Step = Callable[[ConcertApp], Any]

# What a storm replaces in every process, statements or scripts: (module, name) -> replacement.
Altered = Mapping[tuple[str, str], Any]


@dataclass(frozen=True)
class Answer:
    """What the JSON API answered."""

    status: int
    json: Any = field(compare=False)

    @property
    def code(self) -> str:
        """The problem's code; empty where there was none."""
        return str(self.json.get("code", "")) if isinstance(self.json, dict) else ""


class Crew:
    """Processes that were spawned, not forked, so that they share nothing but the servers."""

    def __init__(self, settings: Settings, processes: int) -> None:
        self.processes = processes
        context = multiprocessing.get_context("spawn")
        # It is kept, since the spawned processes look for it by its name.
        self._gun = context.Barrier(processes)
        self._members = []
        for number in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_serve,
                args=(settings, theirs, self._gun),
                name=f"crew-{number}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._members.append((process, ours))

    def storm(self, steps: Sequence[Step], altered: Altered | None = None) -> list[Any]:
        """Take all steps at once, spread over the processes and their threads.

        Returns what they returned, in the order of the steps. At most ``MOST_THREADS``
        steps of a process run at one time; the others follow as those end.
        """
        for number, (_, pipe) in enumerate(self._members):
            pipe.send((list(steps[number :: self.processes]), dict(altered or {})))
        found: list[Any] = [None] * len(steps)
        for number, (_, pipe) in enumerate(self._members):
            answers, fault = pipe.recv()
            assert fault is None, fault
            found[number :: self.processes] = answers
        return found

    def stop(self) -> None:
        """End the processes."""
        for process, pipe in self._members:
            pipe.close()
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()


def asking(
    method: str, path: str, token: str, body: Mapping[str, Any] | None = None, key: str = ""
) -> Step:
    """A step that calls the JSON API."""
    return partial(_ask, method=method, path=path, token=token, body=body, key=key)


def ask(
    app: ConcertApp,
    method: str,
    path: str,
    token: str,
    body: Mapping[str, Any] | None = None,
    key: str = "",
) -> Answer:
    """Call the JSON API of this process' app."""
    headers = {"Authorization": f"Bearer {token}"}
    if key:
        headers["Idempotency-Key"] = key
    response = app.test_client().open(path, method=method, headers=headers, json=body)
    return Answer(response.status_code, response.get_json(silent=True))


def _ask(app: ConcertApp, **asked: Any) -> Answer:
    return ask(app, **asked)


def _serve(settings: Settings, pipe: Connection, gun: Barrier) -> None:
    app = create_app(settings)
    while True:
        try:
            steps, altered = pipe.recv()
        except EOFError:
            return
        # Tables are emptied between the tests, and numbers begin anew.
        forget_all(app)
        restored = _replace(altered)
        try:
            pipe.send((_take(app, steps, gun), None))
        except Exception as error:  # noqa: BLE001  # whatever it is, the test has to hear of it
            pipe.send(([], f"{type(error).__name__}: {error}"))
        finally:
            _replace(restored)


def _replace(statements: Altered) -> Altered:
    """Put these statements in place; returns those that were there."""
    replaced = {}
    for (module, name), text in statements.items():
        home = importlib.import_module(module)
        replaced[module, name] = there = getattr(home, name)
        setattr(home, name, Hot(text) if isinstance(there, Hot) else text)
    return replaced


def _take(app: ConcertApp, steps: Sequence[Step], gun: Barrier) -> list[Any]:
    threads = max(1, min(MOST_THREADS, len(steps)))
    ready = threading.Barrier(threads + 1)
    with ThreadPoolExecutor(threads, initializer=ready.wait) as pool:
        answers = [pool.submit(_within, app, step) for step in steps]
        for _ in range(threads - len(steps)):
            pool.submit(lambda: None)
        gun.wait(START_SECONDS)
        ready.wait(START_SECONDS)
        return [answer.result() for answer in answers]


def _within(app: ConcertApp, step: Step) -> Any:
    context: AppContext = app.app_context()
    with context:
        return step(app)
