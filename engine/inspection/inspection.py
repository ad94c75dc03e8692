"""A network and its points, ready to be asked what the network makes of any place."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from engine.arrays import Array, Labels
from engine.datasets.plane import Positions
from engine.datasets.points import PointDataset
from engine.errors import ShapeError
from engine.inspection.observer import Observer
from engine.inspection.places import Domain, grid, line, mesh
from engine.losses import Loss
from engine.network import Network

INPUTS = -1
"""Where a layer is asked for: what the network is told about a place, before the first layer."""

KEPT = 8
"""Sets of inputs that are kept from one picture to the next; 200 × 200 places with 20 columns take 3 MB."""


class Inspection:
    """What is looked at: a network, how its outputs are read, and the points that it learns from.

    The inputs of a grid never change while the network does, so they are made once.
    """

    def __init__(self, network: Network, loss: Loss, dataset: PointDataset) -> None:
        self.network = network
        self.loss = loss
        self.dataset = dataset
        self.observer = Observer(network)
        self._kept: dict[Hashable, Any] = {}

    # ---- What there is --------------------------------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        return len(self.dataset.columns)

    @property
    def layers(self) -> tuple[int, ...]:
        """The dense layers, by their places in the network."""
        return self.observer.dense

    def check_layer(self, layer: int) -> None:
        """ShapeError unless `layer` is a dense one."""
        if layer not in self.layers:
            raise ShapeError(f"Layer {layer} is not a dense layer of this network.")

    def check_unit(self, layer: int, unit: int) -> None:
        """ShapeError unless there is such a unit; those of layer −1 are the inputs."""
        if layer != INPUTS:
            self.check_layer(layer)
        units = self.network.input_shape[0] if layer == INPUTS else self.observer.units(layer)
        if not 0 <= unit < units:
            raise ShapeError(f"There is no unit {unit}: layer {layer} has {units}, numbered from 0.")

    def check_columns(self, columns: Sequence[int]) -> None:
        """ShapeError unless the points have these two columns."""
        if self.columns < 2:
            raise ShapeError("These points lie on a line, not in a plane.")
        if columns[0] == columns[1] or not all(0 <= column < self.columns for column in columns):
            raise ShapeError(f"A plane has two different columns, numbered from 0 to {self.columns - 1}.")

    def domain(self, columns: Sequence[int] = (0, 1)) -> Domain:
        """The part of the plane of two columns that is looked at. Of a single column, and what is learned."""
        if self.columns == 1:
            return self.dataset.domain
        ranges = self.dataset.ranges
        return ranges[columns[0]], ranges[columns[1]]

    # ---- Inputs ---------------------------------------------------------------------------------------------------------

    def grid_inputs(self, resolution: int, columns: Sequence[int] = (0, 1)) -> Array:
        """The network's inputs (D, resolution²) at the cells of a grid over two columns."""
        return self._keep(
            ("grid", resolution, *columns), lambda: self._to_inputs(grid(self.domain(columns), resolution), columns)
        )

    def mesh_inputs(self, lines: int, columns: Sequence[int] = (0, 1)) -> Array:
        """The network's inputs (D, lines²) at the crossings of a mesh over two columns."""
        return self._keep(
            ("mesh", lines, *columns), lambda: self._to_inputs(mesh(self.domain(columns), lines), columns)
        )

    def line_inputs(self, resolution: int) -> Array:
        """The network's inputs (D, resolution) along the only column."""
        return self._keep(
            ("line", resolution), lambda: self.dataset.to_inputs(line(self.dataset.domain[0], resolution))
        )

    def point_inputs(self) -> Array:
        """The network's inputs (D, N) at all points, in their order."""
        return self._keep("points", lambda: self.dataset.to_inputs(self.dataset.positions))

    def training_inputs(self) -> Array:
        """The network's inputs (D, n) at the points that are trained on."""
        return self._keep("training", lambda: np.ascontiguousarray(self.point_inputs()[:, self.dataset.train]))

    def _to_inputs(self, places: Positions, columns: Sequence[int]) -> Array:
        """`places` (N, 2) lie in the plane of two columns; the others stand at their mean over the training points."""
        positions = np.tile(self.dataset.positions[self.dataset.train].mean(axis=0), (len(places), 1))
        positions[:, list(columns)] = places
        return self.dataset.to_inputs(positions)

    def _keep(self, key: Hashable, make: Callable[[], Array]) -> Array:
        if key not in self._kept:
            if len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = make()
        kept: Array = self._kept[key]
        return kept

    # ---- Outputs --------------------------------------------------------------------------------------------------------

    def answers(self, outputs: Array) -> Array:
        """How the network's outputs (K, N) are read: probabilities of the classes (K, N), or numbers in their own unit (1, N)."""
        if self.dataset.classes:
            return self.loss.probabilities(outputs)
        mean, spread = self.dataset.target_scale
        with np.errstate(over="ignore", invalid="ignore"):
            return outputs * np.float32(spread) + np.float32(mean)

    def units(self, inputs: Array, layers: Sequence[int]) -> dict[int, Array]:
        """What the units of `layers` answer to inputs (D, N), each (units, N), in one pass.

        The last layer's are read as `answers`; of two classes with one output it is the probability of the first.
        """
        found: dict[int, Array] = {INPUTS: inputs} if INPUTS in layers else {}
        found |= self.observer.activations(inputs, [layer for layer in layers if layer != INPUTS])
        last = self.layers[-1] if self.layers else None
        if last in found:
            found[last] = self.answers(found[last])[: len(found[last])]
        return found

    def predictions(self) -> Labels:
        """The class that the network takes each point for, int64 (N,), in their order."""
        return self.loss.predicted(self.observer.outputs(self.point_inputs()))
