"""The VSS client alone: its wire byte by byte, its logins, and servers that lie, stall, flood and babble."""

from __future__ import annotations

import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from evil_http import evil_http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from state_stores import NOW_S, SECRET, vss_client
from vss_double import VssDouble, fields, vss_double

from cluster.errors import ConfigError
from cluster.state_store import (
    KeyValue,
    KeyVersion,
    NoSuchKey,
    StoreLoginRefused,
    StoreUnavailable,
    VersionConflict,
    list_all,
)
from cluster.state_store import vss_messages as messages
from cluster.state_store.http_line import HttpLine, address_of
from cluster.state_store.vss import MAX_OBJECT_REPLY, VssStore, bearer_login, signature_login

# The wire.


def test_requests_are_these_bytes() -> None:
    assert messages.get_request("s", "k").hex() == "0a017312016b"
    assert messages.list_request("s", "", 100, "").hex() == "0a01731864"
    assert messages.list_request("s", "p", 5, "7").hex() == "0a01731201701805220137"
    assert messages.delete_request("s", KeyVersion("k", -1)).hex() == (
        "0a0173" "120e" "0a016b" "10ffffffffffffffffff01"
    )  # fmt: skip
    put = messages.put_request("s", [KeyValue("k", 3, b"v")], [KeyVersion("d", 1)], 0)
    assert put.hex() == "0a017310001a080a016b10031a017622050a01641001"


def test_a_first_write_and_no_global_version_leave_their_fields_out() -> None:
    put = fields(messages.put_request("s", [KeyValue("k", 0, b"v")], [], None))
    assert (set(put), set(fields(put[3][0]))) == ({1, 3}, {1, 3})


def test_versions_are_64_bits_wide() -> None:
    reply = bytes.fromhex("12120a016b108080808080808080401a03616263")
    assert messages.read_object(reply, "k") == KeyValue("k", 2**62, b"abc")
    most = 2**63 - 1
    assert fields(fields(messages.delete_request("s", KeyVersion("k", most)))[2][0])[2] == [most]


def test_a_version_that_could_not_be_counted_on_from_is_none() -> None:
    """`assent store renew` writes over the versions that a listing shows."""
    with pytest.raises(messages.BadReply):
        messages.read_object(bytes.fromhex("12120a016b10ffffffffffffffff7f1a03616263"), "k")
    with pytest.raises(messages.BadReply):
        messages.read_page(bytes.fromhex("0a0d0a016b10ffffffffffffffff7f"))


def test_fields_of_a_newer_protocol_are_passed_over() -> None:
    assert messages.read_object(bytes.fromhex("12080a016b10011a017678ff01"), "k").value == b"v"


@pytest.mark.parametrize(
    "reply", ["", "12030a016c", "120c0a016b10ffffffffffffffffff01", "12ff", "0a0176", "12030a01ff"]
)
def test_a_reply_that_is_not_the_object_asked_for(reply: str) -> None:
    with pytest.raises(messages.BadReply):
        messages.read_object(bytes.fromhex(reply), "k")


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_no_reply_crashes_a_reader(reply: bytes) -> None:
    for read in (lambda data: messages.read_object(data, "k"), messages.read_page, messages.read_error):
        with suppress(messages.BadReply):
            read(reply)


# Logins.


def test_the_login_signature_is_taken_and_keeps_users_apart() -> None:
    with vss_double() as double:
        store = vss_client(double.url)
        store.put_objects([KeyValue("k", 0, b"v")])
        ((user, store_id),) = double.stores
        assert (len(user), store_id) == (66, "store")


def test_a_token_is_read_anew_for_each_request() -> None:
    with vss_double("good") as double:
        tokens = iter(["good", "expired", "good"])
        line = HttpLine(address_of(double.url), timeout_s=5)
        store = VssStore(line, "store", bearer_login(lambda: next(tokens)))
        store.put_objects([KeyValue("k", 0, b"v")])
        with pytest.raises(StoreLoginRefused, match="login"):
            store.get_object("k")
        assert store.get_object("k").value == b"v"


# What an answer means.


