"""Finding the files of named models: catalogue, downloads, sonar-space's cards."""
