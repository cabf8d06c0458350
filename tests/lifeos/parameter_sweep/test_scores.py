import pytest

from lifeos.parameter_sweep.scores import front_of, scores_of


def row(prompt, **metrics):
    return {"prompt": prompt, "metrics": metrics}


def test_prompts_count_alike_and_a_lost_face_counts_in_likeness_alone():
    rows = [
        row("A", likeness=0.8, skin_z=-1.0, copy_face=0.1, adherence=1.0),
        row("A", likeness=None, skin_z=None, copy_face=None, adherence=0.5),
        row("B", likeness=0.6, skin_z=2.0, copy_face=0.3, adherence=0.5),
    ]
    assert scores_of(rows) == pytest.approx(
        {"likeness": 0.5, "skin_deviation": 1.5, "copying": 0.2, "adherence": 0.625}
    )
    assert scores_of([row("A", likeness=0.8, skin_z=None)]) == {
        "likeness": 0.8, "skin_deviation": None, "copying": None, "adherence": None,
    }  # fmt: skip


def scores(likeness, skin=1.0, copying=0.1, adherence=None):
    return {"likeness": likeness, "skin_deviation": skin, "copying": copying, "adherence": adherence}


def test_a_scale_that_one_cell_lacks_decides_for_none_and_is_said():
    found = front_of({3: scores(0.8, skin=2.0, adherence=0.1), 5: scores(0.7, adherence=0.9), 7: scores(0.6)})
    assert (found.places, found.compared) == ((3, 5), ("likeness", "skin_deviation", "copying"))
    assert found.left_out == {"adherence": "not evaluated in 1 of 3 cells"}
    assert front_of({7: scores(0.6, adherence=0.9), 5: scores(0.7, adherence=0.8)}).places == (7, 5)
    assert front_of({}).places == ()
