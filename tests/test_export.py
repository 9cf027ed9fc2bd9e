"""Other software computes the same logits from an exported file as the model itself."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from sequentia.errors import UserError
from sequentia.export import export_gpt2, export_onnx
from sequentia.models import ARCHITECTURES, Bigram, LanguageModel, Transformer

CHARACTERS = "\n .abcé😀"
"""Whitespace, the dot that elsewhere shows the boundary, and characters of two and four bytes in UTF-8."""


def perturbed(model: LanguageModel) -> LanguageModel:
    """The model with noise added to its weights, some of which are initialized to zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.eval()


@pytest.fixture(scope="module")
def transformers() -> Any:
    """The library, set to offline mode so that it contacts no server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")  # read when it is imported
        return import_module("transformers")


class TestGPT2:
    @pytest.fixture(params=[True, False], ids=["tied", "untied"])
    def model(self, request: pytest.FixtureRequest) -> LanguageModel:
        return perturbed(Transformer(CHARACTERS, 7, n_layer=2, n_head=2, n_embd=8, tied=request.param))

    @pytest.fixture
    def exported(self, model: LanguageModel, tmp_path: Path) -> Path:
        export_gpt2(model, tmp_path / "out")
        return tmp_path / "out"

    @torch.no_grad()
    def test_transformers_loads_every_weight_and_computes_the_same_logits(
        self, transformers: Any, model: LanguageModel, exported: Path
    ) -> None:
        theirs, problems = transformers.GPT2LMHeadModel.from_pretrained(exported, output_loading_info=True)
        assert not any(problems.values())  # no missing, unexpected or mismatched weights
        context = torch.randint(0, len(model.vocabulary), (3, 7))
        torch.testing.assert_close(theirs.eval()(context).logits, model(context), atol=1e-4, rtol=0)

    def test_generate_continues_the_prompt_and_stops_at_the_context_length(
        self, transformers: Any, exported: Path
    ) -> None:
        theirs = transformers.GPT2LMHeadModel.from_pretrained(exported)
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        torch.manual_seed(1)
        ids = theirs.generate(**tokenizer("ab", return_tensors="pt"), num_return_sequences=20)
        assert ids.shape[0] == 20
        assert ids[:, 0].eq(0).all()
        assert ids.shape[1] <= 8
        assert all(text.startswith("ab") for text in tokenizer.batch_decode(ids, skip_special_tokens=True))

    def test_the_tokenizer_gives_the_ids_of_the_vocabulary(
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

    def test_only_a_transformer_is_exported(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="this model is a Bigram"):
            export_gpt2(Bigram("ab", 4), tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


class TestONNX:
    @pytest.fixture(params=[name for name in ARCHITECTURES if name != "NGram"])
    def model(self, request: pytest.FixtureRequest) -> LanguageModel:
        networks = [{"architecture": "Transformer", "n_embd": 8, "n_head": 2, "copies": 2}, {"architecture": "GRU"}]
        options = {"members": networks} if request.param == "Mixture" else {}
        return perturbed(ARCHITECTURES[request.param](CHARACTERS, 7, **options))

    @torch.no_grad()
    def test_onnxruntime_computes_the_same_logits_for_any_batch_and_length(
        self, model: LanguageModel, tmp_path: Path
    ) -> None:
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

    def test_the_metadata_holds_the_vocabulary(self, model: LanguageModel, tmp_path: Path) -> None:
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
