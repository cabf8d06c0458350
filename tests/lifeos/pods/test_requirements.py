import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from evals.verdict import Outcome
from lifeos.pods.requirements import contradictions, parse_requirements, requirements_verdict
from lifeos.settings import project_root

SOUND = """\
# comment
--index-url https://example.org/simple
torch==2.13.0  # with a reason
diffusers[torch]>=0.30,<1 ; python_version >= "3.11"
package @ https://example.org/package-1.0-py3-none-any.whl#sha256=ab
numpy==2.4.6 \\
    --hash=sha256:aaaa \\
    --hash=sha256:bbbb
colorama ; sys_platform == "win32"
"""


def test_every_sound_form_is_read():
    lines, findings = parse_requirements(SOUND)
    assert findings == []
    assert [line.requirement.name for line in lines] == ["torch", "diffusers", "package", "numpy", "colorama"]
    assert [line.number for line in lines] == [3, 4, 5, 6, 9]
    assert contradictions(lines) == []


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("torch=2", 1),
        ("\n\ntorch==", 3),
        ("torch 2.0", 1),
        ("==2.0", 1),
        ("-r other.txt", 1),
        ("-e .", 1),
        ("./wheels/x.whl", 1),
        ("x.whl", 1),
        ("https://a.example/x.whl", 1),
        ("torch==2 --hash=md5:00", 1),
        ("--upgrade torch", 1),
        ("torch ; python_version > ", 1),
    ],
)
def test_what_pip_would_refuse_is_named_with_its_line(text, number):
    _, findings = parse_requirements(text)
    assert [finding.number for finding in findings] == [number]


def test_contradictions():
    def found(text):
        return [finding.reason for finding in contradictions(parse_requirements(text)[0])]

    assert found("torch==2\nTorch==2") == ["the package stands on line 1 already"]
    assert found("torch==2,==3") == ["no version satisfies every condition"]
    assert found("torch==2,<1") == ["no version satisfies every condition"]
    assert found('a==1 ; sys_platform == "win32"\na==2 ; sys_platform == "linux"') == []
    assert found("torch==2.*,>=2.1") == []


def test_verdicts(tmp_path):
    path = tmp_path / "requirements.txt"
    assert requirements_verdict(path).outcome is Outcome.NOT_EVALUATED
    path.write_text("# nothing\n", encoding="utf-8")
    assert requirements_verdict(path).outcome is Outcome.NOT_EVALUATED
    path.write_bytes(b"\xff\xfe\x00t")
    assert requirements_verdict(path).outcome is Outcome.NOT_EVALUATED
    path.write_text(SOUND, encoding="utf-8")
    assert requirements_verdict(path).outcome is Outcome.PASSED
    path.write_text("torch==\n", encoding="utf-8")
    assert requirements_verdict(path).outcome is Outcome.FAILED


def test_the_shipped_requirements_parse():
    assert requirements_verdict(project_root() / "requirements-pod.txt").outcome is Outcome.PASSED


@given(st.text(alphabet=string.printable, max_size=200))
def test_no_text_breaks_the_parser(text):
    lines, findings = parse_requirements(text)
    assert all(finding.number >= 1 and finding.reason for finding in findings)
    contradictions(lines)


NAMES = st.text(alphabet=string.ascii_letters + string.digits, min_size=1, max_size=8)


@given(st.lists(st.tuples(NAMES, st.integers(0, 99), st.sampled_from(["==", ">=", "~=1.", "<"])), max_size=6))
def test_what_packaging_writes_is_read_back(parts):
    written = [str(Requirement(f"{name}{operator}{number}")) for name, number, operator in parts]
    lines, findings = parse_requirements("\n".join(written))
    assert findings == []
    assert [str(line.requirement) for line in lines] == written
