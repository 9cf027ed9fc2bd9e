"""The weights of one model in another with other characters, labels and positions.

Tokens are matched by character and label, positions by number. A new character starts as its relative, and a new label
as the boundary, which starts the lines of a model without labels. Whatever else the other model lacks keeps its fresh
initialization.
"""

import unicodedata

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models.base import LanguageModel
from sequentia.models.counting import Counting
from sequentia.vocabulary import BOUNDARY, Vocabulary, code_points

SEPARATORS = ("Zs", "Pd")
"""Unicode categories of the characters between words: spaces and dashes."""


def relatives(first: Vocabulary, second: Vocabulary) -> dict[int, int]:
    """Ids of characters that only the first vocabulary has -> ids of their relatives in the second.

    The relative of a letter is the letter in the other case, else without its accent. That of a space or hyphen is the
    boundary, which also has words on both sides. Characters without a relative are omitted.

    Example:
        >>> relatives(Vocabulary(" +AÉßé"), Vocabulary("aesé"))  # A -> a, É -> é, ß -> s, and + has none
        {1: 0, 3: 1, 4: 4, 5: 3}
    """
    ids = {character: i for i, character in enumerate(second.characters, 1)}
    found: dict[int, int] = {}
    for i, character in enumerate(first.characters, 1):
        base = unicodedata.normalize("NFKD", character)[0]
        forms = (character.casefold(), character.upper(), base, base.casefold(), base.upper())
        known = [ids[form[0]] for form in forms if form[0] in ids]  # ß and ligatures: their first letter
        if unicodedata.category(character) in SEPARATORS:
            known.append(BOUNDARY)
        if known and character not in ids:
            found[i] = known[0]
    return found


def shared_tokens(first: Vocabulary, second: Vocabulary) -> tuple[Tensor, Tensor]:
    """Ids of the tokens of the first vocabulary that start from one of the second, and the ids of the latter.

    Returns:
        Two tensors `(N,)` long: the boundary token, the characters of both vocabularies, those with relatives, and the
        labels. The boundary also stands for the labels that only the first vocabulary has.

    Example:
        >>> shared_tokens(Vocabulary("Babd"), Vocabulary("bcd"))
        (tensor([0, 3, 4, 1]), tensor([0, 1, 3, 1]))
        >>> shared_tokens(Vocabulary("ab", {"F": 1, "M": 1}), Vocabulary("ab", {"M": 1}))
        (tensor([0, 1, 2, 3, 4]), tensor([0, 1, 2, 0, 3]))
    """
    found = torch.from_numpy(second.lookup(code_points(first.characters)))  # -1: unknown
    ids = torch.arange(1, len(first))
    boundary = torch.tensor([BOUNDARY])
    labels = torch.arange(len(first), first.num_tokens)
    same = torch.tensor([second.start(label) if label in second.labels else BOUNDARY for label in first.labels]).long()
    related = relatives(first, second)
    to, source = torch.tensor([*related]).long(), torch.tensor([*related.values()]).long()
    return torch.cat((boundary, ids[found > 0], to, labels)), torch.cat((boundary, found[found > 0], source, same))


@torch.no_grad()
def copy_weights(model: LanguageModel, trained: LanguageModel) -> None:
    """Copy the weights of a model with the same options but possibly another vocabulary and context length.

    Entries of positions that only `model` has, and of new characters without a relative, are left as they are; those
    that only `trained` has are dropped. Counts are not copied: `model` counts its own lines.

    Raises:
        UserError: The vocabularies differ, and the architecture does not say which weights have an entry per token.
    """
    tokens = shared_tokens(model.vocabulary, trained.vocabulary)
    token_dims, position_dims = model.vocabulary_dims(), model.position_dims()
    if not token_dims and model.vocabulary.plain != trained.vocabulary.plain:
        raise UserError(
            f"the data has other characters or labels than the trained model: define {type(model).__name__}."
            "vocabulary_dims, which says which weights have an entry per token"
        )
    adapted: dict[str, Tensor] = {}
    counted = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, Counting)
        for name in module.state_dict()
    }
    after = model.state_dict(keep_vars=True)  # the parameters themselves, which are the keys of the declarations
    for name, before in trained.state_dict().items():
        weight = after[name]
        if name in counted:
            adapted[name] = weight
            continue
        to, source = ([torch.arange(size) for size in before.shape] for _ in range(2))
        for dim in token_dims.get(weight, ()):
            has_row = tokens[0] < weight.shape[dim]  # labels are read, not predicted
            to[dim], source[dim] = tokens[0][has_row], tokens[1][has_row]
        for dim in position_dims.get(weight, ()):
            to[dim] = source[dim] = torch.arange(min(weight.shape[dim], before.shape[dim]))
        if weight in token_dims or weight in position_dims:
            adapted[name] = weight.clone()
            adapted[name][torch.meshgrid(*to, indexing="ij")] = before[torch.meshgrid(*source, indexing="ij")]
        else:
            adapted[name] = before
    model.load_state_dict(adapted)  # strict: raises if a shape depends on the data and was not declared
