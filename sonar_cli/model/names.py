"""What the files of a published model are called. Needs no torch."""

CONFIG = "config.json"
# A folder holds its weights in one of these, whole or in shards that an `*.index.json` lists.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# What repositories call their SentencePiece file; SONAR's own name is the first.
TOKENIZER_FILES = (
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "tokenizer.model",
)
# Either may list the tokenizer's languages; neither has to be there.
LANGUAGE_FILES = ("tokenizer_config.json", "special_tokens_map.json")
