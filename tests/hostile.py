"""Hostile files: damaged, foreign and made to harm, each as a change to a whole tiny model.

A kind is a command line, a change to the files that it reads, and the file that the refusal is to
name. `python -m tests.hostile FOLDER` makes them all, a folder a kind, to look at.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import socket
import struct
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from sonar_cli.model.codec.decoder import TextDecoder
from sonar_cli.model.formats.codec import read_decoder, save_decoder, save_encoder
from sonar_cli.model.formats.predictor import save_predictor
from sonar_cli.model.load import load_encoder, load_predictor
from sonar_cli.options import Runtime

GOLDENS = Path(__file__).parent / "goldens"
STORY = "One day Lily found a kite. It was red. Tom ran to the pond, and Lily ran too."
# The files of the model, and the command lines that read them.
PREDICTOR, ENCODER, DECODER = (
    f"model/{part}/model.safetensors" for part in ("predictor", "encoder", "decoder")
)
CONFIG, TOKENIZER = "model/predictor/config.json", "model/tokenizer/sentencepiece.model"
VECTORS, TEXT = "vectors.npy", "story.txt"
CONTINUE = f"continue -m model {TEXT} -n 1 --format jsonl"
ENCODE = f"encode -m model {TEXT} --format jsonl"
SUMMARIZE = f"summarize -m model {TEXT} -n 1 --method extractive"
DECODE = f"decode -m model {VECTORS}"

Change = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A hostile file: `change` makes it of the good one named `file`; `command` then reads it.

    `named` is what the refusal has to name, the file itself or the folder that was given.
    """

    name: str
    file: str
    command: str
    change: Change
    named: str

    def make(self, good: Path, folder: Path) -> list[str]:
        """Copy a good model to a folder, change the file, and return the command's arguments."""
        shutil.copytree(good, folder, dirs_exist_ok=True)
        self.change(folder / self.file)
        places = {"model", TEXT, VECTORS, self.file}
        return [str(folder / w) if w in places else w for w in self.command.split()]


def good(folder: Path) -> Path:
    """Write a whole model of tiny weights, a text and its vectors to a folder."""
    cpu = Runtime("cpu")
    model = folder / "model"
    save_encoder(load_encoder(GOLDENS / "huggingface" / "encoder", cpu), model / "encoder")
    shape, state = read_decoder(GOLDENS / "huggingface" / "decoder")
    decoder = TextDecoder(shape)
    decoder.load_state_dict(state)
    save_decoder(decoder, model / "decoder")
    predictor = load_predictor(GOLDENS / "predictors" / "grouped-heads", runtime=cpu)
    save_predictor(predictor, model / "predictor")
    shutil.copytree(GOLDENS / "tokenizer", model / "tokenizer")
    (folder / TEXT).write_text(STORY)
    np.save(folder / VECTORS, np.full((2, 64), 0.1, np.float32))
    return folder


def kinds() -> Iterator[Kind]:
    """Yield every kind of hostile file that is to be refused."""
    for group in (
        _configs, _systems, _json_files, _irregular, _safetensors, _tensors, _pickles, _shards,
        _tokenizers, _tokenizer_jsons, _vectors, _texts,
    ):  # fmt: skip
        for name, (file, command, change, *named) in group().items():
            label = f"{group.__name__.strip('_')}: {name}"
            yield Kind(label, file, command, change, named[0] if named else file)


Group = dict[str, tuple[Any, ...]]


# --- config.json -----------------------------------------------------------------------------


def _set(path: str, value: Any) -> Change:
    """Return a change that sets a key of a JSON file, given as a path with dots."""

    def change(file: Path) -> None:
        raw = json.loads(file.read_text())
        *above, last = path.split(".")
        table = raw
        for key in above:
            table = table[key]
        if value is ...:
            del table[last]
        else:
            table[last] = value
        file.write_text(json.dumps(raw))

    return change


