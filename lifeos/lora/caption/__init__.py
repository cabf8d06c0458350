"""Captions for a folder of pictures: measured, or asked of a model; one set of rules; sidecar files.

``lifeos auto-caption`` is the command. Nothing here imports torch before a model is asked.
"""

from lifeos.lora.caption.auto_caption import AutoCaption, Row, auto_caption, measured_backend, text_backend
from lifeos.lora.caption.rules import CaptionRules, Composed, Removed

__all__ = [
    "AutoCaption",
    "CaptionRules",
    "Composed",
    "Removed",
    "Row",
    "auto_caption",
    "measured_backend",
    "text_backend",
]
