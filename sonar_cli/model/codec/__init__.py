"""The codec, which turns sentences into vectors and back: our own and sonar-space's."""
