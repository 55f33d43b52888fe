"""Mirrored and brightened faces stay consistent."""

import torch

from biofacenet.data.pairs import FaceBatch, RawBatch, decode
from biofacenet.data.synthetic.faces import generate
from biofacenet.physics.lighting import sh_shading
from biofacenet.training import augment


def faces(count: int = 6) -> FaceBatch:
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(count, 1, 8, 9, generator=generator) > 0.3).float()
    normals = torch.nn.functional.normalize(torch.randn(count, 3, 8, 9, generator=generator), dim=1)
    lighting = torch.randn(count, 3, 9, generator=generator)
    return FaceBatch(
        image=torch.rand(count, 3, 8, 9, generator=generator) * 0.4,
        mask=mask,
        normals=normals * mask,
        shading=sh_shading(normals * mask, lighting) * mask,
        lighting=lighting,
    )


def test_mirrored_normals_under_mirrored_light_give_the_mirrored_shading() -> None:
    """The formula decides which harmonics and which coordinate change sign."""
    batch = faces()
    mirrored = augment.mirror(batch)
    again = sh_shading(mirrored.normals, mirrored.lighting) * mirrored.mask
    torch.testing.assert_close(again, batch.shading.flip(3))
    torch.testing.assert_close(mirrored.shading, batch.shading.flip(3))
    assert not torch.allclose(
        sh_shading(mirrored.normals, batch.lighting) * mirrored.mask, batch.shading.flip(3)
    )


def test_mirroring_twice_changes_nothing() -> None:
    batch = faces()
    twice = augment.mirror(augment.mirror(batch))
    for name in ("image", "mask", "normals", "shading", "lighting"):
        assert torch.equal(getattr(batch, name), getattr(twice, name)), name


def test_truth_renders_to_the_changed_image() -> None:
    """Of a mirrored, brighter, smaller face too."""
    made = generate(range(4), 5, size=32, noise=False, skin="published")
    channels = torch.cat(
        (made.image, (made.normals + 1.0) / 2.0, made.mask, made.coordinates), dim=1
    )
    batch = decode(RawBatch(channels, made.lighting, made.truth))
    changes = augment.Changes(
        torch.tensor([True, False, True, False]), torch.tensor([0.5, 0.9, 1.0, 0.7])
    )
    changed = augment.apply(batch, changes)
    error = (changed.truth.render() - changed.image).abs() * changed.mask
    assert float(error.sum() / changed.mask.sum() / 3) < 0.003  # 8-bit coding, a few white pixels
    small = augment.resize(changed, 16)
    assert small.image.shape == (4, 3, 16, 16)
    assert small.truth.specular.shape == small.mask.shape == (4, 1, 16, 16)
    assert 0 < float(small.mask.sum()) < float(changed.mask.sum()) / 4
    covered = torch.nn.functional.interpolate(small.mask, scale_factor=2) * (1 - changed.mask)
    assert not covered.any()
    error = (small.truth.render() - small.image).abs() * small.mask
    assert float(error.sum() / small.mask.sum() / 3) < 0.005
    lengths = small.normals.norm(dim=1, keepdim=True)
    torch.testing.assert_close(lengths, small.mask)
    assert augment.resize(changed, 32) is changed


def test_each_face_by_its_own_coin() -> None:
    batch = faces()
    changes = augment.Changes(
        torch.tensor([True, False, True, False, False, True]),
        torch.tensor([1.0, 1.0, 2.0, 2.0, 4.0, 1.0]),
    )
    found = augment.apply(batch, changes)
    mirrored = augment.mirror(batch)
    for i in range(6):
        source = mirrored if changes.mirrored[i] else batch
        expected = (source.image[i] * changes.exposure[i]).clamp(max=1.0)
        torch.testing.assert_close(found.image[i], expected)
        for name in ("mask", "normals", "shading", "lighting"):
            assert torch.equal(getattr(found, name)[i], getattr(source, name)[i]), name


def test_drawn_for_the_whole_batch_whatever_its_parts() -> None:
    def drawn(**options: object) -> augment.Changes:
        given = {"flip": True, "exposure": 0.5} | options
        return augment.draw(1000, **given, generator=torch.Generator().manual_seed(3))

    changes = drawn()
    assert 400 < int(changes.mirrored.sum()) < 600
    assert abs(float(changes.exposure.log2().std()) - 0.5) < 0.05
    part = changes.part(slice(10, 20))
    assert torch.equal(part.exposure, drawn().exposure[10:20])
    assert not drawn(flip=False).mirrored.any()
    assert torch.equal(drawn(exposure=0.0).exposure, torch.ones(1000))
