"""Who may do what on the broker: the users around the workers, and the rights of each, as data.

A right is a regular expression of names, as RabbitMQ has it: *configure* makes and deletes, *write*
publishes to an exchange and binds a queue, *read* consumes and binds to an exchange. A topic right
is one of routing keys. ``aui-worker topology`` prints all of it, the documents hold it as a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worker.core.body import is_word
from worker.core.topology import (
    DEAD,
    DROPPED,
    HUB,
    UNCLAIMED,
    UNSLOTTED,
    jobs_exchange,
)

NOTHING = "^$"
CLIENTS = "aui-client"
"""The queues that :class:`worker.client.Client` makes for itself: ``sub.aui-client.<random>``."""
WEB = "web"
_RESERVED = (WEB, CLIENTS)
_DEFAULT = "amq.default"
"""What the broker calls the default exchange where it speaks of rights."""
_CLIENT_QUEUE = rf"sub\.{CLIENTS}\.[0-9a-f]{{32}}"
_PARTITION = "p[0-9]+"

Mode = Literal["declare", "verify"]


@dataclass(frozen=True, slots=True)
class TopicRight:
    """Which routing keys of an exchange a user may publish and bind to."""

    exchange: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker's.

    Attributes:
        name: the user name.
        purpose: who that is, in a few words.
        configure: names of what may be made and deleted.
        write: names of what may be published to, and of queues that may be bound.
        read: names of what may be consumed, and of exchanges that may be bound to.
        topics: further limits, of routing keys.
        tags: what it may see of the management interface.
    """

    name: str
    purpose: str
    configure: str = NOTHING
    write: str = NOTHING
    read: str = NOTHING
    topics: Sequence[TopicRight] = ()
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Bot:
    """A subscriber of one network, with queues of its own: ``sub.<name>`` and ``sub.<name>.…``.

    Attributes:
        name: what it is called.
        network: the network it sends jobs to, and whose replies it may hear.
        channel: the only channel whose replies it may hear; None for all.
    """

    name: str
    network: str
    channel: str | None = None

    @classmethod
    def read(cls, text: str) -> "Bot":
        """Read one off a command line: ``NAME=NETWORK`` or ``NAME=NETWORK.CHANNEL``.

        Raises:
            ValueError: it is not like that.
        """
        name, _, rest = text.partition("=")
        network, dot, channel = rest.partition(".")
        words = [name, network, *([channel] if dot else [])]
        if not all(map(is_word, words)):
            raise ValueError("must be like acme-sms=acme.sms, of A-Z a-z 0-9 _ - and 64 at most")
        if name in _RESERVED:
            raise ValueError(f"{name} is the name of other queues")
        return cls(name, network, channel or None)


def worker(networks: Sequence[str], mode: Mode) -> User:
    """Return the user of workers that serve these networks.

    Args:
        networks: their names.
        mode: their ``WORKER_TOPOLOGY``. One that verifies makes nothing but task exchanges and
            leases; one that declares may do what :func:`admin` may.
    """
    name, purpose = "aui-worker", f"the workers, WORKER_TOPOLOGY={mode}"
    if mode == "declare":
        everything = admin()
        return User(name, purpose, everything.configure, everything.write, everything.read)
    jobs = [jobs_exchange(network) for network in networks]
    queues = [rf"{exchange}\.({_PARTITION}|{UNSLOTTED})" for exchange in _named(*jobs)]
    return User(
        name,
        purpose,
        configure=_only(*_TASKS, *_LEASES),
        write=_only(*_named(_DEFAULT, HUB, DEAD, *jobs), *_TASKS, *_LEASES),
        read=_only(*_named(HUB, DROPPED), *_TASKS, *queues),
    )


def admin() -> User:
    """Return who makes the topology, and changes the number of partitions."""
    return User(
        "aui-admin",
        "whoever declares the topology: aui-worker partitions --to",
        configure=r"^aui\.",
        write=r"^(amq\.default|aui\..+)$",
        read=r"^aui\.",
    )


def operator(networks: Sequence[str]) -> User:
    """Return who looks at dead letters, sends them again, and picks up what nobody claimed."""
    jobs = [jobs_exchange(network) for network in networks]
    return User(
        "aui-operator",
        "people: aui-worker dead, aui-worker partitions",
        write=_only(*_named(DEAD, *jobs)),
        read=_only(*_named(DEAD, UNCLAIMED)),
    )


def producer(network: str) -> User:
    """Return who sends jobs to one network, and hears answers over direct reply-to at most."""
    exchange = jobs_exchange(network)
    return User(
        f"aui-producer-{network}",
        f"sends jobs to network {network}",
        write=_only(*_named(exchange)),
    )


def bot(of: Bot) -> User:
    """Return who sends jobs to one network, and hears its replies in queues of its own."""
    own = [rf"sub\.{of.name}(\..+)?", _CLIENT_QUEUE]
    heard = rf"{of.network}\.{of.channel}\." if of.channel else rf"{of.network}\."
    return User(
        f"bot-{of.name}",
        f"a bot of network {of.network}" + (f", channel {of.channel}" if of.channel else ""),
        configure=_only(*own),
        write=_only(*own, *_named(jobs_exchange(of.network))),
        read=_only(*_named(HUB), *own),
        topics=(TopicRight(HUB, write=NOTHING, read=f"^{heard}"),),
    )


def web(networks: Sequence[str]) -> User:
    """Return who sends jobs to these networks, and hears every task, by its exchange or the hub."""
    own = [rf"sub\.{WEB}\..+", _CLIENT_QUEUE]
    jobs = [jobs_exchange(network) for network in networks]
    heard = "|".join(networks)
    return User(
        WEB,
        "a web backend: sends jobs, and shows people their conversations",
        configure=_only(*own),
        write=_only(*own, *_named(*jobs)),
        read=_only(*_named(HUB), *_TASKS, *own),
        topics=(TopicRight(HUB, write=NOTHING, read=rf"^({heard})\."),),
    )


def monitor() -> User:
    """Return who looks at queues over the management interface: an autoscaler, a dashboard."""
    return User("aui-monitor", "an autoscaler: sees all, touches nothing", tags=("monitoring",))


def users(networks: Sequence[str], bots: Sequence[Bot] = (), mode: Mode = "verify") -> list[User]:
    """Return all users around the workers of these networks."""
    return [
        worker(networks, mode),
        *map(producer, networks),
        *map(bot, bots),
        web(networks),
        operator(networks),
        admin(),
        monitor(),
    ]


def markdown(of: Sequence[User]) -> str:
    """Write users and rights as the documents hold them."""
    rows = ["| user | who | configure | write | read |", "|---|---|---|---|---|"]
    for user in of:
        read = _code(user.read)
        for topic in user.topics:
            read += f"; of `{topic.exchange}` the keys {_code(topic.read)}"
        tags = "".join(f"; tag `{tag}`" for tag in user.tags)
        rights = f"{_code(user.configure)} | {_code(user.write)} | {read}"
        rows.append(f"| `{user.name}` | {user.purpose}{tags} | {rights} |")
    return "\n".join(rows)


def _code(pattern: str) -> str:
    return "nothing" if pattern == NOTHING else "`{}`".format(pattern.replace("|", r"\|"))


_TASKS = (r"aui\.task\..+",)
_LEASES = (r"aui\.lease\..+",)


def _named(*names: str) -> list[str]:
    return [name.replace(".", r"\.") for name in names]


def _only(*patterns: str) -> str:
    """Match one of these and nothing else: RabbitMQ looks for a pattern anywhere in a name."""
    return f"^({'|'.join(patterns)})$"
