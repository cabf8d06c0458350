"""Known failures that the environment of a rented machine shows."""

from collections.abc import Mapping

from evals.known_failures import detects

_TRUE = {"1", "on", "yes", "true"}
"""How huggingface_hub reads a variable that switches something on (``constants._is_true``)."""


@detects("hf-transfer-env-without-package")
def hf_transfer_missing(variables: Mapping[str, str], installed: Mapping[str, str]) -> str | None:
    """Return whether fast downloads are asked for and what would make them is not installed."""
    value = variables.get("HF_HUB_ENABLE_HF_TRANSFER", "")
    hub = installed.get("huggingface-hub", "")
    # From 1.0 on the variable is deprecated and only warned about.
    if value.lower() not in _TRUE or "hf-transfer" in installed or not hub.startswith("0."):
        return None
    return f"HF_HUB_ENABLE_HF_TRANSFER={value} and hf_transfer is not installed"
