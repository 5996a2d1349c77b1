"""An HTTP endpoint as a scorer: ``http://host:port/path``, which answers batches in JSON.

    POST  {"smiles": ["CCO", "C#N"]}
    200   {"values": [-7.1, null], "errors": [null, "no conformer"]}

with a number for each molecule, or null and, if there is one, a message. Answers of status 5xx and
429, a late answer and a lost connection are repeated up to ``retries`` times, after waits of half a
second, one, two and so on. A batch that fails as a whole is sent again one molecule at a time,
since any of its molecules may be the reason, unless there is no connection. Redirections are not
followed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from molgen.errors import MolgenError
from molgen.scorers.command import MOST_RETRIES
from molgen.scorers.names import split, whole
from molgen.scorers.sessions import Answers
from molgen.utils.imports import install, installed

if TYPE_CHECKING:
    import httpx

PREFIXES = ("http:", "https:")
RETRIES, BATCH, MOST_BATCH = 2, 100, 100_000
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds before a repetition; each is twice the one before
TOO_MANY, SERVER = 429, 500  # status codes from which a repetition may help
SHOWN = 60  # characters of an answer in a message


class Reply(msgspec.Struct):
    """The body of an answer."""

    values: list[float | None]
    errors: list[str | None] = []


@dataclass(frozen=True)
class Refused:
    """A batch without values.

    Attributes:
        reason: of the failure.
        alone: whether its molecules may have values one by one.
        again: whether a repetition may help.
    """

    reason: str
    alone: bool = True
    again: bool = False


@dataclass(frozen=True)
class Endpoint:
    """An HTTP endpoint; see this module.

    Attributes:
        url: of the endpoint.
        retries: repetitions of a request.
        batch: most molecules of a request.
    """

    url: str
    retries: int = RETRIES
    batch: int = BATCH

    @classmethod
    def read(cls, name: str) -> Endpoint:
        """Read ``http://host:port/path[,retries=N][,batch=N]``.

        Raises:
            MolgenError: if it is no such address, or httpx is not installed.
        """
        url, given = split(name, ["retries", "batch"])
        try:
            parts = urlsplit(url)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or not url.isprintable() or " " in url:
            raise MolgenError(f"property is {name!r}, expected http://HOST:PORT/PATH")
        if not installed("httpx"):
            raise MolgenError(f"property {name!r} needs httpx: {install('http')}")
        retries = whole("retries", given.get("retries", f"{RETRIES}"), 0, MOST_RETRIES)
        return cls(url, retries, whole("batch", given.get("batch", f"{BATCH}"), 1, MOST_BATCH))

    def open(self, timeout: float) -> EndpointSession:
        """Open a session."""
        return EndpointSession(self, timeout)


class EndpointSession:
    """A session with an endpoint; see :class:`molgen.scorers.sessions.Session`."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        import httpx

        self._endpoint, self._timeout = endpoint, timeout
        self._client = httpx.Client(timeout=timeout)
        self._stopped = threading.Event()

    def score(self, smiles: Sequence[str]) -> Answers:
        """Return the outcome of each molecule."""
        found = self._repeated(smiles)
        if not isinstance(found, Refused):
            return found
        if len(smiles) == 1 or not found.alone:
            return [found.reason] * len(smiles)
        return [one for text in smiles for one in self.score([text])]

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped.set()

    def close(self, seconds: float) -> None:
        """Close the connections."""
        self._client.close()

    def _repeated(self, smiles: Sequence[str]) -> Answers | Refused:
        wait, found = FIRST_WAIT, self._sent(smiles)
        for _ in range(self._endpoint.retries):
            if not (isinstance(found, Refused) and found.again) or self._stopped.wait(wait):
                break
            wait, found = min(2 * wait, LONGEST_WAIT), self._sent(smiles)
        return found

    def _sent(self, smiles: Sequence[str]) -> Answers | Refused:
        import httpx

        if self._stopped.is_set():
            return Refused("stopped", alone=False)
        try:
            answer = self._client.post(self._endpoint.url, json={"smiles": list(smiles)})
        except httpx.ConnectError as error:
            return Refused(f"no connection: {error}", alone=False, again=True)
        except httpx.TimeoutException:
            return Refused(f"no result after {self._timeout:g} s", again=True)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:  # closed: RuntimeError
            return Refused(f"{type(error).__name__}: {error}", again=True)
        return _values(answer, len(smiles))


def _values(answer: httpx.Response, count: int) -> Answers | Refused:
    """Return the outcomes in an answer for a number of molecules."""
    status, shown = answer.status_code, " ".join(answer.text[:SHOWN].split())
    if status >= SERVER or status == TOO_MANY:
        return Refused(f"the server answered {status}: {shown}", again=True)
    if not answer.is_success:
        return Refused(f"the server answered {status}: {shown}")
    try:
        reply = msgspec.json.decode(answer.content, type=Reply)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Refused(f'the server answered {shown!r}, expected {{"values": [NUMBER, ...]}}')
    if len(reply.values) != count:
        return Refused(f"the server answered {len(reply.values)} values for {count} molecules")
    errors = [*reply.errors, *[None] * count]
    return [
        value if value is not None and math.isfinite(value) else error or "no value"
        for value, error in zip(reply.values, errors, strict=False)
    ]
