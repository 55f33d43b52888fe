"""Fields that go on, edges that are where the photo's are, and masks that grow by colours."""

import numpy as np

from biofacenet.photos.matting import grown, guided, smooth_step, spread, with_holes_filled


def test_known_values_stay_and_others_are_filled_smoothly() -> None:
    values = np.zeros((40, 60, 2), np.float32)
    weight = np.zeros((40, 60), np.float32)
    values[10:20, 10:30] = (2.0, -1.0)
    weight[10:20, 10:30] = 1.0
    found = spread(values, weight)
    np.testing.assert_allclose(found, np.broadcast_to((2.0, -1.0), found.shape), atol=1e-4)
    values[10:20, 40:50] = (4.0, 1.0)
    weight[10:20, 40:50] = 1.0
    found = spread(values, weight)
    np.testing.assert_allclose(found[weight == 1], values[weight == 1], atol=1e-5)
    between = found[15, 30:40, 0]
    assert (np.diff(between) >= -0.2).all()
    assert 2.0 <= between.min() < between.max() <= 4.0
    assert not spread(values, np.zeros_like(weight)).any()


def test_edges_go_where_the_picture_has_them() -> None:
    picture = np.full((60, 60, 3), 0.2, np.float32)
    picture[:, 33:] = (0.8, 0.6, 0.5)
    mask = np.zeros((60, 60), np.float32)
    mask[:, 30:] = 1.0  # three pixels off
    found = guided(picture, mask, 8, 1e-4)
    assert found[:, :30].max() < 0.25
    assert found[:, 31].mean() < mask[:, 31].mean() - 0.5
    assert found[:, 36:].min() > 0.75
    flat = guided(np.full_like(picture, 0.5), mask, 4, 1e-4)
    assert 0.3 < flat[30, 30] < 0.7  # without an edge it is soft


def test_a_mask_grows_to_the_border_of_its_colour_and_hangs_together() -> None:
    generator = np.random.default_rng(0)
    picture = np.full((60, 60, 3), (0.4, 0.5, 0.6))
    body = np.zeros((60, 60), bool)
    body[10:50, 20:40] = True
    picture[body] = (0.8, 0.6, 0.5)
    picture[5:10, 50:58] = (0.8, 0.6, 0.5)  # the same colour elsewhere
    picture = np.clip(picture + generator.normal(0, 0.02, picture.shape), 0, 1)
    seed, never = np.zeros_like(body), np.zeros_like(body)
    seed[15:25, 25:35] = True
    never[:, :10] = True
    found = grown(picture, seed, seed, never)
    assert (found[body] > 0.5).mean() > 0.98
    assert (found[~body] > 0.5).mean() < 0.01
    # Next to nothing to learn from: what was likely.
    few = np.zeros_like(body)
    few[20, 30] = True
    assert np.array_equal(grown(picture, body, few, never) > 0.5, body)


def test_holes_are_filled_and_steps_are_smooth() -> None:
    ring = np.zeros((20, 20), np.float32)
    ring[4:16, 4:16] = 1.0
    ring[8:12, 8:12] = 0.0
    assert with_holes_filled(ring)[4:16, 4:16].all()
    assert with_holes_filled(ring).sum() == 144
    line = np.linspace(0, 1, 11)
    up, down = smooth_step(line, 0.2, 0.8), smooth_step(line, 0.8, 0.2)
    assert up[2] == down[8] == 0
    assert up[8] == down[2] == 1
    np.testing.assert_allclose(up + down, 1, atol=1e-6)
