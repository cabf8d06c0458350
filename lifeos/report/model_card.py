"""A release as a Hugging Face model card: what was measured, by what, with ``model-index`` results."""

from collections.abc import Mapping
from typing import Any

from lifeos.report.figure import figure
from lifeos.report.page import MISSING, WORDS
from lifeos.report.step_summary import escaped

_REPORTED = ("likeness", "skin_z", "adherence", "face_count", "copy_image", "self_similarity")


def model_card(row: Mapping[str, Any]) -> str:
    """Return the card, YAML header and text, as huggingface_hub writes it; it holds no image.

    Args:
        row: a scorecard of phase release.
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData

    name = f"{row['persona']}-{(row['hashes']['lora'] or 'images')[:12]}"
    plan = row["hashes"]["plan"] or "finished images"
    results = [
        EvalResult(
            task_type="text-to-image", dataset_type="lifeos-plan", dataset_name=f"prompt set B, plan {plan[:12]}",
            metric_type=metric, metric_name=f"{metric}, mean over prompts", metric_value=round(found["mean"], 6),
            verified=None,
        )
        for metric in _REPORTED if (found := row["metrics"].get(metric)) and found.get("mean") is not None
    ]  # fmt: skip
    header = ModelCardData(
        model_name=name, tags=["lora", "text-to-image", "persona", "lifeos"], eval_results=results or None
    )
    backend = row["face_backend"] or {"name": "none", "licence": "none"}
    lines = [
        f"# {escaped(name)}", "",
        f"**{WORDS[row['verdict']]}** by lifeos, row {escaped(row['id'])} of {row['time']}.", "",
        "| gate | verdict | value | threshold |", "| --- | --- | --- | --- |",
        *(f"| {escaped(gate['id'])} ({gate['severity']}) | {gate['verdict'].replace('_', ' ')} "
          f"| {figure(gate['value'], MISSING)} | {figure(gate['threshold'], MISSING)} |" for gate in row["gates"]),
        "", f"Faces judged with {escaped(backend['name'])}; licence of its weights: {escaped(backend['licence'])}.",
        "", f"SHA-256 of the file: `{row['hashes']['lora'] or 'none'}`; of the base: `{row['hashes']['base']}`.",
        f"Commit {row['git']['commit']}{', with changes' if row['git']['dirty'] else ''}.",
    ]  # fmt: skip
    return str(ModelCard("---\n" + header.to_yaml() + "\n---\n\n" + "\n".join(lines) + "\n"))
