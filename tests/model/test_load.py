"""What `trains` asks for: gradients through a decoder whose products would be made faster."""

from __future__ import annotations

import torch

from sonar_cli.hub.resolve import resolve
from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.codec.native import NativeCodec
from sonar_cli.model.formats.codec import read_decoder
from sonar_cli.model.load import build, load_codec
from sonar_cli.options import Runtime


def test_gradients_go_through_a_decoder_that_is_loaded_to_train() -> None:
    codec = load_codec(resolve(), Runtime("cpu"), trains=True)
    assert isinstance(codec, NativeCodec)
    config, state = read_decoder(resolve().decoder)
    plain = build(TextDecoder, config, state, torch.device("cpu"), torch.float32)
    pieces = codec.tokenizer.pieces("Lily found a kite.")
    ids = torch.tensor([[3, codec.tokenizer.lang_id("eng_Latn"), *pieces, 3]])
    vector = codec.encode(["Lily found a boat."]).clone()
    found = []
    for decoder in (codec.decoder, plain):
        given = vector.clone().requires_grad_()
        chances = decoder.project(decoder.hidden(given, ids)).log_softmax(-1)
        chances[0, :-1].gather(1, ids[0, 1:, None]).sum().backward()
        assert given.grad is not None
        found.append(given.grad)
    torch.testing.assert_close(found[0], found[1])
    assert found[0].abs().max() > 1e-3
