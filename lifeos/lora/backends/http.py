"""Requests to an image server: bounded in time and size, tried again only where nothing was answered."""

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from lifeos.errors import InputError
from lifeos.lora.backends.image_server import ImageServer

MOST_BYTES = 128 << 20
"""An image of 4096 x 4096 pixels has 48 MiB; as base64 in JSON 64."""
_CONNECT_SECONDS = 10.0
_PAUSES_SECONDS = (0.5, 2.0)
_CHUNK_BYTES = 1 << 20


class Connection:
    """One server's address. Neither proxies, nor ``.netrc``, nor redirects have a say in where requests go."""

    def __init__(self, server: ImageServer, pause: Callable[[float], None] = time.sleep) -> None:
        """Use a server's address and limit of time; ``pause`` waits before another attempt.

        Raises:
            InputError: the settings name no address.
        """
        import requests

        if not server.address:
            raise InputError("sampling_server: accepted the address of an image server, got none; next: write "
                             "sampling_server = \"http://127.0.0.1:8188\" into lifeos.toml")  # fmt: skip
        self.address, self.timeout_seconds = server.address.rstrip("/"), server.timeout_seconds
        self.pause = pause
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Return the JSON that a path answers.

        Args:
            path: begins with ``/``.
            query: parameters.

        Raises:
            InputError: no answer within the limits, an error, or no JSON.
        """
        return self._json(path, self._asked("GET", path, query, None))

    def get_bytes(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return the bytes that a path answers; raises as ``get``, but for JSON."""
        return self._asked("GET", path, query, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Send JSON and return the JSON that comes back; raises as ``get``."""
        return self._json(path, self._asked("POST", path, None, body))

    def refuse(self, accepted: str, got: str, command: str) -> NoReturn:
        """Say what was wrong with an answer, in one line.

        Raises:
            InputError: always.
        """
        raise InputError(f"image server {self.address}: accepted {accepted}, got {one_line(got)}; next: {command}")

    def _asked(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> bytes:
        import requests

        for attempt in range(len(_PAUSES_SECONDS) + 1):
            began = time.monotonic()
            try:
                return self._once(method, path, query, body)
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                # Silence in the middle of an answer is a lost connection to the client, not a timeout.
                late = isinstance(error, requests.Timeout) and not isinstance(error, requests.ConnectTimeout)
                if late or time.monotonic() - began >= self.timeout_seconds:
                    self.refuse(f"an answer to {path} within {self.timeout_seconds:g} s", "none",
                                "look at the server, or raise sampling_server_timeout_seconds in lifeos.toml")
                # What was asked for changes nothing on the server that a second time would change again.
                if attempt == len(_PAUSES_SECONDS):
                    self.refuse(f"a connection for {path}", f"{type(error).__name__} {attempt + 1} times",
                                "start the server, then the same command again, it goes on from where it was")
                self.pause(_PAUSES_SECONDS[attempt])
            except requests.RequestException as error:
                self.refuse(f"an answer to {path}", type(error).__name__, "check sampling_server in lifeos.toml")
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None) -> bytes:
        import requests

        deadline = time.monotonic() + self.timeout_seconds
        with self._session.request(
            method, self.address + path, params=query, json=body, stream=True, allow_redirects=False,
            timeout=(min(_CONNECT_SECONDS, self.timeout_seconds), self.timeout_seconds),
        ) as answer:  # fmt: skip
            data = bytearray()
            for chunk in answer.iter_content(_CHUNK_BYTES):
                data += chunk
                if len(data) > MOST_BYTES:
                    self.refuse(f"at most {MOST_BYTES >> 20} MiB from {path}", "more", "look at the server")
                # The client's own limit is one of silence: a byte now and then would never run past it.
                if time.monotonic() > deadline:
                    raise requests.Timeout
        if answer.status_code != 200:
            self.refuse(f"status 200 from {path}", f"{answer.status_code}: {_said(bytes(data))}",
                        "read the server's log")  # fmt: skip
        return bytes(data)

    def _json(self, path: str, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            self.refuse(f"JSON from {path}", _said(data), "check sampling_server in lifeos.toml, and that the server "
                        "was started with its API")  # fmt: skip


def one_line(text: str, most: int = 300) -> str:
    """Return what a server wrote as one printable line of at most ``most`` characters."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= most else f"{line[:most]}..."


def _said(data: bytes) -> str:
    """Return the message in an answer: of a web page its title, of JSON the field that says what went wrong."""
    text = data[:100_000].decode("utf-8", "replace")
    if re.match(r"\s*<", text):
        title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
        return f"a web page{f' ({title[1].strip()})' if title and title[1].strip() else ''}"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip() or "nothing"
    if isinstance(values, dict):
        error = values.get("error")
        if isinstance(error, dict):
            return ": ".join(str(error[name]) for name in ("message", "details") if error.get(name)) or text
        for name in ("errors", "detail", "error"):
            if values.get(name):
                return str(values[name])
    return text
