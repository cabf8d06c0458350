"""How fast lifeos is, against the targets it set itself: ``python -m benchmarks [NAME ...]``; see README.md here."""