_LONG = 10**400
# 10**15 layers would never be made, 10**400 fits in no number of the machine.
_BAD_VALUES: dict[str, list[Any]] = {
    "llama_config.num_hidden_layers": [10**15, _LONG, -1, True, "2", 2.5, [2], ..., 3, 1],
    "llama_config.num_attention_heads": [10**15, 0, -1, True, None, ...],
    "llama_config.num_key_value_heads": [10**15, 3, True, -2],
    "llama_config.head_dim": [10**15, 15, -16, "16"],
    "llama_config.hidden_size": [10**15, 0, True, [64], 32],
    "llama_config.intermediate_size": [10**15, -96, 97],
    "llama_config.rope_theta": [-1, 0, float("nan"), float("inf"), True, "big", _LONG],
    "llama_config.rms_norm_eps": [float("nan"), 0, -1e-6, 1e300],
    "llama_config.hidden_act": [["silu"], "relu"],
    "llama_config.rope_scaling": [[1], "llama3", {"rope_type": "llama3"}],
    "llama_config.rope_scaling.factor": [0, float("nan"), True],
    "llama_config.rope_scaling.low_freq_factor": [4.0, -1],
    "llama_config.rope_scaling.original_max_position_embeddings": [0, _LONG],
    "llama_config": [[], "x"],
    "embed_dim": [10**15, 0, "64", 32],
    "add_begin": ["no", 1],
    "drawing": [[1], {"candidates": 10**9}, {"candidates": True}, {"top_p": float("nan")},
                {"seed": _LONG}, {"temperature": "hot"}, {"colour": 1}],
    "summary_cue": [["x"], "", 5],
    "trained_len": [0, True, _LONG],
    "system": [["lcm-mse"], "gpt", 5],
    "split": [["rules"], "words"],
    "repeat_threshold": [True, 3, "0.9", float("nan")],
    "run_dtype": [["bfloat16"], "float8", 16],
}  # fmt: skip
_BAD_CODEC_VALUES: dict[str, list[Any]] = {
    "encoder_layers": [10**15, True, 3, "2"],
    "encoder_attention_heads": [10**15, -1, True, 3, _LONG],
    "max_position_embeddings": [0, -5, True, _LONG],
    "d_model": [128],
    "encoder_ffn_dim": [10**15],
    "vocab_size": [341],
    "activation_function": [["relu"], "gelu"],
}


def _shown(value: Any) -> str:
    return "missing" if value is ... else "10**400" if value == _LONG else str(value)


def _configs() -> Group:
    found: Group = {}
    for key, values in _BAD_VALUES.items():
        for value in values:
            found[f"{key} = {_shown(value)}"] = (CONFIG, CONTINUE, _set(key, value))
    for key, values in _BAD_CODEC_VALUES.items():
        for value in values:
            file = "model/encoder/config.json"
            found[f"{key} = {_shown(value)}"] = (file, ENCODE, _set(key, value), "model/encoder")
    file = "model/decoder/config.json"
    wrong = {"suppress_tokens": [10**9], "decoder_attention_heads": 0}
    for key, value in wrong.items():
        found[f"{key} = {value}"] = (file, DECODE, _set(key, value), "model/decoder")
    return found


def _lcm(**values: Any) -> Change:
    shape = {
        "system": "lcm-mse", "hidden": 16, "ffn": 16, "layers": 1, "heads": 2, "kv_heads": 2,
        "head_dim": 8, "embed_dim": 64, "denoiser_layers": 1, "vocab_size": 342,
    }  # fmt: skip
    return lambda file: file.write_text(json.dumps(shape | values))


def _systems() -> Group:
    """Return configs of our own systems, whose values stand under our own names."""
    wrong: list[dict[str, Any]] = [
        *({"layers": value} for value in (10**15, True, "1", None, _LONG)),
        *({"heads": 0}, {"head_dim": 7}, {"hidden": 10**15}, {"embed_dim": -64}),
        *({"rope_theta": float("nan")}, {"rms_eps": 0}, {"dropout": 2}, {"rope_scaling": [1]}),
        *({"rope_scaling": {"factor": 0}}, {"rope_scaling": {"colour": 1}}),
        {"system": "lcm-diffusion", "denoiser_layers": 10**15},
        {"system": "lcm-diffusion", "diffusion_steps": 10**15},
        {"system": "llm", "vocab_size": 10**15},
        {"system": "llama"},
    ]
    return {
        ", ".join(f"{k} = {_shown(v)}" for k, v in each.items()): (CONFIG, CONTINUE, _lcm(**each))
        for each in wrong
    }


def _text(content: str | bytes) -> Change:
    raw = content.encode() if isinstance(content, str) else content
    return lambda file: (file.unlink(missing_ok=True), file.write_bytes(raw))


def _cut(share: float) -> Change:
    return lambda file: file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])


def _sparse(size: int) -> Change:
    return lambda file: os.truncate(file, size)


_BAD_JSON: dict[str, str | bytes] = {
    "empty": "",
    "a list": "[1]",
    "null": "null",
    "binary": bytes(range(256)),
    "not UTF-8": b'{"a": "\xe9"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "lists 10,000 deep": '{"a": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "objects 100,000 deep": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a number of 5,000 digits": '{"embed_dim": ' + "9" * 5_000 + "}",
    "a page": "<!doctype html><title>404</title>",
}


