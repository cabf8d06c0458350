"""The whole cycle as one command: guardrails, agent, validation, promotion, gates, commit, report."""
