"""Normalization: numbers worked by hand, numeric gradients, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SpecError
from engine.layers import LocalResponseNormalization
from engine.shapes import plan
from engine.specs import LocalResponseNormalization as Spec
from tests.engine.gradients import layer_errors
from tests.engine.test_layers import LIMIT, batch

properties = settings(max_examples=25, deadline=None, derandomize=True)


class TestLocalResponse:
    def test_hand_worked(self) -> None:
        layer = LocalResponseNormalization((4,), k=1, n=3, alpha=3, beta=1, dtype=np.float64)
        outputs = layer.forward(batch([1, 2, 0, 3]))
        # s = 1 + 3/3 · (squares of the neighbours and its own): 1+1+4, 1+1+4+0, 1+4+0+9, 1+0+9
        np.testing.assert_allclose(outputs[:, 0], [1 / 6, 2 / 6, 0 / 14, 3 / 10], rtol=1e-15)
        gradients = layer.backward(batch([1, 0, 0, 0]))
        # of 1/6 by its own channel: 1/6 − 2·1·1/36, by its neighbour: −2·2·1/36
        np.testing.assert_allclose(gradients[:, 0], [1 / 6 - 2 / 36, -4 / 36, 0, 0], rtol=1e-15)

    def test_does_nothing_without_strength(self) -> None:
        layer = LocalResponseNormalization((3, 2, 2), k=1, alpha=0, dtype=np.float64)
        maps = np.random.default_rng(0).normal(size=(3, 2, 2, 2))
        assert np.array_equal(layer.forward(maps), maps)
        assert np.array_equal(layer.backward(maps), maps)

    @properties
    @given(
        st.integers(1, 6), st.lists(st.integers(1, 3), max_size=2), st.sampled_from([1, 3, 5, 9]),
        st.floats(0.5, 3), st.floats(0, 5), st.floats(0, 2), st.integers(0, 99),
    )  # fmt: skip
    def test_gradients(
        self, channels: int, places: list[int], n: int, k: float, alpha: float, beta: float, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        shape = (channels, *(places if len(places) == 2 else []))
        layer = LocalResponseNormalization(shape, k, n, alpha, beta, np.float64)
        assert layer_errors(layer, rng.normal(size=(*shape, 2)), rng)["inputs"] < LIMIT

    @properties
    @given(st.integers(1, 7), st.sampled_from([1, 3, 5, 63]), st.integers(0, 99))
    def test_equals_its_definition(self, channels: int, n: int, seed: int) -> None:
        inputs = np.random.default_rng(seed).normal(size=(channels, 2, 2, 2))
        outputs = LocalResponseNormalization((channels, 2, 2), 1.5, n, 0.7, 0.6, np.float64).forward(inputs)
        for c in range(channels):
            near = inputs[max(0, c - n // 2) : c + n // 2 + 1]
            expected = inputs[c] / (1.5 + 0.7 / n * (near**2).sum(axis=0)) ** 0.6
            np.testing.assert_allclose(outputs[c], expected, rtol=1e-13)

    def test_an_even_number_of_neighbours_is_refused(self) -> None:
        with pytest.raises(
            SpecError, match=r"of 4 neighbours none is in the middle\. Choose an odd number, 3 or 5"
        ) as caught:
            plan([Spec(n=4)], (8, 4, 4))
        assert caught.value.field == "/network/0/n"
