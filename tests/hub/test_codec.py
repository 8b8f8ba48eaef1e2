"""Where a codec's parts are found: repositories under Meta's own names, and the tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar_cli.errors import DownloadError, UsageError
from sonar_cli.hub.catalogue import META_SONAR, SONAR_DECODER, SONAR_ENCODER
from sonar_cli.hub.resolve import resolve
from sonar_cli.options import ModelPaths, ModelRequest
from tests.hub.conftest import add
from tests.hub_server import HubServer

META = "sentencepiece.source.256000.model"
ENCODER, DECODER = (
    "cointegrated/SONAR_200_text_encoder_hf",
    "cointegrated/SONAR_200_text_decoder_hf",
)


@pytest.fixture
def hub(here: HubServer) -> HubServer:
    for name in (SONAR_ENCODER, SONAR_DECODER, ENCODER, DECODER):
        _add(here, name, "config.json", "model.safetensors")
    weights = ("sonar_text_encoder.pt", "sonar_text_decoder.pt", "finetuned_decoder.pt")
    _add(here, META_SONAR, *weights, META)
    return here


def _add(server: HubServer, repository: str, *names: str) -> None:
    add(server, repository, {name: f"{repository}/{name}".encode() for name in names})


def _codec(**parts: str | None) -> ModelPaths:
    return resolve(ModelRequest("100m", **parts), predictor=False)


def _is(path: Path, repository: str, name: str) -> bool:
    return path.read_bytes().decode() == f"{repository}/{name}"


@pytest.mark.parametrize("parts", [{}, {"encoder": ENCODER, "decoder": DECODER}])
def test_the_tokenizer_is_looked_for_in_order(hub: HubServer, parts: dict[str, str]) -> None:
    encoder, decoder = parts.get("encoder", SONAR_ENCODER), parts.get("decoder", SONAR_DECODER)
    assert _is(_codec(**parts).tokenizer, META_SONAR, META)
    before = len(hub.requests)
    assert _is(_codec(**parts, offline=True).tokenizer, META_SONAR, META)
    assert _is(_codec(**parts).tokenizer, META_SONAR, META)
    assert len(hub.requests) == before
    _forget(hub)
    _add(hub, decoder, "tokenizer.json")
    assert _is(_codec(**parts).tokenizer, decoder, "tokenizer.json")
    _forget(hub)
    _add(hub, encoder, "spiece.model", "tokenizer.json")
    assert _is(_codec(**parts).tokenizer, encoder, "spiece.model")
    assert _is(_codec(**parts, tokenizer=META_SONAR).tokenizer, META_SONAR, META)


def _forget(hub: HubServer) -> None:
    import shutil

    shutil.rmtree(hub.root.parent / "cache")


def test_no_tokenizer_anywhere_is_one_line(hub: HubServer) -> None:
    (hub.root / META_SONAR / META).unlink()
    where = f"{SONAR_ENCODER} or {SONAR_DECODER} or {META_SONAR}"
    with pytest.raises(DownloadError, match=f"^there is no tokenizer in {where}; give --tokeni"):
        _codec()
    with pytest.raises(DownloadError, match=f"^there is no tokenizer in {ENCODER}; give"):
        _codec(tokenizer=ENCODER)


def test_the_repository_of_meta(hub: HubServer) -> None:
    found = _codec(encoder=META_SONAR, decoder=META_SONAR)
    assert _is(found.encoder, META_SONAR, "sonar_text_encoder.pt")
    assert _is(found.decoder, META_SONAR, "sonar_text_decoder.pt")
    assert _is(found.tokenizer, META_SONAR, META)
    finetuned = _codec(encoder=META_SONAR, decoder=f"{META_SONAR}:finetuned_decoder.pt")
    assert _is(finetuned.decoder, META_SONAR, "finetuned_decoder.pt")
    assert _is(finetuned.tokenizer, META_SONAR, META)
    before = len(hub.requests)
    assert _codec(encoder=META_SONAR, decoder=META_SONAR, offline=True) == found
    assert len(hub.requests) == before
    with pytest.raises(DownloadError, match=r"^facebook/SONAR has no nothing\.pt; is it the right"):
        _codec(decoder=f"{META_SONAR}:nothing.pt")
    with pytest.raises(UsageError, match="no such file, directory or Hub repository"):
        _codec(decoder="facebook:finetuned_decoder.pt")


def test_a_codec_with_a_config_gets_it(hub: HubServer) -> None:
    found = _codec(encoder=ENCODER, decoder=DECODER)
    for path, repository in ((found.encoder, ENCODER), (found.decoder, DECODER)):
        assert _is(path / "config.json", repository, "config.json")
        assert _is(path / "model.safetensors", repository, "model.safetensors")


def test_the_files_of_meta_in_a_folder(tmp_path: Path) -> None:
    for name in ("sonar_text_encoder.pt", "sonar_text_decoder.pt", "finetuned_decoder.pt", META):
        (tmp_path / name).touch()
    found = _codec(encoder=str(tmp_path), decoder=str(tmp_path), offline=True)
    assert found.encoder == tmp_path / "sonar_text_encoder.pt"
    assert found.decoder == tmp_path / "sonar_text_decoder.pt"
    assert found.tokenizer == tmp_path / META
    file = str(tmp_path / "finetuned_decoder.pt")
    assert _codec(encoder=str(tmp_path), decoder=file, offline=True).decoder == Path(file)
