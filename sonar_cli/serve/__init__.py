"""The server: requests over HTTP -> jobs of the one thread that runs the model -> answers."""
