"""Is a dataset fit to be trained on: pictures, captions, faces, duplicates, held-out references.

One rule a fault (``rules.toml``), one finding a fault and file, one verdict a gate. Nothing here imports torch.
"""

from lifeos.lora.dataset_lint.finding import Finding
from lifeos.lora.dataset_lint.lint import DatasetLint, lint_dataset
from lifeos.lora.dataset_lint.rules import GATES, SOFT_GATES, Gate

__all__ = ["GATES", "SOFT_GATES", "DatasetLint", "Finding", "Gate", "lint_dataset"]
