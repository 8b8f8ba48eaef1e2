"""The codec: sentences to vectors and back, our own and sonar-space's."""
