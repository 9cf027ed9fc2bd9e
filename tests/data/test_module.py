from collections.abc import Callable

import numpy as np
import pytest

from sequentia.data import CharDataModule
from sequentia.data.module import usual_batch_size


@pytest.mark.parametrize(
    ("lines", "length", "batch_size"),
    # 2,000 characters make 286 lines of 7, 500 of 4, 4 of 501; an eighth of 200 lines is 25; one line is a batch too.
    [(30_000, 7, 256), (30_000, 4, 512), (30_000, 501, 4), (2_000, 7, 256), (200, 7, 32), (100, 7, 16), (1, 7, 1)],
)
def test_a_batch_is_of_about_2000_characters_and_an_eighth_of_the_lines(
    lines: int, length: int, batch_size: int
) -> None:
    assert usual_batch_size(np.full(lines, length)) == batch_size


def test_the_batch_size_is_told_and_can_be_given(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    path = write(["emma"] * 100)
    with caplog.at_level("INFO"):
        assert CharDataModule(path, batch_size=7).batch_size == 7
        data = CharDataModule(path, val_fraction=0, test_fraction=0)
        data.setup("fit")
    assert data.batch_size == 16
    assert "batches of 16 lines" in caplog.text
