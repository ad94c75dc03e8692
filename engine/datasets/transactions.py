"""Card transactions of two months, made by formula, of which one in 10,000 is a fraud; never more of them than a chunk in memory.

    Transactions(spec) → splits(spec) → Month → the trainer's batches

All columns of an honest transaction are independent standard normal numbers: 0 is what is usual for this card. A fraud
is of one of two kinds, each as often as the other, and stands FAR from the middle of the honest ones, with the same
spread around its place: a stolen card buys dear things, in haste, at unusual hours; a stolen number is used far away,
abroad, at merchants with a bad name. The kinds and the honest run into each other, so that no network tells all of them
apart; the best that is possible is the likelihood ratio (`log_odds`).

What is random of a chunk of CHUNK transactions follows from the seed, the month and the chunk's number alone, so that any
of them can be made at any time. The frauds alone, a thousand of ten millions, are kept: over-sampling takes them often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import log
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.arrays import Array
from engine.datasets.base import Chosen
from engine.errors import ShapeError, SpecError
from engine.specs import HONEST_AND_FRAUD, ONE_FRAUD_IN, TRANSACTION_COLUMNS, Split, TransactionsSpec

CHUNK = ONE_FRAUD_IN
"""Transactions that are made at a time: 240 kB, which stay near the processor."""
CHUNKS_KEPT = 16
LARGEST = 1e6
"""How far from usual a column of a transaction from outside may be."""

FAR = 5.2
"""From the middle of the honest transactions to that of each kind of fraud, in standard deviations."""
# amount, unusual hour, distance, haste, merchant risk, abroad
_STOLEN_CARD = (1.0, 1.0, 0.2, 1.0, 0.2, 0.3)
_STOLEN_NUMBER = (0.1, 0.2, 1.0, 0.3, 1.0, 1.0)

_MONTHS: tuple[Split, ...] = ("train", "test", "validation")
"""Each is drawn by itself, so that one tells nothing of another."""

Inputs: TypeAlias = npt.NDArray[np.float32]
"""Transactions (6, n), a row for each of TRANSACTION_COLUMNS."""


def fraud_centres() -> npt.NDArray[np.float64]:
    """The middle of each kind of fraud, (2, 6)."""
    directions = np.array([_STOLEN_CARD, _STOLEN_NUMBER])
    centres: npt.NDArray[np.float64] = FAR * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return centres


def log_odds(inputs: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """`log P(fraud | x) − log P(honest | x)` of transactions (6, n): no score can rank them better (Neyman, Pearson 1933).

    With a kind's centre m and unit variances its density over the honest one's is `e^(m·x − ½ m·m)`; both kinds are
    equally likely, and one in 10,000 is a fraud.
    """
    centres = fraud_centres()
    exponents = centres @ inputs - 0.5 * (centres**2).sum(axis=1, keepdims=True)
    ratio: npt.NDArray[np.float64] = np.logaddexp(*exponents) - log(len(centres))
    return ratio - log(ONE_FRAUD_IN - 1)


@lru_cache(CHUNKS_KEPT)
def honest_chunk(seed: int, month: int, number: int) -> Inputs:
    """(6, CHUNK): a chunk as if all of it were honest. Not to be changed."""
    chunk = np.random.default_rng((seed, month, 1 + number)).standard_normal(
        (len(TRANSACTION_COLUMNS), CHUNK), np.float32
    )
    chunk.flags.writeable = False
    return chunk


def frauds_of(seed: int, month: int, transactions: int) -> tuple[Chosen, Inputs]:
    """Where a month's frauds are, int64 (F,) in order, and what they are, (6, F)."""
    rng = np.random.default_rng((seed, month, 0))
    count = transactions // ONE_FRAUD_IN
    kinds = rng.integers(len(fraud_centres()), size=count)
    inputs = fraud_centres()[kinds].T + rng.standard_normal((len(TRANSACTION_COLUMNS), count))
    places = np.sort(rng.choice(transactions, count, replace=False, shuffle=False))
    return places, inputs.astype(np.float32)


@dataclass(slots=True)
class Pass:
    """The order of one pass over a month: chunks in random order, and each chunk's transactions in random order.

    Over-sampled, each place of the order is a fraud's with the probability `fraud_share`, and whose it is is drawn anew;
    else each transaction is taken once. Places are worked out where they are asked for: ten millions of them would take
    80 MB.
    """

    chunks: npt.NDArray[np.int64]
    seed: int
    frauds: Chosen
    fraud_share: float | None
    _latest: tuple[int, Chosen] = field(default=(-1, np.empty(0, np.int64)), init=False)

    def __len__(self) -> int:
        return len(self.chunks) * CHUNK

    def __getitem__(self, part: slice) -> Chosen:
        start, stop, _ = part.indices(len(self))
        first, last = start // CHUNK, -(-stop // CHUNK)
        places = [self._chunk(turn) for turn in range(first, last)] or [np.empty(0, np.int64)]
        return np.concatenate(places)[start - first * CHUNK : stop - first * CHUNK]

    def _chunk(self, turn: int) -> Chosen:
        """The places of the chunk that comes as number `turn`, (CHUNK,)."""
        if self._latest[0] != turn:
            rng = np.random.default_rng((self.seed, turn))
            places = self.chunks[turn] * CHUNK + rng.permutation(CHUNK)
            if self.fraud_share is not None:
                again = rng.random(CHUNK) < self.fraud_share
                places[again] = rng.choice(self.frauds, np.count_nonzero(again))
            self._latest = turn, places
        return self._latest[1]


