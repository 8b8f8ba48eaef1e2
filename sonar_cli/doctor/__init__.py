"""What this installation is and whether it works: small checks that never fail themselves."""