def answering(status: int, body: bytes) -> Callable[[str, bytes], tuple[int, bytes]]:
    return lambda path, request: (status, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"\x08\x04", NoSuchKey),
        (409, b"\x08\x01", VersionConflict),
        (401, b"\x08\x05", StoreLoginRefused),
        (400, b"\x08\x02\x12\x03bad", StoreUnavailable),
        (500, b"\x08\x03", StoreUnavailable),
        (404, b"<html>not found</html>", StoreUnavailable),
        (404, b"", StoreUnavailable),
        (400, b"Invalid request path.", StoreUnavailable),
        (413, b"Request body too large", StoreUnavailable),
        (301, b"", StoreUnavailable),
        (503, b"\x08\x63", StoreUnavailable),
        (204, b"", StoreUnavailable),
    ],
)
def test_the_code_decides_and_not_the_status(status: int, body: bytes, kind: type[Exception]) -> None:
    with vss_double() as double:
        double.answer = answering(status, body)
        with pytest.raises(kind) as caught:
            vss_client(double.url).get_object("k")
        assert str(caught.value).startswith(double.url)


def test_a_listing_that_never_ends_is_not_believed() -> None:
    with vss_double() as double:
        page = b"\x0a\x05\x0a\x01k\x10\x01\x12\x01" + b"1"
        double.answer = answering(200, page)
        with pytest.raises(StoreUnavailable, match="does not end"):
            list_all(vss_client(double.url))
        double.answer = answering(200, b"\x0a\x00" * 101)
        with pytest.raises(StoreUnavailable, match="more than 100 keys"):
            list_all(vss_client(double.url))
        key = b"\x0a\xd9\x04" + b"k" * 601
        double.answer = answering(200, b"\x0a" + bytes([len(key) & 127 | 128, len(key) >> 7]) + key)
        with pytest.raises(StoreUnavailable, match="a key longer"):
            list_all(vss_client(double.url))


def test_an_idle_line_that_the_server_closed_is_dialled_anew() -> None:
    def answer(line: socket.socket) -> None:
        body = bytes.fromhex("12080a016b10011a01767801")
        line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    with evil_http(answer) as url:
        store = vss_client(url)
        assert [store.get_object("k").value for _ in range(3)] == [b"v"] * 3


# Servers that mean harm.

HEAD = b"HTTP/1.1 200 OK\r\n"


def drip(line: socket.socket) -> None:
    for _ in range(200):
        line.sendall(b"H")
        time.sleep(0.05)


def drip_header(line: socket.socket) -> None:
    line.sendall(HEAD)
    for i in range(200):
        line.sendall(b"x-%d: 1\r\n" % i)
        time.sleep(0.05)


def continues(line: socket.socket) -> None:
    while True:
        line.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def flood(header: bytes) -> Callable[[socket.socket], None]:
    def answer(line: socket.socket) -> None:
        line.sendall(header)
        for _ in range(4000):
            line.sendall(bytes(65536))

    return answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (drip, "in time"),
        (drip_header, "in time|no HTTP"),
        (lambda line: time.sleep(1.5), "in time"),
        (continues, "too large|in time"),
        (flood(HEAD + b"\r\n"), "larger|too large"),
        (flood(HEAD + b"content-length: 9999999999\r\n\r\n"), "larger"),
        (flood(HEAD + b"content-length: -5\r\n\r\n"), "larger|too large"),
        (flood(HEAD + b"transfer-encoding: chunked\r\n\r\nffffffffff\r\n"), "larger|too large|no HTTP"),
        (flood(HEAD + b"transfer-encoding: chunked\r\n\r\n-1\r\n"), "larger|too large|no HTTP|negative"),
        (flood(HEAD + b"x: "), "no HTTP|too large|line"),
        (lambda line: line.sendall(b"SSH-2.0-x\r\n\r\n"), "no HTTP"),
        (lambda line: line.sendall(HEAD + b"content-length: 10\r\n\r\nabc"), "cut off"),
        (lambda line: line.sendall(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n"), "302"),
    ],
)
def test_a_hostile_server_costs_neither_memory_nor_time(
    answer: Callable[[socket.socket], None], says: str
) -> None:
    with evil_http(answer) as url:
        store = vss_client(url, timeout_s=1.0)
        tracemalloc.start()
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match=says) as caught:
            store.get_object("k")
        assert time.monotonic() - began < 3
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_OBJECT_REPLY
        tracemalloc.stop()
        assert "\n" not in str(caught.value)
        store.close()


