"""Images and records in, numbers and verdicts out: the ground floor, which knows nothing of the toolchain above it."""
