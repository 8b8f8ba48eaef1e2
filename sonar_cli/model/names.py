"""The file names of published models. Needs no torch."""

CONFIG = "config.json"
# A folder has its weights in one of these files, or in shards that an `*.index.json` lists.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# The names of SentencePiece files in repositories, first the one in SONAR's.
TOKENIZER_FILES = (
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "tokenizer.model",
)
# Optional files that may list the tokenizer's languages.
LANGUAGE_FILES = ("tokenizer_config.json", "special_tokens_map.json")
