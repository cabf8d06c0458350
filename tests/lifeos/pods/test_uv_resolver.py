import pytest
from packaging.version import Version

from lifeos.pods import uv_resolver
from lifeos.pods.uv_resolver import Conflict, Question, Resolver, Solved, Target, Unavailable, read_answer

LOCK = """\
lock-version = "1.0"
[[packages]]
name = "torch"
version = "2.10.0"
wheels = [{ url = "https://a.example/torch-2.10.0-cp311-cp311-manylinux_2_28_x86_64.whl", size = 7, hashes = { sha256 = "ab" } }]
[[packages]]
name = "Typing_Extensions"
version = "4.16.0"
wheels = [{ path = "wheels/typing_extensions-4.16.0-py3-none-any.whl" }]
"""  # noqa: E501


def test_a_lock_is_read():
    answer = read_answer(0, LOCK, "")
    assert isinstance(answer, Solved)
    torch, typing = answer.packages["torch"], answer.packages["typing-extensions"]
    assert (torch.version, torch.size, torch.sha256) == (Version("2.10.0"), 7, {"ab"})
    assert torch.wheel == "torch-2.10.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert (typing.wheel, typing.size) == ("typing_extensions-4.16.0-py3-none-any.whl", None)
    assert str(torch) == "torch==2.10.0"


def test_a_contradiction_names_its_packages():
    answer = read_answer(
        1,
        "",
        "error: No solution found when resolving dependencies\n  cause: Because diffusers>=0.42.1 depends on "
        "huggingface-hub>=1.32.0,<3.0 and transformers==4.57.6 depends on huggingface-hub>=0.34.0,<1.0, we can "
        "conclude that they are incompatible.\n And because you require diffusers==0.42.1 and transformers==4.57.6, "
        "we can conclude that your requirements are unsatisfiable.\n",
    )
    assert isinstance(answer, Conflict)
    assert {"diffusers", "transformers", "huggingface-hub"} <= answer.names
    assert answer.subjects == {"diffusers", "transformers"}
    assert not answer.of_index
    assert not answer.of_lines
    assert "\n" not in answer.reason
    assert answer.reason.startswith("Because diffusers")


def test_a_contradiction_of_the_lines_alone_says_so():
    proof = "Because you require a==1 and a==2, we can conclude that your requirements are unsatisfiable."
    answer = read_answer(1, "", f"error: No solution found when resolving dependencies\n  cause: {proof}")
    assert isinstance(answer, Conflict)
    assert answer.of_lines
    assert not answer.of_index
    assert answer.subjects == frozenset()


@pytest.mark.parametrize(
    "proof",
    [
        "Because there is no version of torch==99 and you require torch==99, we can conclude that",
        "Because insightface==0.7.3 has no usable wheels and you require insightface==0.7.3, we can conclude that",
        "Because nosuch was not found in the package registry and you require nosuch, we can conclude that",
        "Because only torch<=2.15.0 is available and you require torch>2.15.0, we can conclude that",
        "Because a==1 has no wheels with a matching Python implementation tag (e.g., `cp311`), all versions of a",
    ],
)
def test_a_contradiction_about_what_an_index_holds_says_so(proof):
    answer = read_answer(1, "", f"error: No solution found when resolving dependencies\n  cause: {proof}")
    assert isinstance(answer, Conflict)
    assert answer.of_index
    assert not answer.of_lines


@pytest.mark.parametrize(
    ("status", "stderr"),
    [
        (
            1,
            "error: No solution found when resolving dependencies\n  cause: Because torch was not found in the cache "
            "and you require torch, we can conclude that your requirements are unsatisfiable.\n\nhint: Packages were "
            "unavailable because the network was disabled.",
        ),
        (
            1,
            "  x No solution found when resolving dependencies:\n  because torch needs to be downloaded from a "
            "registry, and network connectivity is disabled",
        ),
        (
            1,
            "error: No solution found when resolving dependencies\n  cause: Because torch was not found in the package "
            "registry and you require torch, we can conclude that.\n\nhint: An index "
            "URL (https://a.example/simple) could not be queried due to a lack of valid authentication credentials "
            "(401 Unauthorized).",
        ),
        (2, "error: Request failed after 3 retries in 5.0s\n  cause: Failed to fetch: https://user:secret@a.example/x"),
        (2, "error: invalid value 'x' for '--python-version'"),
        (101, ""),
        (0, "lock-version = "),
    ],
)
def test_no_answer_is_neither_solved_nor_a_contradiction(status, stderr):
    answer = read_answer(status, stderr if status == 0 else "", stderr)
    assert isinstance(answer, Unavailable)
    assert answer.reason
    assert "secret" not in answer.reason


def test_without_uv_there_is_no_answer(monkeypatch):
    monkeypatch.setattr(uv_resolver, "uv_binary", lambda: None)
    answer = Resolver(Target("x86_64-manylinux_2_28", "3.11"), {}).resolve(Question(("torch",)))
    assert isinstance(answer, Unavailable)
    assert "next: " in answer.reason


def test_an_empty_offline_cache_is_no_answer(tmp_path):
    resolver = Resolver(
        Target("x86_64-manylinux_2_28", "3.11"),
        uv_resolver.clean_environment(),
        ("--offline", "--no-config"),
        tmp_path / "cache",
    )
    question = Question(("torch",))
    assert isinstance(resolver.resolve(question), Unavailable)
    assert isinstance(resolver.resolve(question), Unavailable)
    assert resolver.asked == 1


def test_the_clean_environment_names_no_index():
    given = {"UV_INDEX": "x", "PIP_INDEX_URL": "y", "PATH": "/bin"}
    assert uv_resolver.clean_environment(given) == {"PATH": "/bin"}