class Said:
    """What the shared evil server answers next."""

    url = ""
    answer = b""


_bytes = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda status, headers, body: b"HTTP/1.1 " + status + b"\r\n" + b"".join(headers) + b"\r\n" + body,
        st.sampled_from([b"200 OK", b"404 x", b"", b"200", b"-1 x", b"999999 x", b"101 Switching"]),
        st.lists(
            st.sampled_from(
                [b"content-length: 5\r\n", b"content-length: x\r\n", b"transfer-encoding: chunked\r\n",
                 b"\xff: \x00\r\n", b"connection: close\r\n", b"content-length: 0\r\n", b" folded\r\n"]
            ),
            max_size=3,
        ),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"5\r\nabcde\r\n0\r\n\r\n", b"-2\r\nab", b"\x12\x00"])),
    ),
)  # fmt: skip


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(answer=_bytes)
def test_no_answer_of_a_server_crashes_the_client(answer: bytes, shared: Said) -> None:
    shared.answer = answer
    store = vss_client(shared.url, timeout_s=2.0)
    for call in (lambda: store.get_object("k"), lambda: list_all(store), lambda: store.put_objects([])):
        with suppress(StoreUnavailable, StoreLoginRefused, NoSuchKey, VersionConflict):
            call()
    store.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Said]:
    said = Said()
    with evil_http(lambda line: line.sendall(said.answer)) as url:
        said.url = url
        yield said


# Where it may be.


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://store.example/vss", "https"),
        ("http://other.example:8080/vss", "https"),
        ("ftp://store.example", "write https"),
        ("https://", "write https"),
        ("https://user:pass@store.example/vss", "no user"),
        ("https://store.example/vss?x=1", "no user"),
        ("https://store.example:99999/vss", "no URL"),
        ("https://store.example/v ss", "characters"),
        ("https://störe.example/vss", "characters"),
        ("https://store.example/vss\r\nx: y", "characters"),
    ],
)
def test_a_url_that_is_none(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        address_of(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://store.example", "https://store.example:443/vss"),
        ("https://store.example/a/vss/", "https://store.example:443/a/vss"),
        ("http://localhost:8080/vss", "http://localhost:8080/vss"),
        ("http://[::1]:8080", "http://[::1]:8080/vss"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080/vss"),
    ],
)
def test_a_url_in_one_form(url: str, shown: str) -> None:
    assert address_of(url).url == shown


def certificate(folder: Path, name: str) -> Path:
    """Key and certificate of a server, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + made.public_bytes(Encoding.PEM)
    )
    return file


@pytest.mark.parametrize(
    ("name", "trusted", "says"),
    [("localhost", True, ""), ("localhost", False, "not trusted"), ("other", True, "not trusted")],
)
def test_tls_is_verified(tmp_path: Path, name: str, trusted: bool, says: str) -> None:
    """Who has no certificate that the owner trusts, or one of another name, hears nothing of us."""
    file = certificate(tmp_path, name)
    with vss_double(certificate=file) as double:
        url = double.url.replace("127.0.0.1", "localhost")
        store = vss_client(url, ca_file=file if trusted else None)
        if not says:
            store.put_objects([KeyValue("k", 0, b"v")])
            assert store.get_object("k").value == b"v"
        else:
            with pytest.raises(StoreUnavailable, match=says):
                store.get_object("k")
            assert double.calls == []
        store.close()


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no certificates"):
        HttpLine(address_of("https://store.example"), timeout_s=1, ca_file=tmp_path / "absent")


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="nobody listens"):
        vss_client(f"http://127.0.0.1:{port}/vss").get_object("k")


def test_the_double_checks_the_login() -> None:
    header = signature_login(SECRET, lambda: NOW_S)()
    double = VssDouble()
    assert double.handle("/vss/listKeyVersions", header, b"")[0] == 200
    assert double.handle("/vss/listKeyVersions", header + "1", b"") == (401, b"\x08\x05\x12\x02no")
