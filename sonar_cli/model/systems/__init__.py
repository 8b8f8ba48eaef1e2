"""The systems, which predict the next sentence of a text from its sentences so far."""
