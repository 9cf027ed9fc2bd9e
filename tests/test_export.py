"""What other software computes from an exported file is what the model itself computes."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.errors import UserError
from sequentia.export import export_gpt2, export_onnx
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel, Transformer

CHARACTERS = "\n .abcé😀"
"""White space, the character that shows the boundary elsewhere, and ones of two and four bytes."""


def shaken(model: LanguageModel) -> LanguageModel:
    """The model with all weights off their initial values, some of which are zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The library, which then asks no server for anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # read once, at the import
        return import_module("transformers")


class TestGPT2:
    @pytest.fixture(params=[True, False], ids=["tied", "untied"])
    def model(self, request: pytest.FixtureRequest) -> LanguageModel:
        return shaken(Transformer(CHARACTERS, 7, n_layer=2, n_head=2, n_embd=8, tied=request.param))

    @pytest.fixture
    def exported(self, model: LanguageModel, tmp_path: Path) -> Path:
        export_gpt2(model, tmp_path / "out")
        return tmp_path / "out"

    @torch.no_grad()
    def test_transformers_computes_the_same_logits(
        self, transformers: Any, model: LanguageModel, exported: Path
    ) -> None:
        theirs, told = transformers.GPT2LMHeadModel.from_pretrained(exported, output_loading_info=True)
        assert not any(told.values())  # no weight missing, left over or of another shape
        context = torch.randint(0, len(model.vocabulary), (3, 7))
        torch.testing.assert_close(theirs.eval()(context).logits, model(context), atol=1e-4, rtol=0)

    def test_generation_starts_at_the_boundary_and_ends_within_the_context(
        self, transformers: Any, exported: Path
    ) -> None:
        theirs = transformers.GPT2LMHeadModel.from_pretrained(exported)
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        torch.manual_seed(1)
        ids = theirs.generate(**tokenizer("ab", return_tensors="pt"), num_return_sequences=20)
        assert ids.shape[1] <= 8
        assert all(text.startswith("ab") for text in tokenizer.batch_decode(ids, skip_special_tokens=True))

    def test_the_tokenizer_has_the_vocabularys_ids(
        self, transformers: Any, model: LanguageModel, exported: Path
    ) -> None:
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        for text in ("", "abc", " a. é\n😀 "):
            ids = tokenizer(text)["input_ids"]
            assert ids == [0, *model.vocabulary.encode(text).tolist()]
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id, len(tokenizer)) == (0, 0, len(model.vocabulary))
        with pytest.raises(Exception, match="UNK"):
            tokenizer("axb")

    def test_another_architecture_is_refused_by_name(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="this model is a Bigram"):
            export_gpt2(Bigram("ab", 4), tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestONNX:
    @pytest.fixture(params=ARCHITECTURES)
    def model(self, request: pytest.FixtureRequest) -> LanguageModel:
        return shaken(ARCHITECTURES[request.param](CHARACTERS, 7))

    @torch.no_grad()
    def test_onnxruntime_computes_the_same_logits_at_any_size(self, model: LanguageModel, tmp_path: Path) -> None:
        session = self.export(model, tmp_path)
        assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [
            ("context", ["batch", "time"], "tensor(int64)")
        ]
        assert [(o.name, o.shape[:2]) for o in session.get_outputs()] == [("logits", ["batch", "time"])]
        for shape in ((1, 1), (3, 7), (5, 2), (1, 6)):
            context = torch.randint(0, len(model.vocabulary), shape)
            context[:, 0] = 0
            (logits,) = session.run(None, {"context": context.numpy()})
            torch.testing.assert_close(torch.from_numpy(logits), model(context), atol=1e-5, rtol=1e-5)

    def test_the_vocabulary_is_in_the_metadata(self, model: LanguageModel, tmp_path: Path) -> None:
        assert self.export(model, tmp_path).get_modelmeta().custom_metadata_map == {
            "architecture": type(model).__name__,
            "characters": CHARACTERS,
            "boundary": "0",
            "context_length": "7",
        }

    def export(self, model: LanguageModel, tmp_path: Path) -> Any:
        import onnxruntime

        export_onnx(model.train(), tmp_path / "model.onnx")
        assert model.training
        model.eval()
        return onnxruntime.InferenceSession(tmp_path / "model.onnx")
