"""Threat: a tool over HTTP is led to another place, or the other side turns on the caller."""

import contextlib
import datetime
import gzip
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agents.registry.format import RegisterError
from agents.tools.errors import ToolError, ToolFailed, ToolTimeout, ToolUnreachable
from agents.tools.http_call import Network, _decoded
from agents.tools.http_request import HttpOperation
from agents.tools.invoke import invoke
from agents.tools.outbound import HostRefused, Reach
from tests.agents.tools.http_service import (
    SECRET,
    Service,
    call,
    context,
    register_text,
    say,
    serving,
    tools,
)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as service:
        yield service


@pytest.fixture
def read(service: Service) -> HttpOperation:
    return tools(register_text(service))["get_invoice"].operation


@pytest.fixture
def write(service: Service) -> HttpOperation:
    return tools(register_text(service))["create_payment"].operation


PAY: dict[str, Any] = {"account": "DE1", "amount": 5}
BOMB = gzip.compress(b"0" * 50_000_000, 1)
"""Some kilobytes that are 50 MB."""


# Where a call goes.


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1",
        "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::", "::ffff:0:0", "fe80::1%eth0", "not an address",
    ],
)  # fmt: skip
def test_only_public_addresses_are_connected_to(address: str) -> None:
    with pytest.raises(HostRefused):
        Reach(frozenset({"bank.example"})).check_address("bank.example", 443, address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses_are(address: str) -> None:
    reach = Reach(frozenset({"bank.example"}))
    assert reach.check_address("bank.example", 443, address)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "::"])
def test_no_list_of_private_hosts_leads_to_the_metadata_of_a_cloud(address: str) -> None:
    reach = Reach(frozenset(), frozenset({"bank.example:443"}))
    with pytest.raises(HostRefused):
        reach.check_address("bank.example", 443, address)
    assert reach.check_address("bank.example", 443, "10.0.0.7") == "10.0.0.7"


def test_a_private_host_is_listed_with_its_port() -> None:
    reach = Reach(frozenset(), frozenset({"10.0.0.7:8443"}))
    reach.check_host("10.0.0.7", 8443)
    for host, port in (("10.0.0.7", 22), ("10.0.0.8", 8443), ("bank.example", 8443)):
        with pytest.raises(HostRefused):
            reach.check_host(host, port)


@pytest.mark.parametrize(
    "server",
    [
        "https://2130706433/v1", "https://0x7f000001/v1", "https://0x7f.1/v1",
        "https://017700000001/", "https://127.1/v1", "https://user@bank.example/",
        "https://bank.example@evil.example/", "https://bank.example\\@evil.example/",
        "http://bank.example/v1", "ftp://bank.example/", "file:///etc/passwd", "//bank.example",
        "https://bank.example/%2e%2e/", "https://bank.example/a/../b", "https://{host}/v1",
        "https://bank.example/?a=1", "https://bank.example/#a", "https://bank.example:99999/",
        "https://bänk.example/", "https://bank.example /", "https://",
    ],
)  # fmt: skip
def test_an_address_that_can_be_read_in_two_ways_is_not_registered(server: str) -> None:
    with pytest.raises(RegisterError):
        tools(register_text(Service(), server=json.dumps(server), private_hosts=""))


def test_a_server_outside_the_listed_hosts_is_not_registered() -> None:
    text = register_text(Service(), server="https://evil.example/", hosts="[bank.example]")
    with pytest.raises(RegisterError, match="not among the hosts"):
        tools(text)


def test_loopback_is_not_reached_where_it_is_not_listed(service: Service) -> None:
    text = register_text(service, private_hosts="", server="https://bank.example/")
    operation = tools(text)["get_invoice"].operation
    network = Network(resolver=lambda *_: ["127.0.0.1"])
    with pytest.raises(ToolFailed, match="not a public address"):
        call(operation, network=network)
    assert service.asked == []


