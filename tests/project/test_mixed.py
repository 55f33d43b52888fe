"""Networks between two of the same shape."""

import pytest
import torch

from benchmarks.mixed import mixed
from biofacenet import BioFaceNet
from biofacenet.errors import ModelError


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_weights_are_between_those_of_both(share: float) -> None:
    networks = []
    for seed in range(2):
        torch.manual_seed(seed)
        networks.append(BioFaceNet("small"))
    begun, learned = ({k: v.clone() for k, v in each.state_dict().items()} for each in networks)
    assert any(not torch.equal(begun[name], learned[name]) for name in begun)
    found = mixed(networks[0], networks[1], share).state_dict()
    for name, values in found.items():
        between = begun[name] + share * (learned[name] - begun[name])
        torch.testing.assert_close(values, between, rtol=0, atol=1e-6)


def test_networks_of_two_shapes_or_skins_and_a_share_out_of_range() -> None:
    small = BioFaceNet("small", skin="measured")
    for other in (BioFaceNet("paper", skin="measured"), BioFaceNet("small", skin="published")):
        with pytest.raises(ModelError, match="different shapes or skins"):
            mixed(small, other, 0.5)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        mixed(small, small, 1.5)
