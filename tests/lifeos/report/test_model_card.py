from huggingface_hub import ModelCard

from lifeos.report.model_card import model_card
from tests.lifeos.report.recorded_release import METRICS
from tests.lifeos.test_champion import scorecard

BACKEND = {"name": "yunet_sface", "licence": "MIT"}


def test_the_results_read_back_through_huggingface_hub():
    metrics = {**METRICS, "skin_z": {"mean": -0.6, "interval": None, "n": 4, "missing": 0, "prompts": 2},
               "adherence": {"mean": None, "interval": None, "n": 0, "missing": 4, "prompts": 0}}  # fmt: skip
    text = model_card(scorecard(metrics=metrics, face_backend=BACKEND))
    card = ModelCard(text)
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {"likeness": 0.3, "skin_z": -0.6}
    assert card.data.model_name.startswith("one-")
    assert "lora" in card.data.tags
    assert "**APPROVED**" in card.text
    assert "licence of its weights: MIT" in card.text
    assert text == model_card(scorecard(metrics=metrics, face_backend=BACKEND))


def test_a_card_without_measurements_is_still_one():
    card = ModelCard(model_card(scorecard()))
    assert card.data.eval_results is None
    assert "| likeness &" not in card.text
    assert "likeness" in card.text
