"""A Redis Cluster, or a server that Sentinel knows: one client of ours for each server, and who has what.

redis-py's own cluster client tries again after a lost answer, and knows no budget of time. Here every
command goes, once, to the server that has its key, by that server's own :class:`Client`, with its waits and
its outages. What a server sends on elsewhere (MOVED, ASK, TRYAGAIN) was not done, so it is asked again.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

import structlog
from redis.client import PubSub
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TimeoutError,
    TryAgainError,
)

from concert.ground.budget import Outage
from concert.ground.redis_client import Client, WatchedPipeline, one_server, seconds_left

log = structlog.get_logger()

SLOTS = 16384
# How long what is known of the servers is good, and how soon it is asked for again after a failure.
KNOWN_SECONDS = 30.0
AGAIN_SECONDS = 0.5
MOST_HOPS = 5
# While a slot moves, the keys of a room are in two places; a server says so until they are in one.
MOVING_SECONDS = 0.02
# From this version on, facts go to the servers of one slot and not to all.
SHARDED_SINCE = 7
# Servers that hear no question are asked once in this time whether a subscription is elsewhere now.
EAR_SECONDS = 1.0

# These have no key. Each server gets those of the first list.
TO_ALL = {"FLUSHALL", "FLUSHDB", "KEYS", "SCRIPT", "CONFIG", "DBSIZE"}
TO_ANY = {"PING", "INFO", "TIME", "CLIENT", "PUBSUB", "CLUSTER", "ROLE", "COMMAND", "BGSAVE"}

Address = tuple[str, int]


class Known(NamedTuple):
    """Who has which slot, when that was found out, and whether facts go by slots."""

    owners: tuple[Address | None, ...]
    servers: tuple[Address, ...]
    at: float
    is_sharded: bool


class ClusterClient(Client):
    """The client of a whole cluster: it is used as that of one server."""

    def __init__(self, url: str, *, socket_timeout: float | None) -> None:
        parts = urlsplit(url)
        kind = parts.scheme.partition("+")[2]
        self._is_cluster = kind == "cluster"
        self._name = unquote(parts.path.strip("/")) or "mymaster"
        self._seeds = [address_of(one) for one in parts.netloc.rpartition("@")[2].split(",")]
        self._login = parts.netloc.rpartition("@")[0]
        self._scheme = parts.scheme.partition("+")[0]
        self._query = parts.query
        self._socket_timeout = socket_timeout
        self._clients: dict[Address, Client] = {}
        self._known: Known | None = None
        self._stale_since = 0.0
        self._looking = threading.Lock()
        # redis-py asks a client for its pool, to know how values are encoded.
        super().__init__(connection_pool=self.client_of(self._seeds[0]).connection_pool)

    @property
    def speaks_in_scripts(self) -> bool:
        """Whether a script may publish: not where a channel's slot may be another server's."""
        return not self._is_cluster or not self.known().is_sharded

    @property
    def is_sharded(self) -> bool:
        """Whether facts are told by slots (SPUBLISH)."""
        return self._is_cluster and self.known().is_sharded

    def servers(self) -> list[Client]:
        """A client for each server that has slots."""
        return [self.client_of(one) for one in self.known().servers]

    def server_of(self, key: str) -> Client:
        """The client of the server that has a key."""
        return self.owner_of(slot_of_key(key))

    def outages(self) -> list[Outage]:
        """What is known of the silence of each server."""
        return [one for client in list(self._clients.values()) for one in client.outages()]

    def ask(self, *command: str | bytes | float) -> Any:
        """Send a command whose answer is taken as it comes, to the server that has its key."""
        return self._routed(command, {}, lambda server: server.ask(*command))

    def execute_command(self, *command: Any, **options: Any) -> Any:
        """Send a command, once, to the server that has its key; one without a key to any, or to all."""
        name = str(command[0]).upper().partition(" ")[0]
        if name == "PUBLISH" and self.is_sharded:
            command = ("SPUBLISH", *command[1:])
        if name in TO_ALL:
            return self._asked_of_all(name, command, options)
        return self._routed(
            command, options, lambda server: server.execute_command(*command, **options)
        )

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> ClusterPipeline:
        """Several commands in one message to each server that has keys of theirs."""
        made = ClusterPipeline(self._pool, self.response_callbacks, transaction, shard_hint)
        made.whole = self
        return made

    def pubsub(self, **options: Any) -> PubSub:
        """redis-py's subscription, at one of the servers."""
        made: PubSub = self.servers()[0].pubsub(**options)  # type: ignore[no-untyped-call]  # redis-py has no types here
        return made

    def let_go(self) -> None:
        """Disconnect what nobody uses, and look anew who has what."""
        self.look_anew()
        for client in list(self._clients.values()):
            client.let_go()

    def known(self) -> Known:
        """Who has what; it is asked for anew where it is old or was wrong."""
        known = self._known
        now = time.monotonic()
        if known is not None:
            is_due = self._stale_since > known.at or now - known.at > KNOWN_SECONDS
            if not is_due or now - known.at < AGAIN_SECONDS or self._looking.locked():
                return known
        with self._looking:
            if self._known is not known and self._known is not None:
                return self._known
            self._known = self._found_out(known)
            return self._known

    def look_anew(self) -> None:
        """Whoever asks next finds out who has what."""
        self._stale_since = time.monotonic()

    def client_of(self, address: Address) -> Client:
        """Our client of one server."""
        client = self._clients.get(address)
        if client is None:
            host, port = address
            host = f"[{host}]" if ":" in host else host
            login = f"{self._login}@" if self._login else ""
            query = f"?{self._query}" if self._query else ""
            url = f"{self._scheme}://{login}{host}:{port}/{query}"
            client = one_server(url, socket_timeout=self._socket_timeout)
            client = self._clients.setdefault(address, client)
        return client

    def owner_of(self, slot: int | None) -> Client:
        """The client of whichever server has a slot; of any, where None is given.

        Raises:
            ClusterDownError: nobody has it.
        """
        known = self.known()
        address = known.servers[0] if slot is None and known.servers else None
        if slot is None:
            # One that is not silent, if there is one.
            for one in known.servers:
                if not any(outage.lasts() for outage in self.client_of(one).outages()):
                    address = one
                    break
        else:
            address = known.owners[slot]
        if address is None:
            self.look_anew()
            raise ClusterDownError("CLUSTERDOWN Nobody has this slot")
        return self.client_of(address)

    def answer_of(
        self, command: tuple[Any, ...], options: dict[str, Any], error: RedisError
    ) -> Any:
        """The answer to a command that a server has not done, as its error says.

        Raises:
            RedisError: it was not done anywhere.
        """
        ends = time.monotonic() + seconds_left()
        for _ in range(MOST_HOPS):
            try:
                if isinstance(error, MovedError):
                    self.look_anew()
                    server = self.client_of(self._elsewhere(error))
                    return server.execute_command(*command, **options)
                if isinstance(error, AskError):
                    pipeline = self.client_of(self._elsewhere(error)).pipeline(transaction=False)
                    pipeline.execute_command("ASKING")
                    pipeline.execute_command(*command, **options)
                    return pipeline.execute()[1]
                if not isinstance(error, TryAgainError) or time.monotonic() > ends:
                    raise error
                time.sleep(MOVING_SECONDS)
                server = self.owner_of(slot_of(command))
                return server.execute_command(*command, **options)
            except (AskError, TryAgainError) as further:
                error = further
        raise error

    def note(self, error: RedisError) -> None:
        """Look anew after an error that may mean that a server's slots are another's by now."""
        if isinstance(error, ConnectionError | TimeoutError | ClusterDownError | ReadOnlyError):
            self.look_anew()

    def _routed(
        self,
        command: tuple[Any, ...],
        options: dict[str, Any],
        send: Callable[[Client], Any],
    ) -> Any:
        try:
            return send(self.owner_of(slot_of(command)))
        except (AskError, TryAgainError) as error:
            return self.answer_of(command, options, error)
        except RedisError as error:
            self.note(error)
            raise

    def _asked_of_all(self, name: str, command: tuple[Any, ...], options: dict[str, Any]) -> Any:
        answers = [one.execute_command(*command, **options) for one in self.servers()]
        if name == "KEYS":
            return [key for answer in answers for key in answer]
        return sum(answers) if name == "DBSIZE" else answers[0]

    def _elsewhere(self, error: AskError) -> Address:
        # A server that does not know its own name leaves it out: it is at the one that was asked.
        return (error.host or self._seeds[0][0], int(error.port))

    def _found_out(self, before: Known | None) -> Known:
        """Ask one server after the other until one says who has what.

        Raises:
            ConnectionError: none of them does.
        """
        asked = [*dict.fromkeys([*(before.servers if before else ()), *self._seeds])]
        # One that was silent lately would take the time that is left.
        asked.sort(key=lambda one: max(outage.began for outage in self.client_of(one).outages()))
        last: RedisError = ConnectionError("No server of the cluster can be reached")
        for address in asked if self._is_cluster else self._seeds:
            client = self.client_of(address)
            try:
                if not self._is_cluster:
                    return self._told_by_sentinel(client)
                slots = client.ask("CLUSTER", "SLOTS")
                version = client.info("server") if before is None else None
            except RedisError as error:
                last = error
                continue
            owners: list[Address | None] = [None] * SLOTS
            for begin, end, (host, port, *_), *_replicas in slots:
                owner = (host.decode() if host else address[0], int(port))
                owners[begin : end + 1] = [owner] * (end + 1 - begin)
            servers = tuple(dict.fromkeys(one for one in owners if one))
            if not servers:
                last = ClusterDownError("CLUSTERDOWN Nobody has any slot")
                continue
            is_sharded = before.is_sharded if before else major(version) >= SHARDED_SINCE
            if before is not None and before.servers != servers:
                log.warning("cluster_changed", servers=[f"{host}:{port}" for host, port in servers])
            return Known(tuple(owners), servers, time.monotonic(), is_sharded)
        if before is not None:
            # Better than nothing; it is asked for again soon.
            return before._replace(at=time.monotonic())
        raise last

    def _told_by_sentinel(self, sentinel: Client) -> Known:
        found = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)
        if not found:
            raise ConnectionError(f"Sentinel does not know {self._name}")
        address = (found[0].decode(), int(found[1]))
        return Known((address,) * SLOTS, (address,), time.monotonic(), False)