def _json_files() -> Group:
    files = {
        CONFIG: CONTINUE,
        "model/encoder/config.json": ENCODE,
        "model/tokenizer/tokenizer_config.json": ENCODE,
    }
    found: Group = {}
    for file, command in files.items():
        for name, content in _BAD_JSON.items():
            found[f"{file}: {name}"] = (file, command, _text(content))
    for file, command in list(files.items())[:2]:
        found[f"{file}: cut"] = (file, command, _cut(0.5))
        found[f"{file}: of 1 TB"] = (file, command, _sparse(10**12))
    return found


# --- what is no regular file -----------------------------------------------------------------


def _instead(make: Callable[[Path], object]) -> Change:
    """Return a change that puts something else in the place of a file."""

    def change(file: Path) -> None:
        file.unlink(missing_ok=True)
        make(file)

    return change


def _socket(file: Path) -> None:
    here = os.getcwd()
    os.chdir(file.parent)  # the path of a socket may be 107 bytes long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)
    os.chdir(here)


_THINGS: dict[str, Callable[[Path], object]] = {
    "a FIFO": os.mkfifo,
    "a directory": Path.mkdir,
    "a socket": _socket,
    "a device": lambda file: file.symlink_to("/dev/zero"),
    "a loop of links": lambda file: file.symlink_to(file.name),
}


def _irregular() -> Group:
    found: Group = {}
    places = {
        CONFIG: CONTINUE,
        PREDICTOR: CONTINUE,
        ENCODER: ENCODE,
        "model/encoder/config.json": ENCODE,
        TOKENIZER: ENCODE,
        "model/tokenizer/tokenizer_config.json": ENCODE,
    }
    for file, command in places.items():
        for name, make in _THINGS.items():
            found[f"{file}: {name}"] = (file, command, _instead(make))
    given = {
        "model": "encode -m model/other story.txt --format jsonl",
        "encoder": f"{ENCODE} --encoder model/other",
        "tokenizer": f"{ENCODE} --tokenizer model/other",
        "config": f"{CONTINUE} --config model/other",
    }
    for part, command in given.items():
        for name, make in _THINGS.items():
            if (part, name) not in _FOLDERS:
                found[f"--{part}: {name}"] = ("model/other", command, make)
    return found


# A directory may be given for these; an empty one is refused for what it lacks.
_FOLDERS = {("model", "a directory")}


# --- weights ---------------------------------------------------------------------------------


