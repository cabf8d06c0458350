import pytest

from lifeos.errors import InputError
from lifeos.lora.backends import http
from lifeos.lora.backends.http import Connection, one_line
from lifeos.lora.backends.image_server import ImageServer
from tests.lifeos.lora.backends.loopback import Loopback


class Plain(Loopback):
    def __init__(self, replies):
        self.replies = replies
        super().__init__(None, {})

    def answer(self, path, query, body):
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


@pytest.fixture
def ask():
    """Get ``/x`` of a server that answers so; returns the line of the refusal and how often it was asked."""

    def ask(*replies):
        with Plain(replies) as server, pytest.raises(InputError) as caught:
            Connection(ImageServer(server.address, timeout_seconds=20.0)).get("/x")
        assert "\n" not in str(caught.value)
        return str(caught.value), len(server.requests)

    return ask


@pytest.mark.parametrize(("reply", "said"), [
    ((404, {"detail": "Not Found"}), "404: Not Found"),
    ((500, {"error": "OutOfMemoryError", "detail": "", "errors": "CUDA out of\nmemory"}), "500: CUDA out of memory;"),
    ((400, {"error": {"message": "failed", "details": "lora"}, "node_errors": {}}), "400: failed: lora"),
    ((403, b"<html>no</html>"), "403: a web page"),
    ((302, b""), "302: nothing"),
    ((200, b"<!doctype html><title>Sign\nin</title>"), "JSON from /x, got a web page (Sign in)"),
    ((200, b"[" * 5000), "JSON from /x, got [[[")])  # fmt: skip
def test_a_definite_error_is_one_line_and_is_not_asked_again(ask, reply, said):
    line, asked = ask(reply)
    assert said in line
    assert asked == 1


def test_an_answer_without_end_is_not_read(ask, monkeypatch):
    monkeypatch.setattr(http, "MOST_BYTES", 1000)
    assert "got more" in ask((200, b"x" * 2000))[0]


def test_a_lost_connection_is_tried_again_and_then_told():
    with Plain([(200, {"a": 1})]) as server:
        paused = []
        connection = Connection(ImageServer(server.address, timeout_seconds=20.0))
        connection.pause = lambda seconds: (paused.append(seconds), server.lies.clear())
        server.lies["dies_after"] = 0
        assert connection.get("/x") == {"a": 1}
        assert paused == [0.5]
    with pytest.raises(InputError, match="3 times; next: start the server"):
        connection.get("/x")
    assert paused == [0.5, 0.5, 2.0]


def test_a_line_holds_no_escapes_and_has_an_end():
    assert one_line("a\x1b[31m\n b") == "a [31m b"
    assert one_line("x" * 400) == "x" * 300 + "..."
