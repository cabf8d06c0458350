import xml.etree.ElementTree as ET

from evals.scorecard import gate_row
from evals.verdict import failed, not_applicable, not_evaluated, passed
from lifeos.report.junit import junit_xml
from tests.lifeos.test_champion import scorecard

GATES = [
    gate_row("a", "hard", passed("fine")),
    gate_row("b", "hard", failed("below <tau> & \x00 \x1b[31m")),
    gate_row("c", "hard", not_evaluated("no calibration")),
    gate_row("d", "soft", failed("too like")),
    gate_row("e", "hard", not_applicable("no champion")),
]


def test_counts_and_cases_are_those_of_the_gates():
    suite = ET.fromstring(junit_xml(scorecard(gates=GATES, durations={"total": 12.5})).encode())
    assert suite.tag == "testsuite"
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counted == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2", "time": "12.500"}
    kinds = {case.get("name"): [child.tag for child in case] for case in suite}
    assert kinds == {"a": [], "b": ["failure"], "c": ["error"], "d": ["skipped"], "e": ["skipped"]}
    assert suite.find("testcase[@name='b']/failure").get("message").startswith("failed: below <tau> &")


def test_equal_rows_give_equal_text():
    assert junit_xml(scorecard(gates=GATES)) == junit_xml(scorecard(gates=GATES))
