"""One update told stage by stage: the batch taken, forward, loss, backward, the step.

    told = narrate(trainer)     # the same update as trainer.step(), to the last bit

Training fuses layers, splits batches and keeps nothing on the way. So the update is rehearsed first, on a copy of
everything that it depends on, layer by layer; then the trainer makes it. What the copy computes is the same up to the
order of sums; the weights before and after are the trainer's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Array, Truth
from engine.datasets.base import Chosen
from engine.differentiation import Learned
from engine.trainer import StepResult, Trainer


@dataclass(frozen=True, slots=True)
class NarratedLayer:
    """What one layer gave out for the batch, `outputs` (*output_shape, N), and ∂loss/∂outputs, `gradients` likewise."""

    outputs: Array
    gradients: Array


@dataclass(frozen=True, slots=True)
class Narration:
    """One update. N examples were taken, from `places` (N,) of the training split, as `inputs` (*input_shape, N).

    losses: what each example costs, (N,), its weight included; their mean is `result.loss`, up to rounding;
    layers: in the network's order; the gradients are those of the mean;
    before, after: all parameters, (P,), and `gradients` (P,) what the optimizer was given: of the mean loss and of weight
    decay, clipped. Plain descent makes `after = before − learning_rate · gradients` of them.
    """

    step: int
    places: Chosen
    inputs: Array
    labels: Truth
    losses: Array
    layers: list[NarratedLayer]
    gradients: Array
    before: Array
    after: Array
    learning_rate: float
    result: StepResult


def narrate(trainer: Trainer) -> Narration:
    """Make one update of `trainer` and tell what was done. DivergedError as from `Trainer.step`."""
    rate, before = trainer.learning_rate, trainer.network.parameters.copy()
    rehearsal = Rehearsal.from_state(trainer.state(), trainer.dataset)
    rehearsal.step()
    result = trainer.step()
    return Narration(
        step=trainer.steps,
        places=rehearsal.places,
        inputs=rehearsal.inputs,
        labels=rehearsal.labels,
        losses=np.concatenate(rehearsal.losses),
        layers=[
            NarratedLayer(np.concatenate(outputs, axis=-1), np.concatenate(gradients, axis=-1))
            for outputs, gradients in zip(rehearsal.outputs, rehearsal.output_gradients, strict=True)
        ],
        gradients=rehearsal.network.gradients,
        before=before,
        after=trainer.network.parameters.copy(),
        learning_rate=rate,
        result=result,
    )


class Rehearsal(Trainer):
    """A trainer that goes through the layers one by one and keeps what each gave out, for one update.

    `outputs` and `output_gradients` have a list for each layer, in which the parts of the batch follow each other.
    """

    places: Chosen
    inputs: Array
    labels: Truth

    def _choose_tape(self) -> None:
        self._tape = None  # whose calls would leave nothing to be told

    def _choose(self, count: int) -> Chosen:
        self.places = super()._choose(count)
        return self.places

    @np.errstate(over="ignore", invalid="ignore")
    def _differentiate(self, inputs: Array, labels: Truth, weights: Array | None) -> Learned:
        self.inputs, self.labels = inputs.copy(), labels
        self.losses: list[Array] = []
        self.outputs: list[list[Array]] = [[] for _ in self.network.layers]
        self.output_gradients: list[list[Array]] = [[] for _ in self.network.layers]
        gradients = np.zeros_like(self.network.gradients)
        for part, rng in self._parts():
            own = None if weights is None else weights[part]
            self._learn(inputs[..., part], labels[part], own, rng, share=(part.stop - part.start) / len(labels))
            gradients += self.network.gradients
        self.network.gradients[:] = gradients
        return Learned(float(np.concatenate(self.losses).mean()), 0, 0.0, 0.0)

    def _parts(self) -> list[tuple[slice, np.random.Generator]]:
        """The parts in which the batch goes through the network, in order, each with what dropout draws from."""
        dropout = self._rngs["dropout"]
        first, *others = self.shares
        drawn = [
            (first, dropout),
            *((second, np.random.default_rng(int(dropout.integers(2**63)))) for second in others),
        ]
        return [
            (slice(share.start + part.start, share.start + part.stop), rng)
            for share, rng in drawn
            for part in self.network.parts(share.stop - share.start)
        ]

    def _learn(
        self, inputs: Array, labels: Truth, weights: Array | None, rng: np.random.Generator, *, share: float
    ) -> None:
        """Forward and backward through every layer; the network's gradients are then this part's share of the batch's."""
        network = self.network
        network.begin(training=True, rng=rng)
        outputs = np.asarray(inputs, network.dtype)
        for layer, kept in zip(network.layers, self.outputs, strict=True):
            outputs = layer.forward(outputs)
            kept.append(outputs.copy())
        logits = outputs.reshape(-1, len(labels))
        self.losses.append(self.loss.costs(logits, labels, weights))
        _, gradients = self.loss.loss_and_gradient(logits, labels, weights)
        gradients = (share * gradients).reshape(*network.output_shape, -1)
        for layer, kept in zip(reversed(network.layers), reversed(self.output_gradients), strict=True):
            kept.append(gradients.copy())
            gradients = layer.backward(gradients)
