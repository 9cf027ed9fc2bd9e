"""Vocabulary -> tokenizer.json, the file format of Hugging Face tokenizers: one token per character."""

from typing import Any

from sequentia.vocabulary import BOUNDARY, Vocabulary

UNKNOWN = "<unknown character>"
"""Named by the error about a character outside the vocabulary: the tokenizers library then looks up this token, which
no vocabulary has, and says so. A tokenizer without it would silently drop the character."""

BOUNDARY_NAME = "<boundary>"
"""The name of the boundary token."""


def start_name(label: str) -> str:
    """The name of the token that a line with this label starts with: longer than a character, and not `UNKNOWN`."""
    return f"<label:{label}>" if label else BOUNDARY_NAME


def tokenizer_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """The contents of tokenizer.json: the boundary token starts every text, and every character is a token.

    If lines have labels, a text has to name the token that it starts with.
    The model is GPT-2's, byte-pair encoding, without any pair to merge.
    """
    name = BOUNDARY_NAME
    starts = {start_name(label): vocabulary.start(label) for label in ("", *vocabulary.labels)}
    special = {"special": True, "normalized": False} | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    start: list[dict[str, Any]] = [{"SpecialToken": {"id": name, "type_id": 0}}]
    first: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    second: list[dict[str, Any]] = [{"Sequence": {"id": "B", "type_id": 0}}]
    return {
        "version": "1.0",
        "added_tokens": [{"id": token, "content": name} | special for name, token in starts.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False},
        "post_processor": None
        if vocabulary.labels
        else {
            "type": "TemplateProcessing",
            "single": start + first,
            "pair": start + first + start + second,
            "special_tokens": {name: {"id": name, "ids": [BOUNDARY], "tokens": [name]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "unk_token": UNKNOWN,
            "vocab": {name: BOUNDARY}
            | {character: i for i, character in enumerate(vocabulary.characters, start=1)}
            | starts,
            "merges": [],
        },
    }


def tokenizer_config(context_length: int) -> dict[str, Any]:
    """The contents of tokenizer_config.json. Prompts of a batch are padded on the left, where generation needs it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context_length,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
    } | dict.fromkeys(("bos_token", "eos_token", "pad_token"), BOUNDARY_NAME)
