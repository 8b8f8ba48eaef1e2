"""What predicts the next sentence's vector."""
