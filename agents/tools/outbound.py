"""Connections that tools make to the outside, and to nowhere else.

Guarantees, for every connection: (1) host and port are ones the tool's version names; (2) the name
is resolved once, (3) all addresses it has are looked at, and one that is private, loopback,
link-local, multicast or reserved (also inside an IPv6 form of it) refuses the call, unless this
very host:port is listed as private; link-local addresses, where clouds serve their metadata, are
reached in no case; (4) the connection goes to the address that was looked at, so that a name cannot
change its mind in between; (5) TLS then verifies the host's name, not the address; (6) no wait is
longer than a slice, after which deadline and cancellation are looked at again.

No proxy of the environment is used: it would resolve the name itself.
"""

import functools
import ipaddress
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpcore2

SLICE_S = 0.1
RESOLVE_S = 5.0
CONNECT_S = 10.0

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")
Resolver = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")


class HostRefused(Exception):
    """The connection may not be made; it was not."""


class OutOfTime(Exception):
    """The call's time is over."""


class Cancelled(Exception):
    """The run was stopped."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a tool may connect to.

    Attributes:
        hosts: `host` (port 443) or `host:port`, at public addresses.
        private: `host:port` that may be at a private or loopback address.
    """

    hosts: frozenset[str]
    private: frozenset[str] = frozenset()

    def check_host(self, host: str, port: int) -> None:
        """Checks the name.

        Raises:
            HostRefused: the tool does not name it.
        """
        named = f"{host}:{port}"
        if named in self.private or named in self.hosts or (port == 443 and host in self.hosts):
            return
        raise HostRefused(f"{named} is not among the hosts of this tool")

    def check_address(self, host: str, port: int, text: str) -> str:
        """The address to connect to, if it is one that may be.

        Raises:
            HostRefused: it is not.
        """
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            raise HostRefused(f"{host} has an address that is none") from None
        forms = [address, *_embedded(address)]
        private = f"{host}:{port}" in self.private
        if not all(_open(form) or (private and _near(form)) for form in forms):
            raise HostRefused(
                f"{host} is at {address}, which is not a public address; "
                f"if that is meant, list {host}:{port} under private_hosts"
            )
        return str(address)


def _embedded(address: IPAddress) -> list[IPAddress]:
    """IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    found: list[IPAddress] = []
    if address in _NAT64 or address in _NAT64_LOCAL:
        found.append(last)
    if address in _COMPATIBLE and int(address) > 1:
        found.append(last)
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    return found


def _open(address: IPAddress) -> bool:
    """Whether it is an ordinary public address (or an IPv6 form, whose content is looked at)."""
    if isinstance(address, ipaddress.IPv6Address) and _embedded(address):
        return not address.is_multicast
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _near(address: IPAddress) -> bool:
    """Whether it is one that a listed private host may have."""
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_loopback or address.is_private


def resolve(host: str, port: int) -> list[str]:
    """All addresses of a host, by the system's resolver.

    Raises:
        OSError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("this cannot be a host name") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass
class Watch:
    """Deadline and cancellation of one call, and whether anything of it has left.

    Attributes:
        ends: on the monotonic clock.
        sent: bytes of the request were handed to the network.
    """

    ends: float
    cancelled: Callable[[], bool]
    sent: bool = False

    def check(self) -> None:
        """Looks at both.

        Raises:
            OutOfTime: the deadline has passed.
            Cancelled: the run was stopped.
        """
        if self.cancelled():
            raise Cancelled
        if time.monotonic() >= self.ends:
            raise OutOfTime

    def until(self, ready: Callable[[], bool]) -> None:
        """Waits in slices; `ready` waits one slice itself and says whether it is over."""
        self.check()
        while not ready():
            self.check()


@dataclass
class Backend(httpcore2.NetworkBackend):
    """Makes the connections of one call."""

    reach: Reach
    watch: Watch
    resolver: Resolver = field(default=resolve)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "Stream":
        """Connects to an address of the host that was looked at.

        Raises:
            HostRefused: host or address may not be connected to.
            OSError: no address answers.
        """
        self.reach.check_host(host, port)
        addresses = [
            self.reach.check_address(host, port, address) for address in self._resolve(host, port)
        ]
        fault = OSError(f"{host} has no address")
        for address in addresses:
            try:
                return Stream(self._connect(address, port), self.watch)
            except OSError as error:
                fault = error
        raise fault

    def _resolve(self, host: str, port: int) -> list[str]:
        """Asks the resolver in a thread of its own: it cannot be interrupted, but left alone."""
        found: list[str] = []
        faults: list[Exception] = []

        def ask() -> None:
            try:
                found.extend(self.resolver(host, port))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                faults.append(error)

        asking = threading.Thread(target=ask, daemon=True, name="resolve")
        asking.start()
        give_up = time.monotonic() + RESOLVE_S

        def ready() -> bool:
            asking.join(SLICE_S)
            if time.monotonic() > give_up:
                raise OSError("the resolver does not answer")
            return not asking.is_alive()

        self.watch.until(ready)
        if faults:
            raise faults[0]
        return found

    def _connect(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect_ex((address, port))
            give_up = time.monotonic() + CONNECT_S

            def ready() -> bool:
                if time.monotonic() > give_up:
                    raise OSError("no connection in time")
                return bool(select.select([], [connection], [], SLICE_S)[1])

            self.watch.until(ready)
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, f"no connection (error {code})")
            connection.settimeout(SLICE_S)
        except BaseException:
            connection.close()
            raise
        return connection


class Stream(httpcore2.NetworkStream):
    """A connection that waits in slices. Its socket's own time-out is one slice."""

    def __init__(self, connection: socket.socket, watch: Watch) -> None:
        self._socket, self._watch = connection, watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._sliced(lambda: self._socket.recv(max_bytes))
        except OSError as error:
            raise httpcore2.ReadError(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = memoryview(buffer)
        while left:
            self._watch.check()
            self._watch.sent = True
            try:
                left = left[self._sliced(functools.partial(self._socket.send, left)) :]
            except OSError as error:
                # An answer may be there all the same, which says why nobody reads on.
                raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "Stream":
        """Go on under TLS, the certificate being that of the host's name."""
        secured = ssl_context.wrap_socket(
            self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
        )
        secured.settimeout(SLICE_S)
        made = Stream(secured, self._watch)
        try:
            made._sliced(secured.do_handshake)
        except BaseException:
            secured.close()
            raise
        return made

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the interface's own
        if info == "is_readable":
            return bool(select.select([self._socket], [], [], 0)[0])
        return None

    def _sliced(self, act: Callable[[], T]) -> T:
        while True:
            self._watch.check()
            try:
                return act()
            except TimeoutError:
                continue
