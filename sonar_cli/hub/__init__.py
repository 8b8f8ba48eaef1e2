"""Names of models -> files on disk: catalogue, downloads, sonar-space's cards."""
