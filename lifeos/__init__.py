"""The toolchain: from a recipe or a LoRA file to one scorecard row; it imports ``evals`` and never ``gates``."""
