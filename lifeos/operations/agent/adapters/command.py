"""Any program: the prompt on its standard input, facts in its environment."""

from lifeos.operations.agent.adapters.base import Asked, Heard, Start


class Command:
    """A command given by the user."""

    name = "command"
    free = False
    unsupported: tuple[str, ...] = ("turns", "usd")

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv

    def start(self, asked: Asked) -> Start:
        """Return the command; ``LIFEOS_RUN``, ``LIFEOS_OUTPUT`` and ``LIFEOS_CREATED`` tell it what to write where."""
        facts = {"LIFEOS_RUN": asked.run, "LIFEOS_OUTPUT": asked.output, "LIFEOS_CREATED": asked.created}
        return Start(self._argv, asked.prompt.encode("utf-8"), environment=facts)

    def hear(self, stdout: bytes) -> Heard:
        """Take nothing from what it printed."""
        lines = stdout.decode("utf-8", "replace").strip().splitlines()
        return Heard(said=lines[-1][:200] if lines else "")
