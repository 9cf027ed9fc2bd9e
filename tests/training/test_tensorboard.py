"""What TensorBoard shows of a run besides curves."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_the_heat_map_of_a_bigram_is_drawn_once_at_the_last_step(trained: Path) -> None:
    events = EventAccumulator(str(trained))
    events.Reload()
    assert events.Tags()["images"] == ["bigrams"]
    (picture,) = events.Images("bigrams")
    assert picture.step == 19
    assert picture.encoded_image_string.startswith(b"\x89PNG")