def _header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Return a change to the JSON header of a .safetensors file, which leaves the data as it is."""

    def changed(file: Path) -> None:
        raw = file.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + length])
        text = change(header)
        made = text if isinstance(text, bytes) else json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(made)) + made + raw[8 + length :])

    return changed


def _bytes_at(at: int, new: bytes) -> Change:
    def change(file: Path) -> None:
        raw = bytearray(file.read_bytes())
        raw[at : at + len(new)] = new
        file.write_bytes(raw)

    return change


_EMBED = "embed_tokens.weight"


def _safetensors() -> Group:
    changes: dict[str, Change] = {
        **{f"cut to {share}": _cut(share) for share in (0, 0.00001, 0.001, 0.3, 0.9, 0.99999)},
        "a header of 2**63 bytes": _bytes_at(0, struct.pack("<Q", 2**63)),
        "a header of no bytes": _bytes_at(0, bytes(8)),
        "a header that is no JSON": _bytes_at(8, b"[[[["),
        "a header 10,000 deep": _header(lambda h: b'{"a":' * 10_000),
        "zeros": _text(bytes(10_000)),
        "1 TB of zeros": lambda file: (file.write_bytes(b""), os.truncate(file, 10**12)),
        "a page": _text("<html><body>Not found</body></html>"),
        "a pointer of Git LFS": _text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
        ),
        "a pickle": lambda file: torch.save({"a": torch.zeros(2)}, file),
        "offsets past the end": _header(lambda h: h[_EMBED].update(data_offsets=[0, 10**12])),
        "offsets backwards": _header(lambda h: h[_EMBED].update(data_offsets=[9, 3])),
        "offsets of the wrong size": _header(lambda h: h[_EMBED].update(data_offsets=[0, 4])),
        "a shape of 10**18": _header(lambda h: h[_EMBED].update(shape=[10**18, 64])),
        "a shape that overflows": _header(lambda h: h[_EMBED].update(shape=[2**40, 2**40])),
        "a shape below 0": _header(lambda h: h[_EMBED].update(shape=[-1, 64])),
        "an unknown dtype": _header(lambda h: h[_EMBED].update(dtype="F33")),
        "whole numbers": _header(lambda h: h[_EMBED].update(dtype="I32")),
        "no tensors": lambda file: save_file({}, file),
        "a line and a colour in a name": _header(
            lambda h: h.update({"\x1b[31mred\nsonar-llm: all is well": h.pop("layer_norm.bias")})
        ),
    }
    return {name: (ENCODER, ENCODE, change, "model/encoder") for name, change in changes.items()}


def _edit(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    """Return a change to the tensors of a .safetensors file."""

    def edit(file: Path) -> None:
        tensors = load_file(file)
        change(tensors)
        save_file({name: each.contiguous() for name, each in tensors.items()}, file)

    return edit


def _filled(name: str, value: float) -> Change:
    return _edit(lambda t: t[name].view(-1)[:3].fill_(value))


_LAYER = "llama_model.model.layers.0"


def _tensors() -> Group:
    nan, inf = float("nan"), float("inf")
    encoders: dict[str, Change] = {
        "NaN in a weight": _filled("layers.0.fc1.weight", nan),
        "infinity in a weight": _filled("layers.1.fc2.weight", inf),
        "NaN in all embeddings": _edit(lambda t: t[_EMBED].fill_(nan)),
        "weights of 1e38": _edit(lambda t: t["layer_norm.weight"].fill_(3e38)),
        "a layer of 20 digits": _edit(
            lambda t: t.update({f"layers.{'9' * 20}.fc1.bias": torch.zeros(1)})
        ),
        "a layer of 5,000 digits": _edit(
            lambda t: t.update({f"layers.{'9' * 5_000}.fc1.bias": torch.zeros(1)})
        ),
        "a layer twice": _edit(lambda t: t.update({"layers.00.fc1.bias": torch.zeros(128)})),
        "a layer too few": _edit(
            lambda t: [t.pop(n) for n in list(t) if n.startswith("layers.1.")]
        ),
        "an embedding of no dimension": _edit(lambda t: t.update({_EMBED: torch.zeros(())})),
        "an embedding of three": _edit(lambda t: t.update({_EMBED: torch.zeros(2, 2, 2)})),
        "three rows": _edit(lambda t: t.update({_EMBED: t[_EMBED][:3]})),
        "width 0": _edit(lambda t: t.update({_EMBED: torch.zeros(342, 0)})),
        "width 2": _edit(lambda t: t.update({n: x[..., :2] for n, x in t.items()})),
        "another vocabulary": _edit(lambda t: t.update({_EMBED: t[_EMBED][:300]})),
        "whole numbers": _edit(lambda t: t.update({n: x.long() for n, x in t.items()})),
        "complex numbers": _edit(lambda t: t.update({_EMBED: t[_EMBED].to(torch.complex64)})),
        "a bias of no dimension": _edit(lambda t: t.update({"layers.0.fc1.bias": torch.ones(())})),
    }
    predictors: dict[str, Change] = {
        "NaN in a weight": _filled(f"{_LAYER}.mlp.up_proj.weight", nan),
        "infinity in a weight": _filled("reverse_proj.linear.weight", inf),
        "another width": _edit(
            lambda t: t.update({"forward_proj.linear.weight": torch.zeros(64, 32)})
        ),
        "a layer of 20 digits": _edit(
            lambda t: t.update({f"llama_model.model.layers.{'9' * 20}.x": torch.zeros(1)})
        ),
        "no layers": _edit(lambda t: [t.pop(n) for n in list(t) if ".layers." in n]),
    }
    decoders: dict[str, Change] = {
        "NaN in a weight": _filled("model.decoder.layers.0.fc1.weight", nan),
        "infinity in a weight": _filled("model.decoder.layers.1.fc2.weight", inf),
        "NaN in all embeddings": _edit(lambda t: t["model.shared.weight"].fill_(nan)),
        "an encoder": lambda file: shutil.copy(file.parents[1] / "encoder" / file.name, file),
    }
    parts = (
        (ENCODER, ENCODE, encoders),
        (PREDICTOR, CONTINUE, predictors),
        (DECODER, DECODE, decoders),
    )
    found: Group = {}
    for file, command, changes in parts:
        for name, change in changes.items():
            part = str(Path(file).parent)
            found[f"{part}: {name}"] = (file, command, change, part)
    found["encoder, to summarize: NaN in a weight"] = (
        ENCODER, SUMMARIZE, _filled("layers.0.fc1.weight", nan), "model/encoder",
    )  # fmt: skip
    return found


class _Runs:
    """Makes a file in the working directory when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch hostile-was-run",))


