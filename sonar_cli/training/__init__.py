"""Objectives, data and the training loop; knows nothing of any particular text."""
