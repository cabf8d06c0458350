"""lifeos against its targets and against alternatives: ``python -m benchmarks``; see README.md here."""
