"""Throw changed briefings at the parser until told to stop: `fuzz_briefing.py [SECONDS] [SEED]`, from the root.

Each input is a good briefing cut, spliced, repeated and sprinkled with what parsers stumble over. Whatever comes, the
parser either refuses with a line number or returns a briefing that renders back to one that it reads as the same. Not
part of the tests: hypothesis asks the same there, for seconds; this asks for as long as one likes. With atheris
installed, `--atheris` lets coverage guide it.
"""

import dataclasses
import random
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lifeos.operations.briefing import BriefingError, parse_briefing, render_briefing
from tests.lifeos.operations.briefing.test_parser import GOOD

PIECES = [
    b"---\n", b"\n\n", b"## Findings\n", b"## No-work\n", b"- ", b"* ", b"1. ", b"    ", b"\t", b"> ",
    b"```\n", b"~~~\n", b"<!-- ", b"-->", b"<b>", b"[x](y)", b"![", b"[ref]: /x\n", b"@CLAUDE.md",
    b"lifeos:end findings", b"\r\n", b"\r", b"\x00", b"\xff", "\u202e".encode(), "\u200b".encode(),
    "\U000e0041".encode(), "\uff1c".encode(), b"&lt;", b"{{", b"${", b"$(", b"`", b"|---|\n", b"===\n", b"# ",
    b"evidence: ", b"(evidence: a#01234567; confidence: measured)", b"; supersedes: F-0123456789ab", b"'",
    b'"', b": ", b"&a ", b"*a", b"!!python/object:x ", b"? ", b"[" * 40, b"x" * 300, b"a: 1\na: 2\n", b"\\",
    b"*", b"_", b"0x1_0", b"1e999",
]  # fmt: skip


def check(data: bytes) -> str:
    """Parse one input; return what came of it. Another exception, or half a briefing, is a finding."""
    refused: BriefingError | None = None
    try:
        found = parse_briefing(data, "fuzzed.md")
    except BriefingError as error:
        refused = error
    if refused is not None:
        assert refused.problems
        assert all(problem.line >= 1 and problem.text for problem in refused.problems)
        assert "\n" not in str(refused)
        return "refused"
    again = parse_briefing(render_briefing(found).encode("utf-8"), "rendered.md")
    assert _without_lines(again) == _without_lines(found)
    # Nothing that looks like an item is passed over in silence.
    assert len(found.items) == sum(line.startswith(b"- [") for line in data.replace(b"\r\n", b"\n").split(b"\n"))
    return "accepted"


def mutate(random_: random.Random, good: bytes) -> bytes:
    """Return a briefing with a few changes."""
    data = bytearray(good)
    for _ in range(random_.choice((1, 1, 1, 2, 3, 5, 9))):
        place = random_.randrange(len(data) + 1)
        length = random_.choice((0, 0, 1, 2, 5, 20, 80))
        kind = random_.random()
        if kind < 0.6:
            data[place : place + length] = random_.choice(PIECES)
        elif kind < 0.75:
            data[place : place + length] = b""
        elif kind < 0.9:
            other = random_.randrange(len(data) + 1)
            data[place:place] = data[other : other + random_.choice((1, 5, 30, 120))]
        elif place < len(data):
            data[place] = random_.randrange(256)
    return bytes(data)


def _without_lines(briefing):  # type: ignore[no-untyped-def]
    items = tuple(dataclasses.replace(item, line=0) for item in briefing.items)
    return dataclasses.replace(briefing, items=items)


def main() -> None:
    """Run for some seconds, or under atheris."""
    if "--atheris" in sys.argv:
        import atheris

        atheris.Setup([word for word in sys.argv if word != "--atheris"], check)
        atheris.Fuzz()
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    random_ = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    counts, end = Counter(), time.monotonic() + seconds
    good = GOOD.encode("utf-8")
    while time.monotonic() < end:
        data = mutate(random_, good)
        try:
            counts[check(data)] += 1
        except Exception:
            Path("fuzzed-input.md").write_bytes(data)
            print(f"after {sum(counts.values())} inputs: see fuzzed-input.md")
            raise
    print(f"{sum(counts.values())} inputs: {dict(counts)}")


if __name__ == "__main__":
    main()
