"""Loads the project's pytest plugin; everything else is in it."""

pytest_plugins = ["lifeos.plugin"]
