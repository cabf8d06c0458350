"""The registry of ``evals/known_failures`` at work: detectors on a user's inputs, liveness, gates, the page."""
