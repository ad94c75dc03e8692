"""Networks of terabytes are refused by arithmetic: the server's memory does not grow by what they would need.

That the estimate is never below what an accepted network takes: tests/engine/test_shapes.py and tests/engine/test_memory.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Problem
from app.schemas import RunBody
from app.services.checks import check
from app.settings import Limits
from engine.errors import SpecError
from engine.shapes import estimate_bytes
from tests.faults.figures import note
from tests.faults.served import served

SIZES = st.sampled_from((1, 2, 10, 64, 512, 1_024, 2_048, 10**6, 10**12, 2**63))
KERNELS = st.sampled_from((1, 3, 12, 28, 10**6))
LAYERS = st.one_of(
    st.fixed_dictionaries({"type": st.just("dense"), "units": SIZES}),
    st.fixed_dictionaries({"type": st.just("maxout"), "units": SIZES, "pieces": SIZES}),
    st.fixed_dictionaries(
        {"type": st.just("conv2d"), "filters": SIZES, "kernel_size": KERNELS, "padding": KERNELS, "stride": KERNELS}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(("relu", "flatten", "max_pool2d", "dropout", "batch_normalization"))}
    ),
)
NETWORKS = st.lists(LAYERS, max_size=34)
GROWTH_BYTES = 5 * 2**20


def resident() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def judged(network: Any, batch_size: int) -> str:
    """What the server says to a network before any worker hears of it."""
    try:
        spec = RunBody.model_validate({"network": network, "batch_size": batch_size}).spec()
        check(spec)
    except ValueError:  # pydantic's: out of range
        return "range"
    except (Problem, SpecError) as error:
        return str(getattr(error, "code", "refused"))
    assert estimate_bytes(spec.network, spec.dataset.input_shape, spec.batch_size) <= Limits().run_bytes
    return "accepted"


@pytest.mark.parametrize(
    "count", [pytest.param(150, id="some"), pytest.param(3_000, id="all", marks=pytest.mark.faults)]
)
def test_layer_lists_of_any_size_cost_the_server_nothing(count: int) -> None:
    generated: list[tuple[Any, int]] = []

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(NETWORKS, st.sampled_from((1, 20, 1_024, 10**9)))
    def generate(network: Any, batch_size: int) -> None:
        generated.append(([*network, {"type": "dense", "units": 10}], batch_size))

    generate()  # which takes memory of its own
    judged([{"type": "dense", "units": 10}], 20)
    before = resident()
    said = Counter(judged(network, batch_size) for network, batch_size in generated)
    grown = resident() - before
    note("Worst input", f"{said.total():,} generated networks: {grown / 2**20:+.1f} MB", met=grown < GROWTH_BYTES)
    assert said["accepted"] > 0
    assert said["range"] > 0
    assert grown < GROWTH_BYTES


def test_eight_terabytes_are_refused_with_the_sum(tmp_path: Path) -> None:
    async def ask() -> list[Any]:
        async with served(tmp_path) as nabla:
            wide = [{"type": "dense", "units": 2_048}] * 3
            answers = [
                await nabla.client.post("/api/runs", json={"network": [{"type": "dense", "units": 10**6}] * 2}),
                await nabla.client.post("/api/runs", json={"network": [*wide, {"type": "dense", "units": 10}]}),
                await nabla.client.post("/api/runs", json={"network": LARGE, "batch_size": 1_021}),
            ]
            assert (await nabla.rows())["runs"] == 0
            return answers

    range_, parameters, memory = asyncio.run(ask())
    assert {range_.status_code, parameters.status_code, memory.status_code} == {422}
    assert range_.json()["detail"] == "Units of layer 1 must be at least 1 and at most 2,048; it was 1,000,000."
    assert parameters.json()["code"] == "too_many_parameters"
    assert "the limit is 2,000,000" in parameters.json()["detail"]
    assert memory.json()["code"] == "too_much_memory"
    assert "This run needs about" in memory.json()["detail"]


LARGE = [
    *({"type": "conv2d", "filters": 64, "padding": 2} for _ in range(2)),
    {"type": "max_pool2d"},
    {"type": "dense"},
]
