"""The tables of ``lifeos.pods.rule_tables`` (``*.toml``), and ``recheck.py``, which reads their sources again."""
