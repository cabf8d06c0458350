"""The operating layer: control plane, guardrails, the agent and its contract, promotion, the cycle."""
