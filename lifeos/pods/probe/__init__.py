"""What the rented machine itself says once it is up: one file a subject, each a probe and the verdict over its answer.

A probe that may crash, hang or fill the GPU runs in a child process (``ask``, ``child``); its answer is plain JSON, and
the verdict over it is a pure function. ``gates`` maps gate ids to verdicts; ``gates/gate_pod.py`` asserts them.
"""
