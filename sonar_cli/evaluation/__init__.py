"""Metrics, evaluation runs and their tables."""
