"""A document -> a summary of it, by the vectors of its sentences."""
