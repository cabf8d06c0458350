"""Where pip was told to look for packages, said to uv in its own words: uv does not read pip's configuration."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

_TIMEOUT_SECONDS = 60


def pip_settings(executable: str = sys.executable) -> dict[str, str]:
    """Return what ``pip config list`` says, by option name: a variable wins over a section, a section over global.

    An unreadable answer is an empty dictionary: uv then asks the default index, as pip without a configuration does.
    """
    try:
        answer = subprocess.run(
            [executable, "-m", "pip", "config", "list"],
            capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return read_pip_settings(answer.stdout)


def read_pip_settings(listed: str) -> dict[str, str]:
    """Read the lines of ``pip config list``: ``section.option='value'``."""
    ranks = {"global": 0, "install": 1, ":env:": 2}
    found: dict[str, tuple[int, str]] = {}
    for line in listed.splitlines():
        key, _, written = line.partition("=")
        section, _, option = key.partition(".")
        if section not in ranks or not option:
            continue
        try:
            value = str(ast.literal_eval(written))
        except (ValueError, SyntaxError):
            continue
        if option not in found or ranks[section] >= found[option][0]:
            found[option] = (ranks[section], value)
    return {option: value for option, (_, value) in found.items()}


def uv_environment(settings: Mapping[str, str], inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a uv that looks where pip looks.

    A folder of this machine is no place where a pod finds packages, so local extra places count only where pip has no
    remote one: behind ``no-index``, or with a local index. What the user set for uv itself stands.

    Args:
        settings: pip's options, ``index-url``, ``extra-index-url``, ``find-links``, ``no-index``, ``cert``, ``proxy``,
            ``trusted-host``.
        inherited: the environment to start from; default: this process's.
    """
    environment = dict(os.environ if inherited is None else inherited)
    only_local = _is_true(settings.get("no-index", "")) or _is_local(settings.get("index-url", ""))

    def places(option: str) -> list[str]:
        return [place for place in settings.get(option, "").split() if only_local or not _is_local(place)]

    extra = places("extra-index-url")
    said = {
        "UV_DEFAULT_INDEX": settings.get("index-url", ""),
        "UV_INDEX": " ".join(extra),
        "UV_FIND_LINKS": ",".join(places("find-links")),
        "UV_NO_INDEX": "1" if _is_true(settings.get("no-index", "")) else "",
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "SSL_CERT_FILE": settings.get("cert", ""),
        "ALL_PROXY": settings.get("proxy", ""),
        # pip compares the versions of every index; uv stops at the first index that knows the name unless told so.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if extra else "",
    }
    for name, value in said.items():
        if value and not environment.get(name):
            environment[name] = value
    return environment


def _is_local(place: str) -> bool:
    return bool(place) and "://" not in place.replace("file://", "")


def _is_true(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on")