@dataclass(frozen=True, slots=True)
class Month:
    """The transactions of one month. `labels` int8 (N,) are 1 for a fraud; `frauds` (F,) are their places, in order.

    `fraud_inputs` (6, F) are the frauds themselves; `fraud_share` is that of a pass.
    """

    seed: int
    number: int
    labels: npt.NDArray[np.int8]
    frauds: Chosen
    fraud_inputs: Inputs
    fraud_share: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def weights(self) -> None:
        """All transactions count the same."""

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self) // CHUNK

    def order(self, rng: np.random.Generator) -> Pass:
        """That of the next pass."""
        seed = int(rng.integers(2**63))
        return Pass(rng.permutation(self.chunks), seed, self.frauds, self.fraud_share)

    def batch(self, chosen: Chosen, _: np.random.Generator, out: Array | None = None) -> Array:
        """(6, n). Nothing varies from one pass to the next."""
        return self._inputs(chosen, out)

    def look(self, chosen: Chosen | slice) -> Array:
        """(6, n)"""
        return self._inputs(np.arange(*chosen.indices(len(self))) if isinstance(chosen, slice) else chosen)

    def chunk(self, number: int) -> tuple[Inputs, Chosen]:
        """A chunk as if all of it were honest, (6, CHUNK), and the places in it of those who are not."""
        first = number * CHUNK
        low, high = self.frauds.searchsorted((first, first + CHUNK))
        return honest_chunk(self.seed, self.number, number), self.frauds[low:high] - first

    def _inputs(self, chosen: Chosen, out: Array | None = None) -> Array:
        inputs: Array = np.empty((len(TRANSACTION_COLUMNS), len(chosen)), np.float32) if out is None else out
        frauds, of_chunk = np.flatnonzero(self.labels[chosen]), chosen // CHUNK
        of_chunk[frauds] = -1
        for number in set(of_chunk.tolist()) - {-1}:
            here = np.flatnonzero(of_chunk == number)
            inputs[:, here] = honest_chunk(self.seed, self.number, number).take(chosen[here] - number * CHUNK, axis=1)
        if len(frauds):
            inputs[:, frauds] = self.fraud_inputs.take(self.frauds.searchsorted(chosen[frauds]), axis=1)
        return inputs


def _month(spec: TransactionsSpec, number: int, transactions: int) -> Month:
    frauds, inputs = frauds_of(spec.seed, number, transactions)
    labels = np.zeros(transactions, np.int8)
    labels[frauds] = 1
    return Month(spec.seed, number, labels, frauds, inputs, spec.fraud_share)


@dataclass(frozen=True, slots=True)
class Transactions:
    """The transactions that a spec speaks of."""

    spec: TransactionsSpec

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def classes(self) -> tuple[str, ...]:
        return HONEST_AND_FRAUD

    @property
    def target_scale(self) -> tuple[float, float]:
        return 0.0, 1.0

    def splits(self, spec: TransactionsSpec) -> Mapping[Split, Month]:
        """The month before is trained on, this month's test; none are kept for validation."""
        if spec != self.spec:
            raise SpecError("These transactions were made for another spec.", field="/dataset")
        return MappingProxyType(
            {split: _month(spec, number, spec.sizes[split]) for number, split in enumerate(_MONTHS)}
        )

    def read_inputs(self, _: TransactionsSpec, values: npt.ArrayLike) -> Inputs:
        """Transactions from outside, (N, 6), as network inputs (6, N). ShapeError."""
        try:
            rows = np.asarray(values, np.float32)
        except (TypeError, ValueError, OverflowError):
            raise ShapeError("Transactions are a list of lists of numbers.") from None
        if rows.ndim != 2 or rows.shape[1] != len(TRANSACTION_COLUMNS):
            raise ShapeError(f"Transactions must have the shape (N, {len(TRANSACTION_COLUMNS)}), not {rows.shape}.")
        if not np.all(np.abs(rows) <= LARGEST):  # written so that NaN fails, too
            raise ShapeError(f"The numbers of a transaction go from {-LARGEST:,.0f} to {LARGEST:,.0f}.")
        return np.ascontiguousarray(rows.T)
