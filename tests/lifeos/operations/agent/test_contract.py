import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.operations.agent.contract import CHECKS, EXIT_CODES, load_contract
from lifeos.operations.agent.contract_checks import LARGEST_BYTES, contracts_verdict
from lifeos.operations.cycle.state import Exit
from tests.lifeos.operations.agent.mutations import NAME, ROOT, TEXT, mutations, red

MUTATIONS = mutations()


def test_the_contract_as_it_is_holds():
    assert red(TEXT) is None
    assert contracts_verdict(ROOT).outcome is Outcome.PASSED


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_weaker_contract_is_red(name):
    assert MUTATIONS[name] != TEXT
    said = red(MUTATIONS[name])
    assert said
    assert "\n" not in said


def test_the_mutations_cover_every_stop_outcome_and_budget():
    assert len(MUTATIONS) > 140
    contract = load_contract(ROOT).contract
    assert {stop.check for stop in contract.stop} == set(CHECKS)
    assert set(contract.failure) == set(EXIT_CODES)
    assert set(EXIT_CODES.values()) <= {int(code) for code in Exit}


def test_a_folder_of_contracts_is_judged_as_a_whole(tmp_path):
    assert contracts_verdict(tmp_path).outcome is Outcome.NOT_EVALUATED
    for name in load_contract(ROOT).contract.reads:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if not (tmp_path / name).exists():
            (tmp_path / name).touch() if "." in name else (tmp_path / name).mkdir()
    (tmp_path / "agents").mkdir()
    good = tmp_path / NAME
    good.write_bytes(TEXT.encode())
    assert contracts_verdict(tmp_path).outcome is Outcome.PASSED
    good.write_bytes(TEXT.replace("\n", "\r\n").encode())
    assert contracts_verdict(tmp_path).outcome is Outcome.PASSED
    (tmp_path / "agents" / "other.md").write_text("# No contract\n", encoding="utf-8")
    assert "other.md" in contracts_verdict(tmp_path).reason
    (tmp_path / "agents" / "other.md").unlink()
    good.write_bytes((TEXT + "x" * LARGEST_BYTES).encode())
    assert "at most 8192 bytes" in contracts_verdict(tmp_path).reason
    good.write_bytes(b"\xff")
    assert "UTF-8" in contracts_verdict(tmp_path).reason


def test_a_missing_contract_is_one_line(tmp_path):
    with pytest.raises(InputError, match="accepted a contract"):
        load_contract(tmp_path)
