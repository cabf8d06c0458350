"""How a measured number is written, wherever people read it."""


def figure(value: float | None, missing: str = "-") -> str:
    """Return a number with four digits that count; ``missing`` where there is none."""
    return missing if value is None else f"{value:.4g}"