def _archive(entries: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Change:
    def change(file: Path) -> None:
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name, content in entries.items():
                archive.writestr(f"archive/{name}", content)

    return change


def _repacked(compression: int) -> Change:
    """Return a change that compresses what torch has stored as it is."""

    def change(file: Path) -> None:
        torch.save({"model": {_EMBED: torch.zeros(342, 64)}}, file)
        with zipfile.ZipFile(file) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(file, "w", compression) as new:
            for name, content in entries.items():
                new.writestr(name, content)

    return change


def _saved(made: Callable[[], Any], **how: Any) -> Change:
    return lambda file: torch.save(made(), file, **how)


def _saved_and(change: Change, **how: Any) -> Change:
    def changed(file: Path) -> None:
        encoder = load_file(file.parents[1] / "encoder" / "model.safetensors")
        torch.save({"model": encoder}, file, **how)
        change(file)

    return changed


def _deep_tuple() -> bytes:
    """Return a pickle with a tuple within a tuple, 300,000 deep, as the key of a dictionary."""
    return b"\x80\x02}" + b")" + b"\x85" * 300_000 + b"K\x01s."


def _tar(file: Path) -> None:
    with tarfile.open(file, "w") as made:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            info = tarfile.TarInfo(name)
            info.size = 10
            made.addfile(info, io.BytesIO(pickle.dumps(_Runs())[:10]))


def _script(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(file))


def _pickles() -> Group:
    like = {_EMBED: torch.zeros(342, 64), "layers.0.fc1.bias": torch.zeros(1)}
    changes: dict[str, Change] = {
        **{f"cut to {share}": _saved_and(_cut(share)) for share in (0, 0.001, 0.3, 0.99, 0.9999)},
        **{
            f"an old one cut to {share}": _saved_and(
                _cut(share), _use_new_zipfile_serialization=False
            )
            for share in (0.001, 0.3, 0.99)
        },
        "code": _saved(lambda: {"model": {"x": _Runs()}}),
        "code in an old one": _saved(lambda: _Runs(), _use_new_zipfile_serialization=False),
        "code in a bare pickle": lambda file: file.write_bytes(pickle.dumps(_Runs())),
        "code in a bare pickle of protocol 0": lambda file: file.write_bytes(
            pickle.dumps(_Runs(), 0)
        ),
        "a list": _saved(lambda: [1, 2]),
        "a number": _saved(lambda: 5),
        "a table of nothing": _saved(dict),
        "a table within itself": _saved(_within_itself),
        "a tuple 300,000 deep": _archive({"data.pkl": _deep_tuple(), "version": b"3\n"}),
        "whole numbers": _saved(lambda: {n: x.long() for n, x in like.items()}),
        "a sparse tensor": _saved(lambda: {"model": {n: x.to_sparse() for n, x in like.items()}}),
        "a tensor on no device": _saved(
            lambda: {"model": {n: x.to("meta") for n, x in like.items()}}
        ),
        "10**15 numbers that are one": _saved(
            lambda: {
                "model": {n: torch.zeros(1).expand(10**9, 10**6) for n in like},
            }
        ),
        "an embedding of one number": _saved(
            lambda: {"model": {n: torch.zeros(1).expand(342, 64) for n in like}}
        ),
        "a quantized tensor": _saved(_quantized),
        "compressed": _repacked(zipfile.ZIP_DEFLATED),
        "a bomb of 30 MB": _archive({"data.pkl": bytes(30_000_000)}, zipfile.ZIP_DEFLATED),
        "an empty archive": _archive({}),
        "an archive of something else": _archive({"word/document.xml": b"<xml/>"}),
        "a tar": _tar,
        "TorchScript": _script,
        "safetensors": lambda file: save_file(like, file),
        "a page": _text("<html></html>"),
        "zeros": _text(bytes(1000)),
    }
    command = f"{ENCODE} --encoder model/other/weights.pt"
    file = "model/other/weights.pt"
    return {name: (file, command, _in_folder(change)) for name, change in changes.items()}


def _within_itself() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["model"] = made
    return made


def _quantized() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = torch.quantize_per_tensor(torch.zeros(342, 64), 0.1, 0, torch.qint8)
    return {"model": {_EMBED: rows, "layers.0.fc1.bias": torch.zeros(1)}}


def _in_folder(change: Change) -> Change:
    return lambda file: (file.parent.mkdir(exist_ok=True), change(file))


def _index(shards: Any, whole: bool = True) -> Change:
    """Return a change that puts an index of shards in the place of the weights."""

    def change(file: Path) -> None:
        tensors = load_file(file)
        file.rename(file.parents[2] / "outside.safetensors")
        save_file(tensors, file.parent / "one.safetensors")
        raw = {"weight_map": shards(list(tensors), file)} if whole else shards
        index = file.with_name(f"{file.name}.index.json")
        index.write_text(json.dumps(raw) if not isinstance(raw, str) else raw)

    return change


def _shards() -> Group:
    def all_in(shard: Any) -> Change:
        return _index(lambda names, file: dict.fromkeys(names, shard))

    def beside(make: Callable[[Path], object]) -> Change:
        return lambda file: (all_in("two.safetensors")(file), make(file.parent / "two.safetensors"))

    changes: dict[str, Change] = {
        "a shard that is not there": all_in("two.safetensors"),
        "a shard outside": all_in("../../outside.safetensors"),
        "a shard by its whole path": _index(
            lambda names, file: dict.fromkeys(names, str(file.parents[2] / "outside.safetensors"))
        ),
        "a shard that is the folder": all_in("."),
        "a shard without a name": all_in(""),
        "a shard that is a number": all_in(5),
        "a shard with a NUL": all_in("a\0b"),
        "a shard of 5,000 letters": all_in("a" * 5_000),
        "a list": _index(lambda names, file: names),
        "no shards": _index(lambda names, file: {}),
        "no map": _index({"metadata": {}}, whole=False),
        "no JSON": _index("{", whole=False),
        "100,000 deep": _index('{"weight_map":' * 100_000, whole=False),
        **{f"a shard that is {name}": beside(make) for name, make in _THINGS.items()},
        "a shard with what another has": lambda file: (
            _index(
                lambda names, file: (
                    dict.fromkeys(names[:5], "two.safetensors")
                    | dict.fromkeys(names[5:], "one.safetensors")
                )
            )(file),
            shutil.copy(file.parent / "one.safetensors", file.parent / "two.safetensors"),
        ),
    }
    return {name: (ENCODER, ENCODE, change, "model/encoder") for name, change in changes.items()}


# --- tokenizers ------------------------------------------------------------------------------


def _tokenizers() -> Group:
    changes: dict[str, Change] = {
        **{f"cut to {share}": _cut(share) for share in (0, 0.01, 0.5, 0.999)},
        "zeros": _text(bytes(1000)),
        "a page": _text("<html></html>"),
        "a pointer of Git LFS": _text("version https://git-lfs.github.com/spec/v1\n"),
        "random bytes": lambda file: file.write_bytes(np.random.default_rng(0).bytes(10_000)),
        "twice": lambda file: file.write_bytes(2 * file.read_bytes()),
        "1 TB": lambda file: os.truncate(file, 10**12),
        "scores that are NaN": _scores(float("nan")),
    }
    found: Group = {name: (TOKENIZER, ENCODE, each) for name, each in changes.items()}
    folder = "model/tokenizer"
    found["two models"] = (
        TOKENIZER, ENCODE, lambda file: shutil.copy(file, file.with_name("b.model")), folder,
    )  # fmt: skip
    found["none"] = (TOKENIZER, ENCODE, Path.unlink, folder)
    languages: dict[str, Any] = {
        "a number": 5,
        "a table": {"a": 1},
        "tokens without content": [{"id": 5}],
        "numbers": [1, 2],
        "one twice": ["eng_Latn", "eng_Latn"],
    }
    file = "model/tokenizer/tokenizer_config.json"
    for name, value in languages.items():
        raw = json.dumps({"additional_special_tokens": value})
        found[f"languages: {name}"] = (file, ENCODE, _text(raw))
    return found


def _scores(score: float) -> Change:
    """Return a change that gives every piece of a SentencePiece model a score."""

    def change(file: Path) -> None:
        raw = file.read_bytes()
        made, at = bytearray(), 0
        while raw[at] == 0x0A:  # a piece, of fewer than 128 bytes
            piece = raw[at + 2 : at + 2 + raw[at + 1]]
            text = piece[2 : 2 + piece[1]]
            rest = piece[2 + len(text) + 5 :]
            new = piece[: 2 + len(text)] + b"\x15" + struct.pack("<f", score) + rest
            made += b"\x0a" + bytes([len(new)]) + new
            at += 2 + raw[at + 1]
        file.write_bytes(bytes(made) + raw[at:])

    return change


def _tokenizer_jsons() -> Group:
    pieces = [["<s>", 0.0], ["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["a", -1.0]]
    raw: dict[str, Any] = {
        "added_tokens": [{"content": "eng_Latn"}],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace"},
        "model": {"type": "Unigram", "vocab": pieces},
    }

    def made(**values: Any) -> Change:
        return _text(json.dumps(raw | values))

    def model(**values: Any) -> Change:
        return made(model=raw["model"] | values)

    precompiled = {"type": "Precompiled", "precompiled_charsmap": "%%%"}
    changes: dict[str, Change] = {
        **{name: _text(content) for name, content in _BAD_JSON.items()},
        "of 1 TB": lambda file: (file.touch(), os.truncate(file, 10**12)),
        "no model": made(model=None),
        "a model that is a list": made(model=[]),
        "an unknown model": model(type="WordPiece"),
        "a vocabulary that is a number": model(vocab=5),
        "pieces without scores": model(vocab=["a", "b"]),
        "scores that are words": model(vocab=[["<s>", "x"]]),
        "scores of 1e300": model(vocab=[*pieces, ["b", 1e300]]),
        "scores that are NaN": model(vocab=[*pieces, ["b", float("nan")]]),
        "half a character": model(vocab=[*pieces, ["\ud800", -1.0]]),
        "another beginning": model(vocab=pieces[1:]),
        "added tokens that are numbers": made(added_tokens=[1]),
        "a table of normalization that is none": made(normalizer=precompiled),
        "an unknown normalizer": made(normalizer={"type": "NFKC"}),
        "a normalizer that is a list": made(normalizer=[1]),
        "no pre-tokenizer": made(pre_tokenizer=None),
        "merges that are numbers": model(type="BPE", vocab={"<s>": 0}, merges=[1]),
        "ids that are words": model(type="BPE", vocab={"<s>": "x", "a": 1}, merges=[]),
    }
    file = "model/tokenizer/tokenizer.json"

    def alone(change: Change) -> Change:
        return lambda file: (file.with_name("sentencepiece.model").unlink(), change(file))

    found = {name: (file, ENCODE, alone(change)) for name, change in changes.items()}
    for name, make in _THINGS.items():
        found[name] = (file, ENCODE, alone(make))
    return found


# --- vectors and texts -----------------------------------------------------------------------


def _npy(array: Any) -> Change:
    return lambda file: np.save(file, array, allow_pickle=True)


def _npy_header(text: str, data: bytes = b"") -> Change:
    head = text.encode().ljust(118) + b"\n"
    return _text(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)


def _vectors() -> Group:
    one = np.zeros((2, 64), np.float32)
    spoiled = one.copy()
    changes: dict[str, Change] = {
        **{f"cut to {share}": _cut(share) for share in (0, 0.01, 0.2, 0.9)},
        "NaN": _npy(np.full_like(spoiled, np.nan)),
        "infinity": _npy(np.full_like(spoiled, np.inf)),
        "numbers of 1e300": _npy(np.full((2, 64), 1e300)),
        "numbers of 1e38": _npy(np.full((2, 64), 3e38, np.float32)),
        "objects": _npy(np.array([[_Runs()]])),
        "words": _npy(np.array([["a", "b"]])),
        "truth values": _npy(np.zeros((2, 64), bool)),
        "complex numbers": _npy(one.astype(np.complex64)),
        "records": _npy(np.zeros(3, [("a", "f4")])),
        "no dimension": _npy(np.float32(3)),
        "three dimensions": _npy(one[None]),
        "no rows": _npy(one[:0]),
        "another width": _npy(one[:, :32]),
        "10**15 rows": _npy_header(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000, 64), }"
        ),
        "10**30 rows": _npy_header(
            f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30}, 64), }}"
        ),
        "rows below 0": _npy_header(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 64), }"
        ),
        "a header of Python 2": _npy_header(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 64L), }", bytes(100)
        ),
        "code in the header": _npy_header("__import__('os').system('touch hostile-was-run')"),
        "a header 5,000 deep": _npy_header("(" * 100),
        "a version to come": _text(b"\x93NUMPY\x09\x00" + bytes(100)),
        "an .npz": lambda file: np.savez(file.open("wb"), a=one),
        "a page": _text("<html></html>"),
        "binary": _text(bytes(range(256))),
        "lines: nested 10,000 deep": _text('{"vector": ' + "[" * 10_000 + "]" * 10_000 + "}\n"),
        "lines: a word": _text('{"vector": "' + "1" * 64 + '"}\n'),
        "lines: words": _text(json.dumps({"vector": ["1"] * 64}) + "\n"),
        "lines: truth values": _text(json.dumps({"vector": [True] * 64}) + "\n"),
        "lines: NaN": _text(json.dumps({"vector": [float("nan")] * 64}) + "\n"),
        "lines: 10**400": _text(json.dumps({"vector": [10**400] * 64}) + "\n"),
        "lines: 5,000 digits": _text('{"vector": [' + "9" * 5_000 + "]}\n"),
        "lines: no vector": _text('{"text": "a"}\n'),
        "lines: lists": _text(json.dumps({"vector": [[1]] * 64}) + "\n"),
        "lines: of two lengths": _text('{"vector": [1]}\n{"vector": [1, 2]}\n'),
        "lines: nothing but lines": _text("\n\n\n"),
        "a directory": _instead(Path.mkdir),
        "not there": Path.unlink,
    }
    return {name: (VECTORS, DECODE, change) for name, change in changes.items()}


