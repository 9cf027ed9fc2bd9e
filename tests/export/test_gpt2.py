"""Hugging Face transformers computes the same from an exported directory as the model itself."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.export import export_gpt2
from sequentia.models import LanguageModel, Transformer
from sequentia.vocabulary import Vocabulary
from tests.export.models import CHARACTERS, perturbed


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The library, set to offline mode so that it contacts no server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # read when it is imported
        return import_module("transformers")


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest) -> Transformer:
    model = perturbed(Transformer(CHARACTERS, 7, n_layer=2, n_head=2, n_embd=8, tied=request.param))
    assert isinstance(model, Transformer)
    return model


@pytest.fixture
def exported(model: LanguageModel, tmp_path: Path) -> Path:
    export_gpt2(model, tmp_path / "out")
    return tmp_path / "out"


@torch.no_grad()
def test_transformers_loads_every_weight_and_computes_the_same_logits_and_attention(
    transformers: Any, model: Transformer, exported: Path
) -> None:
    options = {"output_loading_info": True, "attn_implementation": "eager"}
    theirs, problems = transformers.GPT2LMHeadModel.from_pretrained(exported, **options)
    assert not any(problems.values())  # no missing, unexpected or mismatched weights
    context = torch.randint(0, len(model.vocabulary), (3, 7))
    computed = theirs.eval()(context, output_attentions=True)
    torch.testing.assert_close(computed.logits, model(context), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.stack(computed.attentions, 1), model.attention(context), atol=1e-5, rtol=0)


def test_the_tokenizer_gives_the_ids_of_the_vocabulary(transformers: Any, model: LanguageModel, exported: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    for text in ("", "abc", " a. é\n😀 "):
        ids = tokenizer(text)["input_ids"]
        assert ids == [0, *model.vocabulary.encode(text).tolist()]
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (0, 0, len(model.vocabulary))


def test_a_text_with_an_unknown_character_is_an_error_that_says_so(transformers: Any, exported: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    for texts in ("axb", ["ab", "x"]):
        with pytest.raises(Exception, match="Unk token `<unknown character>` not found in the vocabulary"):
            tokenizer(texts)


@torch.no_grad()
def test_padding_of_a_batch_changes_no_logit(transformers: Any, model: LanguageModel, exported: Path) -> None:
    theirs = transformers.GPT2LMHeadModel.from_pretrained(exported).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
    batch = tokenizer(["abc", "é"], return_tensors="pt", padding=True)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    generated = theirs.generate(**batch, max_length=5, output_logits=True, return_dict_in_generate=True)
    for row, text in enumerate(["abc", "é"]):
        context = torch.tensor([[0, *model.vocabulary.encode(text).tolist()]])
        torch.testing.assert_close(generated.logits[0][row], model(context)[0, -1], atol=1e-4, rtol=0)


def test_the_pipeline_generates_batches_without_a_warning(
    transformers: Any, exported: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = transformers.pipeline("text-generation", model=str(exported))
    monkeypatch.setattr(transformers.logging.get_logger(), "propagate", True)  # to caplog
    for prompts in (["", "a", "abc"], ["a"] * 3):
        for prompt, lines in zip(prompts, generator(prompts, batch_size=3, num_return_sequences=2), strict=True):
            assert len(lines) == 2
            assert all(line["generated_text"].startswith(prompt) for line in lines)
            assert all(len(line["generated_text"]) <= 7 for line in lines)
    assert [record.getMessage() for record in caplog.records if record.levelname != "INFO"] == []


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_a_line_starts_with_the_token_of_its_label_and_no_other_is_drawn(
    transformers: Any, tmp_path: Path, tied: bool
) -> None:
    labels = {"": 1, "boundary": 1, "<a>": 3}
    vocabulary = Vocabulary(CHARACTERS, labels)
    model = perturbed(Transformer(vocabulary.plain, 7, n_layer=1, n_head=1, n_embd=8, tied=tied))
    export_gpt2(model, tmp_path / "out")
    theirs, problems = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(problems.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    V = len(vocabulary)
    for label, name in (("", "<boundary>"), ("boundary", "<label:boundary>"), ("<a>", "<label:<a>>")):
        ids = tokenizer(f"{name}ab.", return_tensors="pt")["input_ids"]
        assert ids[0].tolist() == [vocabulary.start(label), *vocabulary.encode("ab.")]
        assert tokenizer.decode(ids[0], skip_special_tokens=True) == "ab."
        torch.testing.assert_close(theirs.eval()(ids).logits[..., :V], model(ids), atol=1e-4, rtol=0)
        assert f"    {name}  " in (tmp_path / "out" / "README.md").read_text()
    prompts = tokenizer(["<label:<a>>"] * 500, return_tensors="pt")
    generated = theirs.generate(**prompts, output_logits=True, return_dict_in_generate=True)
    assert generated.logits[0].softmax(1)[0, V:].sum() > 0.05  # they would be drawn
    assert generated.sequences[:, 1:].max() < V
