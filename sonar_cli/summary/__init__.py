"""Summaries of documents, by the vectors of their sentences."""
