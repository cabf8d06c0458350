"""Detectors of known failures in what comes out: samples and their measured rows."""