def test_a_name_with_one_bad_address_among_good_ones_is_refused() -> None:
    text = register_text(Service(), private_hosts="", server="https://bank.example/")
    operation = tools(text)["get_invoice"].operation
    network = Network(resolver=lambda *_: ["93.184.215.14", "169.254.169.254"])
    with pytest.raises(ToolFailed, match="not a public address"):
        call(operation, network=network)


def test_a_name_that_changes_its_mind_is_asked_once_for_each_connection(
    service: Service, read: HttpOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: good when it is looked at, another place when it is connected to."""
    asked: list[str] = []
    connected: list[str] = []
    really = socket.socket.connect_ex

    def connect_ex(self: socket.socket, address: tuple[str, int]) -> int:
        connected.append(address[0])
        return really(self, address)

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    monkeypatch.setattr(socket.socket, "connect_ex", connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    assert call(read, network=Network(resolver=rebinding)) == {}
    assert (len(asked), connected) == (1, ["127.0.0.1"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_the_metadata_of_a_cloud_is_not_followed(
    service: Service, read: HttpOperation, status: int
) -> None:
    service.answer = lambda handler: say(
        handler, status, Location="http://169.254.169.254/latest/meta-data/"
    )
    with pytest.raises(ToolFailed, match="redirects are not followed") as raised:
        call(read)
    assert "169.254" not in str(raised.value)
    assert len(service.asked) == 1


def test_a_proxy_of_the_environment_is_not_asked(
    service: Service, read: HttpOperation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert call(read) == {}


# What a call says.


@pytest.mark.parametrize(
    "value", ["..", ".", "../admin", "a/../../admin", "..\\admin", "a/..", "..;x/admin", "", "a\nb"]
)
def test_a_path_argument_cannot_leave_its_place(
    service: Service, read: HttpOperation, value: str
) -> None:
    with pytest.raises(ToolFailed, match="must not be empty"):
        call(read, id=value)
    assert service.asked == []


def test_what_means_something_in_a_url_is_encoded(service: Service, read: HttpOperation) -> None:
    call(read, id="a/b?c=d#e%2e%2e/&ü")
    assert service.asked[0].target == "/v1/invoices/a%2Fb%3Fc%3Dd%23e%252e%252e%2F%26%C3%BC"


@pytest.mark.parametrize("value", ["a\r\nHost: evil", "a\nX: 1", "a\0b", "ü", " a", "a" * 5000])
def test_a_header_argument_begins_no_other_header(
    service: Service, read: HttpOperation, value: str
) -> None:
    with pytest.raises(ToolFailed, match="plain text in one line"):
        call(read, X_Trace=value)
    assert service.asked == []


def test_a_query_argument_adds_no_other(service: Service, read: HttpOperation) -> None:
    call(read, tag=["a&admin=1", "b\r\nX: 1"], filter={"a]&x[": "1"})
    assert "&admin" not in service.asked[0].target
    assert "\r" not in service.asked[0].target
    assert "x" not in service.asked[0].headers


def test_a_secret_with_a_line_end_is_not_sent(service: Service, read: HttpOperation) -> None:
    with pytest.raises(ToolFailed, match="cannot stand in a header") as raised:
        call(read, told=context(secret="token\r\nX-Admin: 1"))
    assert "token" not in str(raised.value)
    assert service.asked == []


# What comes back.


@pytest.mark.parametrize(
    "body",
    [
        f"you sent Bearer {SECRET}".encode(),
        json.dumps({"headers": {"authorization": f"Bearer {SECRET}"}}).encode(),
        (SECRET * 2000).encode(),
    ],
)
def test_a_credential_that_is_echoed_is_masked(
    service: Service, read: HttpOperation, body: bytes
) -> None:
    service.answer = lambda handler: say(handler, 400, body)
    with pytest.raises(ToolFailed) as raised:
        call(read)
    assert SECRET[:12] not in str(raised.value)
    assert "•••" in str(raised.value)


@pytest.mark.parametrize("credential", ["{basic: env:A}", "{query: key, secret: env:A}"])
def test_a_credential_is_masked_in_the_form_it_was_sent(service: Service, credential: str) -> None:
    entry = tools(register_text(service, credential=credential))["get_invoice"]

    def echo(handler: BaseHTTPRequestHandler) -> None:
        seen = f"{handler.path} {handler.headers.get('Authorization')}"
        say(handler, 200, json.dumps({"id": "1", "note": seen}).encode())

    service.answer = echo
    result = invoke(entry.definition, {"id": "1"}, context(secret="me:p+w/ord secret"))
    assert "•••" in result["note"]
    for form in ("p+w", "p%2Bw", "bWU6cCt3"):
        assert form not in str(result)


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b"x" * 100_000)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(600):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(600):
        handler.wfile.write(b"H")
        time.sleep(0.05)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    say(handler, 200, BOMB, Content_Encoding="gzip")


def test_an_endless_body_is_cut_off(service: Service, read: HttpOperation) -> None:
    service.answer = flood
    began = time.monotonic()
    with pytest.raises(ToolFailed, match="more than 5000 bytes"):
        call(read)
    assert time.monotonic() - began < 2.5


@pytest.mark.parametrize("slow", [drip, drip_headers])
def test_a_slow_answer_ends_with_the_calls_time(
    service: Service, read: HttpOperation, slow: Any
) -> None:
    service.answer = slow
    with pytest.raises(ToolTimeout, match="no answer in time"):
        call(read, timeout_s=0.6)


def test_a_small_body_that_unpacks_to_a_large_one_is_cut_off(
    service: Service, read: HttpOperation
) -> None:
    service.answer = bomb
    with pytest.raises(ToolFailed, match="more than 5000 bytes"):
        call(read)
    assert sum(map(len, _decoded(iter([BOMB]), b"gzip", 5000))) == 5001


def test_a_packed_answer_is_read_all_the_same(service: Service, read: HttpOperation) -> None:
    service.answer = lambda handler: say(
        handler, 200, gzip.compress(b'{"id": "7"}'), Content_Encoding="gzip"
    )
    assert call(read) == {"id": "7"}


@pytest.mark.parametrize(
    "body", [b"{", b"NaN", b'{"a": Infinity}', b"[" * 4000, b"\xff\xfe", b"\x1f\x8b\0"]
)
def test_what_is_no_json_is_no_result(service: Service, read: HttpOperation, body: bytes) -> None:
    service.answer = lambda handler: say(handler, 200, body)
    with pytest.raises(ToolFailed, match="not readable as JSON"):
        call(read)


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", b"\0" * 200, b"SSH-2.0-x\r\n", b""]
)
def test_what_is_no_http_is_no_result(service: Service, read: HttpOperation, raw: bytes) -> None:
    def garbage(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(raw)
        handler.close_connection = True

    service.answer = garbage
    with pytest.raises(ToolError):
        call(read, timeout_s=1.0)


def test_a_result_the_document_does_not_know_is_refused(service: Service) -> None:
    entry = tools(register_text(service))["get_invoice"]
    service.answer = lambda handler: say(handler, 200, b'{"id": 7}')
    with pytest.raises(ToolError, match="its schema forbids"):
        invoke(entry.definition, {"id": "1"}, context())


# What is known afterwards.


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 501, 503])
def test_a_no_is_a_no(service: Service, write: HttpOperation, status: int) -> None:
    service.answer = lambda handler: say(handler, status, b'{"why": "no money"}')
    with pytest.raises((ToolFailed, ToolUnreachable), match=f"answered {status}"):
        call(write, writes=True, **PAY)
    assert len(service.asked) == 1


@pytest.mark.parametrize("status", [302, 303, 500, 502, 504])
def test_a_write_is_in_doubt_where_nobody_said_no(
    service: Service, write: HttpOperation, status: int
) -> None:
    service.answer = lambda handler: say(handler, status)
    with pytest.raises(ToolTimeout, match="may have been done"):
        call(write, writes=True, **PAY)
    assert len(service.asked) == 1


def test_a_write_that_had_left_when_the_connection_went_is_in_doubt(
    service: Service, write: HttpOperation
) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    service.answer = hang_up
    with pytest.raises(ToolTimeout):
        call(write, writes=True, **PAY)
    assert len(service.asked) == 1


def test_a_write_that_never_left_did_not_happen(write: HttpOperation) -> None:
    with pytest.raises(ToolUnreachable, match="no connection"):
        call(write, writes=True, network=Network(resolver=lambda *_: ["127.0.0.2"]), **PAY)
    with pytest.raises(ToolUnreachable, match="no connection"):
        call(write, writes=True, network=Network(resolver=lambda *_: []), **PAY)


def test_only_what_may_be_repeated_is_repeated_with_the_same_key(
    service: Service, write: HttpOperation
) -> None:
    def second_time(handler: BaseHTTPRequestHandler) -> None:
        first = len(service.asked) < 2
        say(handler, 503 if first else 201, b"" if first else b'{"id": "p1"}')

    service.answer = second_time
    assert call(write, writes=True, repeatable=True, **PAY) == {"id": "p1"}
    keys = [asked.headers["idempotency-key"] for asked in service.asked]
    assert keys == ["key-1", "key-1"]


@pytest.mark.parametrize("later", [409, 429, 400, 503, "gone"])
def test_a_repeat_that_fails_does_not_say_that_the_first_did_not_happen(
    service: Service, write: HttpOperation, later: int | str
) -> None:
    def first_is_lost(handler: BaseHTTPRequestHandler) -> None:
        if len(service.asked) == 1:
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            say(handler, int(later))

    lost: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        lost.append(host)
        return [] if later == "gone" and len(lost) > 1 else ["127.0.0.1"]

    service.answer = first_is_lost
    with pytest.raises(ToolTimeout, match="asked again"):
        call(write, writes=True, repeatable=True, network=Network(resolver=resolver), **PAY)


def test_a_stop_between_two_attempts_leaves_the_first_in_doubt(
    service: Service, write: HttpOperation
) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    service.answer = hang_up
    told = context(cancelled=lambda: len(service.asked) > 0)
    with pytest.raises(ToolTimeout):
        call(write, writes=True, repeatable=True, told=told, **PAY)
    assert len(service.asked) == 1


def test_a_stopped_run_ends_a_running_call(service: Service, write: HttpOperation) -> None:
    stopped = threading.Event()

    def never(handler: BaseHTTPRequestHandler) -> None:
        stopped.set()
        time.sleep(5)

    service.answer = never
    began = time.monotonic()
    with pytest.raises(ToolTimeout, match="the run was stopped"):
        call(write, writes=True, told=context(cancelled=stopped.is_set), timeout_s=30, **PAY)
    assert time.monotonic() - began < 2


def test_a_stopped_run_begins_no_call(service: Service, write: HttpOperation) -> None:
    with pytest.raises(ToolUnreachable):
        call(write, writes=True, told=context(cancelled=lambda: True), **PAY)
    assert service.asked == []


# Whom a call speaks to.


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's TLS with a self-signed certificate for a name, stored as `<name>.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / f"{name}.pem").write_bytes(public)
    (folder / "both.pem").write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server


@pytest.mark.parametrize(
    ("certified", "trusted", "good"),
    [("bank.test", True, True), ("other.test", True, False), ("127.0.0.1", True, False),
     ("bank.test", False, False)],
)  # fmt: skip
def test_tls_is_about_the_name_not_the_address(
    tmp_path: Path, certified: str, trusted: bool, good: bool
) -> None:
    with serving(certificate(tmp_path, certified)) as service:
        tls = ssl.create_default_context()
        if trusted:
            tls.load_verify_locations(tmp_path / f"{certified}.pem")
        host = f"bank.test:{service.port}"
        text = register_text(service, server=f"https://{host}", private_hosts=f'["{host}"]')
        operation = tools(text)["get_invoice"].operation
        network = Network(resolver=lambda *_: ["127.0.0.1"], tls=tls)
        expected = (
            contextlib.nullcontext()
            if good
            else pytest.raises(ToolUnreachable, match=r"(?i)certificate")
        )
        with expected:
            assert call(operation, network=network) == {}
        assert len(service.asked) == int(good)
