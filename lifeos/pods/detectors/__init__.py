"""Detectors of known failures in what is rented and installed."""
