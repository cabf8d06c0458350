"""Predicted memory held against measured: on a GPU with random weights, and against published figures."""
