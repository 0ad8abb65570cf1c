"""Hot statements: prepared once on each connection, and run without psycopg's ceremony.

psycopg reads a statement's text, finds out the type of every value and makes a cursor each time,
which costs more processor time than sending it. A :class:`Hot` statement has read its text at
import, and sends its values as text, whose types PostgreSQL has found out when it prepared it.
What that does not cover goes the usual way: a value of another type, a connection that is not in
autocommit, a pipeline, or a service that is told to prepare nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg
from psycopg import generators, pq
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result

if TYPE_CHECKING:
    from concert.ground.database import Connection

NAMED = re.compile(r"%\((\w+)\)s|%%")
RIGHT = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
IDLE = pq.TransactionStatus.IDLE
NO_PIPELINE = pq.PipelineStatus.OFF
# The server has lost a prepared statement: somebody said DISCARD ALL, or stands in between.
LOST = "26000"
# It has one of this name already. The name says the text, so it is the same statement.
HAS_IT = "42P05"
# Since a migration its plan fits no more. PostgreSQL says 0A000 of much else, too, but elsewhere.
FITS_NO_MORE, FOUND_OUT = "0A000", "RevalidateCachedQuery"

# Every hot statement there is.
hot_statements: list[Hot] = []


class Forgotten(psycopg.OperationalError):
    """A transaction was undone, since a statement of it has to be prepared anew outside of it.

    Nothing was done, so whoever has the whole transaction at hand may do it again.
    """


class Prepared:
    """What one connection has prepared, and how it reads results."""

    __slots__ = ("generation", "names", "reader")

    def __init__(self, link: Connection) -> None:
        self.names: dict[Hot, bytes] = {}
        self.reader = Transformer.from_context(link)
        # Counts how often plans did not fit any more: those keep their names on the server.
        self.generation = 0


class Hot(str):
    """A statement that is sent all the time, with values named as in ``%(user)s``.

    It is a statement like any other for whoever executes it as text; :meth:`row` and
    :meth:`rows` are quicker and give the same.
    """

    __slots__ = ("_digest", "_names", "_numbered")

    _digest: bytes
    _names: tuple[str, ...]
    _numbered: bytes

    def __init__(self, text: str) -> None:
        super().__init__()
        numbers: dict[str, int] = {}

        def numbered(found: re.Match[str]) -> str:
            if found[1] is None:
                return "%"
            return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

        self._numbered = NAMED.sub(numbered, text).encode()
        self._names = tuple(numbers)
        # In its name, so that the same name never stands for another statement, whoever has
        # prepared it: a bouncer lends one connection to many.
        digest = hashlib.sha1(self._numbered, usedforsecurity=False).hexdigest()
        self._digest = digest[:16].encode()
        hot_statements.append(self)

    def row(self, link: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row of its result, None where there is none.

        Raises:
            psycopg.Error: as from ``link.execute``.
            Forgotten: the transaction around it is undone, and may be done again.
        """
        if (sent := self._sent(link, values)) is None:
            return link.execute(self, values).fetchone()
        result = self._result(link, sent)
        if not result.ntuples:
            return None
        reader = link.prepared.reader  # type: ignore[union-attr]  # nothing is sent without it
        reader.set_pgresult(result)
        return reader.load_row(0, tuple)

    def rows(self, link: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """All rows of its result.

        Raises:
            What :meth:`row` raises.
        """
        if (sent := self._sent(link, values)) is None:
            return link.execute(self, values).fetchall()
        result = self._result(link, sent)
        reader = link.prepared.reader  # type: ignore[union-attr]  # nothing is sent without it
        reader.set_pgresult(result)
        return reader.load_rows(0, result.ntuples, tuple)

    def _sent(self, link: Connection, values: Mapping[str, Any]) -> list[bytes | None] | None:
        """The values as they are sent; None where the statement has to go the usual way."""
        if (
            link.prepared is None
            or not link.autocommit
            or link.pgconn.pipeline_status != NO_PIPELINE
        ):
            return None
        sent: list[bytes | None] = []
        for name in self._names:
            value = values[name]
            as_text = AS_TEXT.get(type(value))
            if as_text is None:
                return None
            sent.append(as_text(value))
        return sent

    def _result(self, link: Connection, sent: list[bytes | None]) -> pq.abc.PGresult:
        result = self._run(link, sent)
        if result.status in RIGHT:
            return result
        error = error_from_result(result)
        if not _is_to_be_prepared_anew(error):
            raise error
        assert link.prepared is not None
        link.prepared.names.clear()
        if error.sqlstate == FITS_NO_MORE:
            link.prepared.generation += 1
        # By itself it is a transaction of its own, which the error has undone; within another
        # one it is not alone.
        if link.pgconn.transaction_status != IDLE:
            raise Forgotten("A statement has to be prepared anew") from error
        result = self._run(link, sent)
        if result.status in RIGHT:
            return result
        raise error_from_result(result)

    def _run(self, link: Connection, sent: list[bytes | None]) -> pq.abc.PGresult:
        prepared = link.prepared
        assert prepared is not None
        name = prepared.names.get(self)
        if name is None:
            name = b"concert_%s_%d" % (self._digest, prepared.generation)
            link.pgconn.send_prepare(name, self._numbered)
            result = _answer(link)
            if result.status not in RIGHT and error_from_result(result).sqlstate != HAS_IT:
                return result
            prepared.names[self] = name
            if result.status not in RIGHT and link.pgconn.transaction_status != IDLE:
                raise Forgotten("A statement was prepared already") from error_from_result(result)
        link.pgconn.send_query_prepared(name, sent)
        return _answer(link)


def prepares(link: Connection) -> Prepared | None:
    """What a new connection prepares by; None where the texts that are sent here would not be its own."""
    return Prepared(link) if link.info.encoding == "utf-8" else None


def _answer(link: Connection) -> pq.abc.PGresult:
    # The connection's own wait: it knows the budget, and lets other greenlets run meanwhile.
    return link.wait(generators.execute(link.pgconn))[-1]  # type: ignore[no-any-return]


def _is_to_be_prepared_anew(error: psycopg.Error) -> bool:
    if error.sqlstate == FITS_NO_MORE:
        return error.diag.source_function == FOUND_OUT
    return error.sqlstate == LOST


def _text(value: str) -> bytes:
    if "\0" in value:
        # It would end there. psycopg says the same.
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return value.encode()


AS_TEXT: dict[type, Callable[[Any], bytes | None]] = {
    UUID: lambda value: b"%032x" % value.int,
    bool: lambda value: b"t" if value else b"f",
    int: lambda value: b"%d" % value,
    str: _text,
    type(None): lambda _: None,
}
