"""Claude Code without a terminal: ``claude -p --output-format json``."""

from lifeos.operations.agent.adapters.base import Asked, Heard, Start, last_json, number
from lifeos.operations.agent.contract import Outcome

_LIMITS: dict[str, Outcome] = {"error_max_turns": "limit_turns", "error_max_budget_usd": "limit_cost"}


class ClaudeCode:
    """The ``claude`` program on PATH.

    The limits of the program itself are asked for and not relied on: the runner's clocks and its look at the cost hold.
    """

    name = "claude-code"
    free = False
    unsupported: tuple[str, ...] = ()

    def start(self, asked: Asked) -> Start:
        """Return the command; the prompt comes on standard input, so that no limit of a command line cuts it."""
        argv = ("claude", "-p", "--output-format", "json", "--max-turns", str(asked.budgets.turns), "--max-budget-usd",
                f"{asked.budgets.usd:g}", "--permission-mode", "acceptEdits")  # fmt: skip
        passed = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "CLAUDE_CONFIG_DIR")
        return Start(argv, asked.prompt.encode("utf-8"), passed)

    def hear(self, stdout: bytes) -> Heard:
        """Read the one object it prints; its cost may be null."""
        answer = last_json(stdout)
        if not isinstance(answer, dict):
            return Heard(said="it printed no JSON object")
        turns = number(answer.get("num_turns"))
        subtype = str(answer.get("subtype"))[:60]
        return Heard(
            _LIMITS.get(subtype), number(answer.get("total_cost_usd")), None if turns is None else int(turns), subtype
        )
