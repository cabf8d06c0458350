"""The one error a user is meant to read."""


class InputError(ValueError):
    """Something handed in cannot be used; the message is one line that a user can act on.

    The line names the thing, what is accepted, what came instead, and the next command to run, e.g.
    ``"policy.toml: accepted a number for minimum_images, got 'many'; next: edit policy.toml"``.
    Line breaks in the message are folded to spaces, because the command line prints exactly one line.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
