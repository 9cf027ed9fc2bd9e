"""A bigram's run ends with a picture of its table."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_a_bigrams_run_has_one_picture_of_its_last_step(trained: Path) -> None:
    events = EventAccumulator(str(trained))
    events.Reload()
    assert events.Tags()["images"] == ["bigrams"]
    (picture,) = events.Images("bigrams")
    assert picture.step == 19
    assert picture.encoded_image_string.startswith(b"\x89PNG")
