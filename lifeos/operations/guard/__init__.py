"""Guardrails: the control plane stays small, true and apart from the data plane."""
