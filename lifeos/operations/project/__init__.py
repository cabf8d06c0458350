"""``lifeos init``: a persona's project in a folder of its own."""
