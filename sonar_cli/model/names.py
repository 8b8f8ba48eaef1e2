"""The file names of published models. Needs no torch."""

CONFIG = "config.json"
# A folder has its weights in one of these files, or in shards that an `*.index.json` lists.
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
# Meta's own names of a codec's weights, first those that are taken by default.
META_WEIGHTS = {
    "encoder": ("sonar_text_encoder.pt",),
    "decoder": ("sonar_text_decoder.pt", "finetuned_decoder.pt"),
}
TOKENIZER_JSON = "tokenizer.json"
# The names of tokenizers' files in repositories, in the order in which they are looked for:
# SentencePiece models, first the one in SONAR's, and what transformers makes of one.
TOKENIZER_FILES = (
    "sentencepiece.bpe.model",
    "sentencepiece.source.256000.model",
    "sentencepiece.model",
    "spiece.model",
    "tokenizer.model",
    TOKENIZER_JSON,
)
# Optional files that may list the tokenizer's languages.
LANGUAGE_FILES = ("tokenizer_config.json", "special_tokens_map.json")
