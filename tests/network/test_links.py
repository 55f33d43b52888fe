"""Links from raw outputs to maps: published values inside, ends that can be left."""

import pytest
import torch

from biofacenet.network.links import DIFFUSE, PIGMENT, SPECULAR, Link

LINKS = {"pigment": PIGMENT, "diffuse": DIFFUSE, "specular": SPECULAR}


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]


def test_values_are_the_published_ones_between_the_ends(link: Link) -> None:
    raw = torch.linspace(link.low, link.high, 101, dtype=torch.float64)
    published = 1 / (1 + torch.exp(-raw)) if link.logistic else torch.exp(raw)
    torch.testing.assert_close(link(raw), published, rtol=1e-12, atol=0)


@pytest.mark.parametrize("far", [1.0, 24.0, 357.0, 1e6])
def test_beyond_an_end_the_value_is_that_of_the_end(link: Link, far: float) -> None:
    raw = torch.tensor([link.low - far, link.low, link.high, link.high + far])
    values = link(raw)
    assert values[0] == values[1]
    assert values[2] == values[3]
    assert 0 < values[0] < values[2] < float("inf")