def _texts() -> Group:
    texts: dict[str, Change] = {
        "empty": _text(""),
        "only spaces": _text(" \n\t \n"),
        "only a byte order mark": _text("\ufeff"),
        "a NUL": _text("One day.\0 Two."),
        "not UTF-8": _text(b"Caf\xe9 au lait."),
        "half of UTF-16": _text("One day.".encode("utf-16")[:-1]),
        "a program": _text(Path(sys.executable).read_bytes()[:10_000]),
        "a directory": _instead(Path.mkdir),
        "a loop of links": _instead(lambda file: file.symlink_to(file.name)),
        "not there": Path.unlink,
    }
    found: Group = {name: (TEXT, ENCODE, change) for name, change in texts.items()}
    no_sentence = {
        "20,000 full stops": "." * 20_000,
        "20,000 quotes": '"' * 20_000,
        "20,000 emoji joined": "\U0001f468\u200d" * 20_000,
        "brackets 20,000 deep": "(" * 20_000 + ")" * 20_000,
    }
    for name, content in no_sentence.items():
        for verb, command in (("encode", ENCODE), ("continue", CONTINUE), ("sum up", SUMMARIZE)):
            found[f"{name}, to {verb}"] = (TEXT, command, _text(content))
    lines = {
        "no JSON": "{",
        "nested 10,000 deep": '{"text": ' + "[" * 10_000 + "]" * 10_000 + "}",
        "100,000 deep": "[" * 100_000,
        "a list": '["a"]',
        "no text": '{"a": 1}',
        "a number": '{"text": 5}',
        "an empty text": '{"text": " "}',
    }
    for name, line in lines.items():
        command = "encode -m model lines.jsonl --format jsonl"
        found[f"lines: {name}"] = ("lines.jsonl", command, _text(line + "\n"))
    return found


