import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.operations.agent.adapters import ADAPTERS, Asked, adapter_named
from lifeos.operations.agent.contract import Budgets

ASKED = Asked(
    "Read and write.", Budgets(turns=7, wall_s=60, idle_s=30, usd=1.5, items=20), "run-1", "2026-11-27T07:00:00Z",
    Path("w"), "artifacts/briefings/run-1.md", "evals/eval_history.jsonl", "agents/a.md",
)  # fmt: skip
ALL = [adapter_named(name, ("agent",) if name == "command" else ()) for name in ADAPTERS]


def heard(name, answer):
    return adapter_named(name).hear(answer if isinstance(answer, bytes) else json.dumps(answer).encode())


@given(st.sampled_from(ALL), st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "subtype", "total_cost_usd", "num_turns", "error", "message"]), inner, max_size=4),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_nothing_that_an_agent_prints_breaks_its_adapter(adapter, printed):
    found = adapter.hear(printed)
    assert found.usd is None or found.usd >= 0
    assert len(found.said) <= 200


@pytest.mark.parametrize(
    ("subtype", "limit"),
    [
        ("success", None),
        ("error_max_turns", "limit_turns"),
        ("error_max_budget_usd", "limit_cost"),
        ("error_during_execution", None),
        ("error_max_structured_output_retries", None),
    ],
)
def test_claude_code_names_its_own_limits(subtype, limit):
    found = heard("claude-code", {"type": "result", "subtype": subtype, "total_cost_usd": 0.25, "num_turns": 3})
    assert (found.limit, found.usd, found.turns, found.said) == (limit, 0.25, 3, subtype)
    assert heard("claude-code", {"subtype": subtype, "total_cost_usd": None}).usd is None
    noise = b"a warning\n" + json.dumps({"subtype": subtype, "total_cost_usd": 1}).encode() + b"\n"
    assert heard("claude-code", noise).limit == limit


def test_claude_code_is_told_its_limits_and_its_prompt_on_standard_input():
    start = adapter_named("claude-code").start(ASKED)
    assert start.argv[:4] == ("claude", "-p", "--output-format", "json")
    assert start.argv[start.argv.index("--max-turns") + 1] == "7"
    assert start.argv[start.argv.index("--max-budget-usd") + 1] == "1.5"
    assert start.stdin == b"Read and write."
    assert "ANTHROPIC_API_KEY" in start.passed_on


def test_codex_counts_its_turns_and_names_its_failure():
    events = [{"type": "thread.started"}, {"type": "turn.started"}, {"type": "turn.completed", "usage": {}},
              {"type": "turn.failed", "error": {"message": "no access"}}]  # fmt: skip
    found = heard("codex", "\n".join(map(json.dumps, events)).encode())
    assert (found.turns, found.usd) == (1, None)
    assert "no access" in found.said
    start = adapter_named("codex").start(ASKED)
    assert start.argv[:3] == ("codex", "exec", "--json")
    assert start.argv[-1] == "Read and write."
    assert start.stdin == b""
    assert adapter_named("codex").unsupported == ("turns", "usd")


def test_the_builtin_one_is_free_and_takes_its_code_from_here():
    start = adapter_named("builtin").start(ASKED)
    assert "-P" in start.argv
    assert start.argv[-2:] == ("--history", "evals/eval_history.jsonl")
    assert adapter_named("builtin").free
    assert not adapter_named("codex").free


@pytest.mark.parametrize(
    ("name", "argv", "said"),
    [("command", (), "a command after --"), ("builtin", ("x",), "no command"), ("gpt", (), "accepted builtin")],
)
def test_a_wrong_choice_is_one_line(name, argv, said):
    with pytest.raises(InputError, match=said):
        adapter_named(name, argv)
