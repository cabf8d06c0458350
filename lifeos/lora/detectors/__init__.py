"""Detectors of known failures in recipes, datasets, training logs and LoRA files."""
