"""The embedded model: its weights, the story world and the recipe that made them."""
