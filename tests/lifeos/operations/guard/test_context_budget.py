import pytest

from evals.verdict import Outcome
from lifeos.operations.guard.context_budget import budget_verdict, measure_budget
from tests.lifeos.operations.guard.world import FILES, Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_bytes_and_lines_are_exact_and_tokens_an_estimate(place):
    budget = measure_budget(place.look())
    used = {each.name: each for each in budget.files}
    text = FILES["CLAUDE.md"]
    assert (used["CLAUDE.md"].lines, used["CLAUDE.md"].size) == (text.count("\n"), len(text))
    assert used["CLAUDE.md"].tokens == -(-len(text) // 3)
    assert budget.total == sum(len(FILES[name].encode()) for name in used)
    assert budget_verdict(place.look()).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("CLAUDE.md", "x\n" * 151, "CLAUDE.md: accepted 150 lines"),
        ("CLAUDE.md", "x" * 8193, "got 1 lines and 8193 bytes"),
        ("context/session-learnings.md", "x\n" * 121, "120 lines"),
        ("context/projects/anna/context.md", "x\n" * 201, "200 lines"),
        ("agents/anna.md", "x" * 8193, "8192 bytes"),
        ("PROGRESS.md", "x" * 12289, "12288 bytes"),
    ],
)
def test_a_file_over_its_limit_is_named(place, name, text, said):
    place.write(name, text)
    verdict = budget_verdict(place.look())
    assert verdict.outcome is Outcome.FAILED
    assert said in verdict.reason


def test_files_within_their_limits_can_be_too_much_together(place):
    for name in ("ben", "cleo", "dora"):
        place.write(f"context/projects/{name}/context.md", "x" * 12_000)
    place.add()
    verdict = budget_verdict(place.look())
    assert "accepted 32768 bytes in all" in verdict.reason
    assert measure_budget(place.look()).cuts()[0][2] == 12_000


def test_a_control_file_that_is_gone_makes_no_sum_smaller(place):
    (place.root / "agents/anna.md").unlink()
    verdict = budget_verdict(place.look())
    assert verdict.outcome is Outcome.FAILED
    assert "agents/anna.md: accepted a plain file" in verdict.reason
    for name in ("CLAUDE.md", "PROGRESS.md", "context/session-learnings.md", "context/projects/anna/context.md"):
        (place.root / name).unlink()
    assert budget_verdict(place.look()).outcome is Outcome.FAILED


def test_the_biggest_section_comes_first(place):
    place.write("PROGRESS.md", "# A\nshort\n## B\n" + "long\n" * 50 + "## C\nshort\n")
    assert measure_budget(place.look()).cuts()[0] == ("PROGRESS.md", "B", 5 + 250)


def test_imports_count_and_wrong_ones_are_named(place):
    place.write("CLAUDE.md", "See @docs/page.md and @docs/gone.md, not `@docs/other.md` nor a@b.org\n")
    budget = measure_budget(place.look())
    assert "docs/page.md" in {used.name for used in budget.files}
    assert budget.problems == ("CLAUDE.md: @docs/gone.md is not there",)
    assert budget_verdict(place.look()).outcome is Outcome.FAILED


def test_imports_in_a_circle_too_deep_or_outside_are_named(place):
    place.write("CLAUDE.md", "@a1.md\n@../outside.md\n")
    for number in range(1, 8):
        place.write(f"a{number}.md", f"@a{number + 1}.md\n")
    place.write("a3.md", "@a1.md\n@a4.md\n")
    problems = measure_budget(place.look()).problems
    assert any("a3.md: @a1.md imports itself" in each for each in problems)
    assert any("more than 4 imports deep" in each for each in problems)
    assert any("@../outside.md is not there" in each for each in problems)


def test_without_git_it_cannot_be_told(tmp_path):
    assert budget_verdict(Place(tmp_path / "a", git=False).look()).outcome is Outcome.NOT_EVALUATED
