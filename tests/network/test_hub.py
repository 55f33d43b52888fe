"""Models on the Hugging Face hub, with its own library, and an imitation of the hub on this computer."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from imitated_hub import Hub

from biofacenet import BioFaceNet
from biofacenet.errors import ModelError
from biofacenet.network import list_models

pytest.importorskip("huggingface_hub")

BEGIN = """
import json, sys
from biofacenet import BioFaceNet
from biofacenet.errors import ModelError
from biofacenet.network import list_models

def told(act):
    try:
        return act()
    except ModelError as error:
        return f"error: {error}"

load = BioFaceNet.from_pretrained
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.shutdown()
    server.server_close()


def run(code: str, hub: Hub, folder: Path, **more: str) -> list[str]:
    """What a process prints as JSON, whose hub is the imitation."""
    place = {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "home"), "HF_TOKEN": ""}
    place |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        cwd=folder,
        env=os.environ | place | more,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


PUSH = """
network = BioFaceNet("small", skin="measured")
first = told(lambda: network.push_to_hub("somebody/mine", token="hf_secret"))
again = load("somebody/mine")
said = [first, again.skin, list_models(hub_too=True)]
said.append(told(lambda: network.push_to_hub("somebody/mine", token="hf_secret", revision="try")))
said.append(told(lambda: network.push_to_hub("somebody/mine")))
print(json.dumps(said))
"""


@pytest.mark.slow
def test_what_is_pushed_is_found_and_read(hub: Hub, tmp_path: Path) -> None:
    first, skin, found, second, refused = run(PUSH, hub, tmp_path)
    assert first.startswith(f"{hub.address}/somebody/mine/commit/")
    assert skin == "measured"
    assert found == ["small", "somebody/mine"]
    assert second.startswith(f"{hub.address}/somebody/mine/commit/")
    assert refused.startswith("error: somebody/mine: not written to the hub")
    assert "hf auth login" in refused
    branches = hub.models["somebody/mine"]
    assert set(branches) == {"main", "try"}
    assert set(branches["main"]) == {"README.md", "config.json", "model.safetensors"}
    assert 'from_pretrained("somebody/mine")' in branches["main"]["README.md"].decode()


READ = """
said = [load("owner/name").skin, load("owner/name", revision="other", cache_dir="kept").skin]
said += [told(lambda: load("owner/name", revision="none")), told(lambda: load("owner/none"))]
said += [told(lambda: load("owner/other-kind")), load("owner/name", device="meta").image_mean.device.type]
print(json.dumps(said))
"""
CACHED = """
print(json.dumps([
    load("owner/name").skin,
    load("owner/name", revision="other", cache_dir="kept").skin,
    told(lambda: load("owner/never")),
    told(lambda: list_models(hub_too=True)),
]))
"""


@pytest.mark.slow
def test_versions_places_and_a_hub_that_is_away(hub: Hub, tmp_path: Path) -> None:
    BioFaceNet("small").save_pretrained(tmp_path / "one")
    BioFaceNet("small", skin="measured").save_pretrained(tmp_path / "two")
    hub.add("owner/name", tmp_path / "one")
    hub.add("owner/name", tmp_path / "two", "other")
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "config.json").write_text("{}")
    hub.add("owner/other-kind", tmp_path / "else")
    main, other, no_revision, no_model, other_kind, device = run(READ, hub, tmp_path)
    assert (main, other, device) == ("published", "measured", "meta")
    assert "RevisionNotFoundError" in no_revision
    assert "RepositoryNotFoundError" in no_model
    assert "none of BioFaceNet, model.safetensors is missing" in other_kind
    assert list((tmp_path / "kept").rglob("model.safetensors"))
    for line in (no_revision, no_model, other_kind):
        assert len(line.splitlines()) == 1

    # What was brought here is there without a hub, whether it is unplugged or known to be away.
    hub.shutdown()
    hub.server_close()
    assert run('print(json.dumps([load("owner/name").skin]))', hub, tmp_path) == ["published"]
    main, other, never, models = run(CACHED, hub, tmp_path, HF_HUB_OFFLINE="1")
    assert (main, other) == ("published", "measured")
    assert never.startswith("error: owner/never: no such folder, and not to be had from the hub")
    assert models.startswith("error: the hub cannot be asked")


@pytest.mark.parametrize("name", ["mine", "a/b/c", "../x", "somebody/", "https://hub/a/b", "a b/c"])
def test_names_that_are_none_are_refused_before_anything_is_sent(name: str) -> None:
    with pytest.raises(ModelError, match="expected OWNER/NAME"):
        BioFaceNet("small").push_to_hub(name)


def test_models_that_come_with_the_package_are_listed() -> None:
    assert list_models() == ["small"]
    for name in list_models():
        assert BioFaceNet.from_pretrained(name, device="cpu").image_mean.dtype == torch.float32


def test_the_hub_package_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"biofacenet\[hub\]"):
        BioFaceNet("small").push_to_hub("somebody/mine")
    with pytest.raises(ModelError, match=r"biofacenet\[hub\]"):
        list_models(hub_too=True)