# Texts that look hostile but can be read: name of the file -> content.
def readable() -> Iterator[tuple[str, str, bytes]]:
    """Yield a name, a file name and the content of each strange text that can be read."""
    made: dict[str, tuple[str, str]] = {
        "a word of 200,000 letters": ("a.txt", "a" * 200_000),
        "20,000 line breaks": ("a.txt", "One." + "\n" * 20_000 + "Two."),
        "only carriage returns": ("a.txt", "One day.\rTwo days.\r"),
        "colours of a terminal": ("a.txt", "One \x1b[31mred\x1b[0m day."),
        "marks of direction": ("a.txt", "\u202eOne day.\u202c"),
        "20,000 accents on a letter": ("a.txt", "a" + "\u0301" * 20_000 + "."),
        "not a character": ("a.txt", "One \uffff \U0010ffff day."),
        "half a character in JSON": ("a.jsonl", '{"text": "One \\ud800 day."}'),
        "elements 5,000 deep": ("a.html", "<div>" * 5_000 + "One day." + "</div>" * 5_000),
        "elements never closed": ("a.html", "<p><b><i>" * 3_000 + "One day."),
        "a comment never closed": ("a.html", "<p>One day.</p><!-- " + "-" * 20_000),
        "references 5,000 deep": ("a.html", "<p>One &amp;" + "amp;" * 5_000 + " day.</p>"),
        "quotations 2,000 deep": ("a.md", ">" * 2_000 + " One day."),
        "lists 1,000 deep": (
            "a.md",
            "".join("  " * i + "- One day.\n" for i in range(1_000)),
        ),
        "emphasis 10,000 deep": ("a.md", "*" * 10_000 + "One day."),
        "links 5,000 deep": ("a.md", "[" * 5_000 + "One day."),
        "backticks without end": ("a.md", "One day. " + "`a" * 5_000),
        "braces 10,000 deep": ("a.tex", "\\emph{" * 10_000 + "One day." + "}" * 10_000),
        "a macro of itself": ("a.tex", "\\newcommand{\\a}{\\a\\a}\n\nOne day. \\a"),
        "environments 5,000 deep": ("a.tex", "\\begin{quote}\n" * 5_000 + "One day."),
        "indented 1,000 deep": ("a.rst", "".join(" " * i + "One day.\n\n" for i in range(1_000))),
        "sections of every mark": ("a.org", "*" * 5_000 + " One day.\n"),
        "delimiters 5,000 deep": ("a.adoc", "====\n" * 5_000 + "One day.\n"),
        "a mail of parts in parts": (
            "a.eml",
            "From: a@b.c\n"
            + "".join(
                f'Content-Type: multipart/mixed; boundary="b{i}"\n\n--b{i}\n' for i in range(200)
            )
            + "Content-Type: text/plain\n\nOne day.\n",
        ),
        "times beyond all": ("a.srt", "1\n99:99:99,999 --> 00:00:00,000\nOne day.\n"),
    }
    for name, (file, content) in made.items():
        yield name, file, content.encode("utf-8", "surrogatepass")


def main(folder: Path) -> None:
    """Make every kind in a folder of its own."""
    base = good(folder / "good")
    for number, kind in enumerate(kinds(), start=1):
        print(" ".join(kind.make(base, folder / f"{number:03}")), f"# {kind.name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
