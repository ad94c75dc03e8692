"""Legal ranges with their help text: what it is, too small, too large. And the largest run there may be."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from annotated_types import Interval, Len, doc

MAX_BATCH_SIZE = 1024

Filters: TypeAlias = Annotated[
    int, Interval(ge=1, le=512), doc("Number of filters: how many different patterns the layer looks for.")
]
KernelSize: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("Height and width of each filter in pixels.")]
Stride: TypeAlias = Annotated[
    int, Interval(ge=1, le=28), doc("How many pixels the window moves at a time. Larger strides give smaller maps.")
]
Padding: TypeAlias = Annotated[
    int, Interval(ge=0, le=14), doc("Zeros added on each side, so that the edges are looked at too.")
]
KernelLength: TypeAlias = Annotated[
    int,
    Interval(ge=1, le=28),
    doc("Width of each filter: how many neighbouring columns it looks at. It is as high as the map."),
]
PoolLength: TypeAlias = Annotated[
    int,
    Interval(ge=1, le=28),
    doc("How many neighbouring values of a row make up the window of which the largest is kept."),
]
PoolSize: TypeAlias = Annotated[
    int, Interval(ge=1, le=28), doc("Height and width of the window of which one value is kept.")
]
Units: TypeAlias = Annotated[int, Interval(ge=1, le=2048), doc("Number of units, each connected to every input.")]
DropRate: TypeAlias = Annotated[
    float,
    Interval(ge=0, lt=1),
    doc(
        "Share of the units switched off at random in each training step. 0 keeps all; above 0.8 little is left to learn with."
    ),
]
Slope: TypeAlias = Annotated[float, Interval(ge=0, le=1), doc("Slope for negative inputs. 0 is a plain ReLU.")]

GroupSize: TypeAlias = Annotated[
    int, Interval(ge=2, le=64), doc("How many neighbouring channels or units compete; the largest of them is kept.")
]
Neighbours: TypeAlias = Annotated[
    int,
    Interval(ge=1, le=63),
    doc("How many neighbouring channels, itself included, each value is measured against. An odd number."),
]
NormOffset: TypeAlias = Annotated[
    float,
    Interval(gt=0, le=1000),
    doc("k, what is added to the neighbours' squares. Large: little happens; it keeps a division from being by zero."),
]
NormScale: TypeAlias = Annotated[
    float, Interval(ge=0, le=1000), doc("α, how strongly the neighbours' squares press a value down. 0: not at all.")
]
NormPower: TypeAlias = Annotated[
    float, Interval(ge=0, le=10), doc("β, the power of what each value is divided by. 0: no division.")
]

Memory: TypeAlias = Annotated[
    float,
    Interval(ge=0, lt=1),
    doc("How much of the running mean and variance is kept when a batch is added. Near 1: many batches count."),
]
SmallVariance: TypeAlias = Annotated[
    float, Interval(gt=0, le=1), doc("Added to each variance, so that a map that never changes is not divided by zero.")
]

LearningRate: TypeAlias = Annotated[
    float,
    Interval(gt=0, le=100),
    doc("How far one update moves the weights. Too small: slow. Too large: the loss jumps or grows."),
]
Momentum: TypeAlias = Annotated[
    float,
    Interval(ge=0, lt=1),
    doc("How much of the last step is kept in the next one. 0: none. Near 1: fast, but it overshoots."),
]
DecayRate: TypeAlias = Annotated[
    float, Interval(ge=0, lt=1), doc("How slowly a running average forgets. Near 1: a long memory.")
]
Epsilon: TypeAlias = Annotated[
    float, Interval(gt=0, le=1), doc("A small number that keeps a division from being by zero.")
]
Cores: TypeAlias = Annotated[
    int,
    Interval(ge=1, le=2),
    doc(
        "In how many shares each batch is summed up, so that as many cores can work on it, if it is large enough for that to be faster. The order of sums, and so the last bits of the run, depend on it."
    ),
]
Compiled: TypeAlias = Annotated[
    bool,
    doc(
        "Train by compiled code, small dense networks of points only; it needs the package numba. Sums are taken in another order, so the last bits of the run depend on it."
    ),
]
BatchSize: TypeAlias = Annotated[
    int,
    Interval(ge=1, le=MAX_BATCH_SIZE),
    doc(
        "How many examples are averaged for one update. Small: noisy and quick. Large: smooth, and each update costs more."
    ),
]
L1: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=10),
    doc("L1 weight decay. Pulls every weight towards zero by the same amount, so that many become exactly small."),
]
L2: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=10),
    doc("L2 weight decay. Pulls every weight towards zero in proportion to its size, against overfitting."),
]
DecayMultiplier: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=1000),
    doc("How strongly the run's weight decay works on this layer. 0: not at all. 1: like on any other."),
]
WeightDecay: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=10),
    doc("Decay beside the gradient: each update takes this share, times the learning rate, off every weight."),
]
ClipNorm: TypeAlias = Annotated[
    float,
    Interval(gt=0, le=1_000_000),
    doc(
        "The longest gradient that is followed as it is; a longer one is shortened to this length. Against sudden jumps."
    ),
]
ClassWeight: TypeAlias = Annotated[
    float,
    Interval(ge=0, le=1_000_000),
    doc("How much the examples of this class count. 1: like any other. More: its mistakes cost more."),
]
HuberDelta: TypeAlias = Annotated[
    float,
    Interval(gt=0, le=1000),
    doc("Huber loss: how far off an output may be before its error counts in proportion and no longer squared."),
]
WarmUp: TypeAlias = Annotated[
    int,
    Interval(ge=0, le=10**6),
    doc("Updates at the beginning in which the learning rate grows to its full value. 0: none."),
]
FallEvery: TypeAlias = Annotated[
    int, Interval(ge=1, le=10**9), doc("Updates from one fall of the learning rate to the next.")
]
FallFactor: TypeAlias = Annotated[
    float, Interval(gt=0, le=1), doc("What is left of the learning rate after each fall.")
]
FallSteps: TypeAlias = Annotated[
    int, Interval(ge=1, le=10**9), doc("Updates from the full learning rate to the final one, after the warm-up.")
]
FinalShare: TypeAlias = Annotated[
    float, Interval(ge=0, le=1), doc("Share of the learning rate that is left at the end.")
]
Seed: TypeAlias = Annotated[
    int,
    Interval(ge=0, le=2**53 - 1),
    doc("The number from which all randomness of the run is drawn. The same seed gives the same run."),
]
MAX_NAME_CHARACTERS = 80
RunName: TypeAlias = Annotated[str, Len(1, MAX_NAME_CHARACTERS), doc("What you call this run.")]

InitialParameter: TypeAlias = Annotated[
    float, Interval(ge=-1e6, le=1e6), doc("A weight or a bias at update 0, before anything is learned.")
]

MAX_LAYERS = 32
MAX_PARAMETERS = 2_000_000
MAX_WRITTEN_PARAMETERS = 500
MAX_RUN_BYTES = 512 * 2**20