class ClusterPipeline(WatchedPipeline):
    """Commands in one message to each server; the answers come in the order of the commands."""

    whole: ClusterClient

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send all commands, once, and return their answers.

        Where ``raise_on_error`` is false, a server that cannot be reached is an error in the place of
        its answers alone, unless there is none that can be.
        """
        stack = [(tuple(args), options) for args, options in self.command_stack]
        self.reset()
        slots = [slot_of(args) for args, _ in stack]
        usual = next((slot for slot in slots if slot is not None), None)
        shares: dict[Client, list[int]] = {}
        for index, slot in enumerate(slots):
            server = self.whole.owner_of(usual if slot is None else slot)
            shares.setdefault(server, []).append(index)
        answers: list[Any] = [None] * len(stack)
        failures: list[RedisError] = []
        for server, share in shares.items():
            try:
                found = self._asked(server, [stack[index] for index in share])
            except RedisError as error:
                self.whole.note(error)
                failures.append(error)
                found = [error] * len(share)
            for index, answer in zip(share, found, strict=True):
                answers[index] = answer
        if failures and (raise_on_error or len(failures) == len(shares)):
            raise failures[0]
        if raise_on_error:
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    def _asked(self, server: Client, commands: Sequence[tuple[Any, Any]]) -> list[Any]:
        pipeline = server.pipeline(transaction=False)
        for args, options in commands:
            pipeline.execute_command(*args, **options)
        found = pipeline.execute(raise_on_error=False)
        for index, answer in enumerate(found):
            if isinstance(answer, AskError | TryAgainError):
                try:
                    found[index] = self.whole.answer_of(*commands[index], answer)
                except RedisError as error:
                    found[index] = error
        return found


class ClusterEar:
    """A subscription at every server that has one of the channels; it looks like redis-py's.

    A server that is lost takes its channels with it until another one has its slots; those of the
    others are heard meanwhile. Each that is subscribed anew is told as such, since facts may be missing.
    """

    def __init__(self, url: str) -> None:
        self._cluster = ClusterClient(url, socket_timeout=1.5)
        self._at: dict[str, Address] = {}
        self._homeless: set[str] = set()
        self._ears: dict[Address, tuple[Client, PubSub]] = {}
        self._looked_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for address in list(self._ears):
            self._drop(address)

    def subscribe(self, *channels: str) -> None:
        """Begin to hear these; a message says when each subscription stands."""
        self._homeless.update(channels)
        self._place()

    def unsubscribe(self, *channels: str) -> None:
        """Hear these no more."""
        for channel in channels:
            self._homeless.discard(channel)
            address = self._at.pop(channel, None)
            if address in self._ears:
                self._tell(address, "unsubscribe", channel)

    def get_message(self, timeout: float) -> dict[str, Any] | None:
        """The next message, None where there is none for ``timeout`` seconds."""
        since = time.monotonic() - self._looked_at
        if since > (AGAIN_SECONDS if self._homeless else EAR_SECONDS):
            self._look()
        found = self._next()
        if found is None and self._wait(timeout):
            found = self._next()
        return found

    def _look(self) -> None:
        """See that every channel is heard where its slot is now."""
        self._looked_at = time.monotonic()
        self._cluster.look_anew()
        known = self._cluster.known()
        for channel, address in list(self._at.items()):
            if self._owner(known, channel) != address:
                del self._at[channel]
                self._homeless.add(channel)
                if address in self._ears:
                    self._tell(address, "unsubscribe", channel)
        self._place()

    def _place(self) -> None:
        known = self._cluster.known()
        for channel in list(self._homeless):
            owner = self._owner(known, channel)
            if owner is not None and self._tell(owner, "subscribe", channel):
                self._homeless.discard(channel)
                self._at[channel] = owner

    def _owner(self, known: Known, channel: str) -> Address | None:
        if known.is_sharded:
            return known.owners[key_slot(channel.encode())]
        there = self._at.get(channel)
        return there if there in known.servers else known.servers[0]

    def _tell(self, address: Address, verb: str, channel: str) -> bool:
        try:
            if address not in self._ears:
                url_client = self._cluster.client_of(address)
                client = one_server_like(url_client)
                self._ears[address] = (client, client.pubsub())  # type: ignore[no-untyped-call]  # redis-py has no types here
            pubsub = self._ears[address][1]
            getattr(pubsub, f"s{verb}" if self._cluster.is_sharded else verb)(channel)
            return True
        except (RedisError, OSError):
            self._drop(address)
            return False

    def _next(self) -> dict[str, Any] | None:
        for address, (_, pubsub) in list(self._ears.items()):
            try:
                # A subscription without channels has nothing to say.
                message = pubsub.get_message(timeout=0) if pubsub.subscribed else None
            except (RedisError, OSError):
                self._drop(address)
                continue
            if message is None:
                continue
            kind = (
                message["type"].removeprefix("s") if self._cluster.is_sharded else message["type"]
            )
            if message["type"] == "subscribe":
                kind = "subscribe"
            channel = message["channel"].decode()
            if kind == "unsubscribe" and self._at.get(channel) == address:
                # The slot has left this server, which says so.
                del self._at[channel]
                self._homeless.add(channel)
                self._looked_at = 0.0
            return {**message, "type": kind}
        return None

    def _wait(self, seconds: float) -> bool:
        poller = select.poll()
        for _, pubsub in self._ears.values():
            sock = getattr(pubsub.connection, "_sock", None)
            if sock is not None:
                poller.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
        return bool(poller.poll(seconds * 1000))

    def _drop(self, address: Address) -> None:
        client, pubsub = self._ears.pop(address, (None, None))
        for channel, at in list(self._at.items()):
            if at == address:
                del self._at[channel]
                self._homeless.add(channel)
        with suppress(RedisError, OSError):
            if pubsub is not None:
                pubsub.close()
        with suppress(RedisError, OSError):
            if client is not None:
                client.close()


def one_server_like(client: Client) -> Client:
    """Another client of the same server, which waits for messages as long as it takes."""
    return one_server(client.address, socket_timeout=None)


def slot_of(command: Sequence[Any]) -> int | None:
    """The slot of a command's first key; None where it has none."""
    name = command[0]
    if name in ("EVALSHA", "EVAL"):
        return slot_of_key(command[3]) if int(command[2]) else None
    name = str(name).upper().partition(" ")[0]
    if name in TO_ANY or name in TO_ALL or len(command) < 2:
        return None
    return slot_of_key(command[1])


@lru_cache(maxsize=8192)
def slot_of_key(key: str | bytes) -> int:
    """The slot in which a cluster keeps a key."""
    return int(key_slot(key.encode() if isinstance(key, str) else key))


def address_of(text: str) -> Address:
    """Host and port, as they stand in an address."""
    host, _, port = text.rpartition(":")
    if not host:
        host, port = port, "6379"
    return host.strip("[]"), int(port)


def major(version: Any) -> int:
    """The first number of a server's version."""
    return int(str(version["redis_version"]).partition(".")[0])
