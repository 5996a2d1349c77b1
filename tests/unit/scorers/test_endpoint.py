"""HTTP endpoints: a server on this machine that answers, fails, is late, and is not there."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from property_models import compute, get, scoring

pytest.importorskip("httpx", reason="the extra http is not installed")


class Server(ThreadingHTTPServer):
    """Answers with the number of characters; see the handler."""

    daemon_threads = True
    requests: list[list[str]]
    fails: int = 0
    active = most = 0
    lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        smiles = json.loads(body)["smiles"]
        server = self.server
        with server.lock:
            server.requests.append(smiles)
            server.active += 1
            server.most = max(server.most, server.active)
        try:
            self._answer(smiles)
        finally:
            with server.lock:
                server.active -= 1

    def _answer(self, smiles: list[str]) -> None:
        path = self.path
        if path == "/late" and "CCC" in smiles:
            time.sleep(2)
        if path == "/slow":
            time.sleep(0.2)
        if path == "/unsteady" and len(self.server.requests) <= 2:
            return self._send(503, b"warming\nup")
        if path == "/picky" and "CCC" in smiles:
            return self._send(500, b"propane")
        if path == "/moved":
            return self._send(302, b"", {"Location": "/fine"})
        if path == "/text":
            return self._send(200, b"hello")
        if path == "/short":
            return self._send(200, json.dumps({"values": [1.0]}).encode())
        errors = ["one atom" if len(text) == 1 else None for text in smiles]
        values = [None if error else len(text) for text, error in zip(smiles, errors, strict=True)]
        self._send(200, json.dumps({"values": values, "errors": errors}).encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    found.requests = []
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def address(server: Server, path: str) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/{path}"


CHAINS = ["C" * n for n in range(1, 8)]


def test_batches_with_errors_of_single_molecules(server: Server) -> None:
    name = address(server, "fine,batch=3")
    with scoring(workers=1) as run:
        found = compute([name], [*CHAINS, "bad(", "CC"])[name]
    np.testing.assert_array_equal(found, [np.nan, 2, 3, 4, 5, 6, 7, np.nan, 2])
    assert run.failures[name].messages == {"C": "one atom"}
    assert [len(each) for each in server.requests] == [3, 3, 1]


def test_several_requests_at_a_time(server: Server) -> None:
    name = address(server, "slow,batch=1")
    with scoring(workers=4):
        np.testing.assert_array_equal(compute([name], CHAINS[1:])[name], range(2, 8))
    assert 2 <= server.most <= 4


def test_a_busy_server_is_asked_again(server: Server) -> None:
    name = address(server, "unsteady")
    start = time.monotonic()
    with scoring(workers=1):
        np.testing.assert_array_equal(compute([name], ["CC", "CCC"])[name], [2, 3])
    assert server.requests == [["CC", "CCC"]] * 3
    assert time.monotonic() - start > 0.5 + 1.0  # the waits
    with scoring(workers=1) as run:
        server.requests.clear()
        compute([f"{name},retries=0"], ["CC"])
    assert run.failures[f"{name},retries=0"].messages == {
        "CC": "the server answered 503: warming up"
    }


@pytest.mark.parametrize(
    ("path", "timeout", "message"),
    [("picky", 10.0, "the server answered 500: propane"), ("late", 0.5, "no result after 0.5 s")],
)
def test_a_batch_that_fails_is_repeated_alone(
    server: Server, path: str, timeout: float, message: str
) -> None:
    name = address(server, f"{path},retries=0")
    with scoring(timeout, workers=1) as run:
        found = compute([name], ["CC", "CCC", "CCCC"])[name]
    np.testing.assert_array_equal(found, [2, np.nan, 4])
    assert run.failures[name].messages == {"CCC": message}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("text", "the server answered 'hello', expected"),
        ("short", "answered 1 values for 2 molecules"),
        ("moved", "the server answered 302"),  # and nothing else is fetched
    ],
)
def test_other_answers_are_failures(server: Server, path: str, message: str) -> None:
    name = address(server, f"{path},retries=0")
    with scoring(workers=1) as run:
        compute([name], ["CC", "CCC"])
    first = run.failures[name].messages
    assert all(message in each for each in first.values()) or path == "short"
    assert server.requests[0] == ["CC", "CCC"]


def test_no_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        name = f"http://127.0.0.1:{free.getsockname()[1]}/,retries=1"
    with scoring(workers=2) as run:
        assert np.isnan(compute([name], CHAINS)[name]).all()
    assert all(text.startswith("no connection") for text in run.failures[name].messages.values())


@pytest.mark.parametrize(
    "name", ["http:", "http:///x", "http://", "https://a b/", "http://h:x/", "http://h/\n"]
)
def test_addresses_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="expected http://HOST:PORT/PATH"):
        get(name)


def test_parameters_out_of_range() -> None:
    with pytest.raises(ValueError, match="batch is '0'"):
        get("http://localhost/,batch=0")
