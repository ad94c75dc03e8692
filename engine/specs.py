"""What a run is made of, as frozen dataclasses.

Each field's annotation is the one place where its legal range and its help text stand: the JSON schema of the API, the
form on the page and the engine itself read the same `Annotated` metadata (annotated-types; pydantic understands it).
A spec that passes its ranges may still be impossible (a kernel larger than its input); `engine.shapes` finds that out
before anything is allocated.

Shapes are written channels × height × width here, as everywhere in the engine; a page writes them 24×24×8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Interval, Len, doc

MAX_BATCH_SIZE = 1024

# ---- Ranges with their help text: what it is, too small, too large ---------------------------------------------------

Filters: TypeAlias = Annotated[int, Interval(ge=1, le=512), doc("Number of filters: how many different patterns the layer looks for.")]
KernelSize: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("Height and width of each filter in pixels.")]
Stride: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("How many pixels the window moves at a time. Larger strides give smaller maps.")]
Padding: TypeAlias = Annotated[int, Interval(ge=0, le=14), doc("Zeros added on each side, so that the edges are looked at too.")]
KernelLength: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("Width of each filter: how many neighbouring columns it looks at. It is as high as the map.")]
PoolLength: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("How many neighbouring values of a row make up the window of which the largest is kept.")]
PoolSize: TypeAlias = Annotated[int, Interval(ge=1, le=28), doc("Height and width of the window of which one value is kept.")]
Units: TypeAlias = Annotated[int, Interval(ge=1, le=2048), doc("Number of units, each connected to every input.")]
DropRate: TypeAlias = Annotated[float, Interval(ge=0, lt=1), doc("Share of the units switched off at random in each training step. 0 keeps all; above 0.8 little is left to learn with.")]
Slope: TypeAlias = Annotated[float, Interval(ge=0, le=1), doc("Slope for negative inputs. 0 is a plain ReLU.")]

GroupSize: TypeAlias = Annotated[int, Interval(ge=2, le=64), doc("How many neighbouring channels or units compete; the largest of them is kept.")]
Neighbours: TypeAlias = Annotated[int, Interval(ge=1, le=63), doc("How many neighbouring channels, itself included, each value is measured against. An odd number.")]
NormOffset: TypeAlias = Annotated[float, Interval(gt=0, le=1000), doc("k, what is added to the neighbours' squares. Large: little happens; it keeps a division from being by zero.")]
NormScale: TypeAlias = Annotated[float, Interval(ge=0, le=1000), doc("α, how strongly the neighbours' squares press a value down. 0: not at all.")]
NormPower: TypeAlias = Annotated[float, Interval(ge=0, le=10), doc("β, the power of what each value is divided by. 0: no division.")]

Memory: TypeAlias = Annotated[float, Interval(ge=0, lt=1), doc("How much of the running mean and variance is kept when a batch is added. Near 1: many batches count.")]
SmallVariance: TypeAlias = Annotated[float, Interval(gt=0, le=1), doc("Added to each variance, so that a map that never changes is not divided by zero.")]

LearningRate: TypeAlias = Annotated[float, Interval(gt=0, le=100), doc("How far one update moves the weights. Too small: slow. Too large: the loss jumps or grows.")]
Momentum: TypeAlias = Annotated[float, Interval(ge=0, lt=1), doc("How much of the last step is kept in the next one. 0: none. Near 1: fast, but it overshoots.")]
DecayRate: TypeAlias = Annotated[float, Interval(ge=0, lt=1), doc("How slowly a running average forgets. Near 1: a long memory.")]
Epsilon: TypeAlias = Annotated[float, Interval(gt=0, le=1), doc("A small number that keeps a division from being by zero.")]
Cores: TypeAlias = Annotated[int, Interval(ge=1, le=2), doc("In how many shares each batch is summed up, so that as many cores can work on it. The order of sums, and so the last bits of the run, depend on it.")]
BatchSize: TypeAlias = Annotated[int, Interval(ge=1, le=MAX_BATCH_SIZE), doc("How many examples are averaged for one update. Small: noisy and quick. Large: smooth, and each update costs more.")]
L1: TypeAlias = Annotated[float, Interval(ge=0, le=10), doc("L1 weight decay. Pulls every weight towards zero by the same amount, so that many become exactly small.")]
L2: TypeAlias = Annotated[float, Interval(ge=0, le=10), doc("L2 weight decay. Pulls every weight towards zero in proportion to its size, against overfitting.")]
DecayMultiplier: TypeAlias = Annotated[float, Interval(ge=0, le=1000), doc("How strongly the run's weight decay works on this layer. 0: not at all. 1: like on any other.")]
WeightDecay: TypeAlias = Annotated[float, Interval(ge=0, le=10), doc("Decay beside the gradient: each update takes this share, times the learning rate, off every weight.")]
ClipNorm: TypeAlias = Annotated[float, Interval(gt=0, le=1_000_000), doc("The longest gradient that is followed as it is; a longer one is shortened to this length. Against sudden jumps.")]
ClassWeight: TypeAlias = Annotated[float, Interval(ge=0, le=1_000_000), doc("How much the examples of this class count. 1: like any other. More: its mistakes cost more.")]
HuberDelta: TypeAlias = Annotated[float, Interval(gt=0, le=1000), doc("Huber loss: how far off an output may be before its error counts in proportion and no longer squared.")]
WarmUp: TypeAlias = Annotated[int, Interval(ge=0, le=10**6), doc("Updates at the beginning in which the learning rate grows to its full value. 0: none.")]
FallEvery: TypeAlias = Annotated[int, Interval(ge=1, le=10**9), doc("Updates from one fall of the learning rate to the next.")]
FallFactor: TypeAlias = Annotated[float, Interval(gt=0, le=1), doc("What is left of the learning rate after each fall.")]
FallSteps: TypeAlias = Annotated[int, Interval(ge=1, le=10**9), doc("Updates from the full learning rate to the final one, after the warm-up.")]
FinalShare: TypeAlias = Annotated[float, Interval(ge=0, le=1), doc("Share of the learning rate that is left at the end.")]
Seed: TypeAlias = Annotated[int, Interval(ge=0, le=2**53 - 1), doc("The number from which all randomness of the run is drawn. The same seed gives the same run.")]
MAX_NAME_CHARACTERS = 80
RunName: TypeAlias = Annotated[str, Len(1, MAX_NAME_CHARACTERS), doc("What you call this run.")]

MAX_LAYERS = 32
MAX_PARAMETERS = 2_000_000
MAX_RUN_BYTES = 512 * 2**20

# ---- Layers ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Every unit sees every input: `z = W a + b`."""

    units: Units = 10
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["dense"] = "dense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv2D:
    """A bank of filters slides over the image; output size `floor((in + 2·padding − kernel) / stride) + 1`."""

    filters: Filters = 8
    kernel_size: KernelSize = 5
    stride: Stride = 1
    padding: Padding = 0
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["conv2d"] = "conv2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conv1D:
    """Filters as high as the map slide along it: a sequence of columns; output width as for Convolution, height 1."""

    filters: Filters = 8
    kernel_size: KernelLength = 5
    stride: Stride = 1
    padding: Padding = 0
    l1_multiplier: DecayMultiplier = 1.0
    l2_multiplier: DecayMultiplier = 1.0
    type: Literal["conv1d"] = "conv1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool2D:
    """Keeps the largest value of each window; output size `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolSize = 2
    stride: Stride = 2
    type: Literal["max_pool2d"] = "max_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPool1D:
    """Keeps the largest of neighbouring values in each row; output width `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolLength = 2
    stride: Stride = 2
    type: Literal["max_pool1d"] = "max_pool1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePool2D:
    """Keeps the mean of each window; output size `floor((in − pool_size) / stride) + 1`."""

    pool_size: PoolSize = 2
    stride: Stride = 2
    type: Literal["avg_pool2d"] = "avg_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalAveragePool2D:
    """Keeps one number of each map: its mean."""

    type: Literal["global_avg_pool2d"] = "global_avg_pool2d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReLU:
    """`max(z, 0)`."""

    type: Literal["relu"] = "relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakyReLU:
    """`z` above zero, `slope·z` below."""

    slope: Slope = 0.01
    type: Literal["leaky_relu"] = "leaky_relu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tanh:
    """The hyperbolic tangent, between −1 and 1."""

    type: Literal["tanh"] = "tanh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid:
    """`1 / (1 + e^−z)`, between 0 and 1."""

    type: Literal["sigmoid"] = "sigmoid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Softplus:
    """`log(1 + e^z)`, a smooth ReLU."""

    type: Literal["softplus"] = "softplus"


@dataclass(frozen=True, slots=True, kw_only=True)
class GELU:
    """`z · Φ(z)`, Φ the bell curve's distribution in its usual approximation by tanh: a ReLU with a soft corner."""

    type: Literal["gelu"] = "gelu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maxout:
    """Of each `group_size` neighbouring channels or units the largest; their number must be a multiple of it."""

    group_size: GroupSize = 2
    type: Literal["maxout"] = "maxout"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalResponseNormalization:
    """`z / (k + α/n · Σ z²)^β`, the sum over the `n` nearest channels in the same place."""

    k: NormOffset = 2.0
    n: Neighbours = 5
    alpha: NormScale = 0.0001
    beta: NormPower = 0.75
    type: Literal["local_response_normalization"] = "local_response_normalization"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormalization:
    """Each map is brought to mean 0 and variance 1, by the batch while training and by running values after, then scaled and shifted as learned."""

    memory: Memory = 0.9
    epsilon: SmallVariance = 1e-5
    type: Literal["batch_normalization"] = "batch_normalization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """Switches units off at random while training and scales the others up (inverted dropout); idle when predicting."""

    rate: DropRate = 0.5
    type: Literal["dropout"] = "dropout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """Turns maps into one long column. Dense layers do this by themselves; written out it only says so."""

    type: Literal["flatten"] = "flatten"


LayerSpec: TypeAlias = (
    Dense
    | Conv2D
    | Conv1D
    | MaxPool2D
    | MaxPool1D
    | AveragePool2D
    | GlobalAveragePool2D
    | ReLU
    | LeakyReLU
    | Tanh
    | Sigmoid
    | Softplus
    | GELU
    | Maxout
    | LocalResponseNormalization
    | BatchNormalization
    | Dropout
    | Flatten
)
LAYER_SPECS: Mapping[str, type[LayerSpec]] = MappingProxyType(
    {
        "dense": Dense,
        "conv2d": Conv2D,
        "conv1d": Conv1D,
        "max_pool2d": MaxPool2D,
        "max_pool1d": MaxPool1D,
        "avg_pool2d": AveragePool2D,
        "global_avg_pool2d": GlobalAveragePool2D,
        "relu": ReLU,
        "leaky_relu": LeakyReLU,
        "tanh": Tanh,
        "sigmoid": Sigmoid,
        "softplus": Softplus,
        "gelu": GELU,
        "maxout": Maxout,
        "local_response_normalization": LocalResponseNormalization,
        "batch_normalization": BatchNormalization,
        "dropout": Dropout,
        "flatten": Flatten,
    }
)

# ---- Optimizers, in order of complexity --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SGD:
    """`w ← w − η g`."""

    learning_rate: LearningRate = 0.01
    name: Literal["sgd"] = "sgd"


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentumSGD:
    """`v ← μ v − η g`, `w ← w + v` (Polyak, 1964)."""

    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.9
    name: Literal["momentum"] = "momentum"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nesterov:
    """Momentum with the gradient taken one step ahead (Sutskever et al., 2013)."""

    learning_rate: LearningRate = 0.01
    momentum: Momentum = 0.9
    name: Literal["nesterov"] = "nesterov"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adagrad:
    """Divides each step by the root of the sum of all squared gradients (Duchi et al., 2011)."""

    learning_rate: LearningRate = 0.01
    epsilon: Epsilon = 1e-8
    name: Literal["adagrad"] = "adagrad"


@dataclass(frozen=True, slots=True, kw_only=True)
class RMSProp:
    """Adagrad with a memory that fades; convnetjs calls it windowgrad (Tieleman and Hinton, 2012)."""

    learning_rate: LearningRate = 0.001
    rho: DecayRate = 0.95
    epsilon: Epsilon = 1e-8
    name: Literal["rmsprop"] = "rmsprop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adadelta:
    """Steps sized by the ratio of past steps to past gradients (Zeiler, 2012); a learning rate of 1 is his."""

    learning_rate: LearningRate = 1.0
    rho: DecayRate = 0.95
    epsilon: Epsilon = 1e-6
    name: Literal["adadelta"] = "adadelta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adam:
    """Momentum and RMSProp together, with the bias of the first steps divided out (Kingma and Ba, 2015)."""

    learning_rate: LearningRate = 0.001
    beta1: DecayRate = 0.9
    beta2: DecayRate = 0.999
    epsilon: Epsilon = 1e-8
    name: Literal["adam"] = "adam"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamW:
    """Adam whose weight decay stays out of its averages (Loshchilov and Hutter, 2019)."""

    learning_rate: LearningRate = 0.001
    beta1: DecayRate = 0.9
    beta2: DecayRate = 0.999
    epsilon: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.01
    name: Literal["adamw"] = "adamw"


OptimizerSpec: TypeAlias = SGD | MomentumSGD | Nesterov | Adagrad | RMSProp | Adadelta | Adam | AdamW
OPTIMIZER_SPECS: Mapping[str, type[OptimizerSpec]] = MappingProxyType(
    {
        "sgd": SGD,
        "momentum": MomentumSGD,
        "nesterov": Nesterov,
        "adagrad": Adagrad,
        "rmsprop": RMSProp,
        "adadelta": Adadelta,
        "adam": Adam,
        "adamw": AdamW,
    }
)

# ---- Schedules: the learning rate over the updates; the formulas stand in engine.schedules -----------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """The learning rate stays what it is."""

    warm_up: WarmUp = 0
    name: Literal["constant"] = "constant"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDecay:
    """The learning rate falls at regular intervals, each time to the same share."""

    every: FallEvery = 2_000
    factor: FallFactor = 0.5
    warm_up: WarmUp = 0
    name: Literal["step"] = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosine:
    """The learning rate falls along half a wave of the cosine and stays at its end (Loshchilov and Hutter, 2017)."""

    steps: FallSteps = 10_000
    final: FinalShare = 0.0
    warm_up: WarmUp = 0
    name: Literal["cosine"] = "cosine"


ScheduleSpec: TypeAlias = Constant | StepDecay | Cosine
SCHEDULE_SPECS: Mapping[str, type[ScheduleSpec]] = MappingProxyType(
    {"constant": Constant, "step": StepDecay, "cosine": Cosine}
)

# ---- The rest of a run ---------------------------------------------------------------------------------------------------

LossName: TypeAlias = Literal["softmax_cross_entropy", "mean_squared_error", "hinge", "huber", "binary_cross_entropy"]
Split: TypeAlias = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MnistSpec:
    """MNIST: 60,000 digits for training, of which `validation_size` are kept for validation, and 10,000 for testing.

    While training each 28×28 image is cropped to `crop`×`crop` at a random place (all 29 − crop places in each
    direction are possible); an evaluation averages the probabilities of `test_crops` random crops, the page's quick
    look takes the centre. Pixels are ink in [0, 1].
    """

    train_size: Annotated[int, Interval(ge=1, le=60_000), doc("How many of the 60,000 training images are used at all.")] = 60_000
    validation_size: Annotated[int, Interval(ge=0, le=30_000), doc("How many of them are kept aside for validation.")] = 6_000
    crop: Annotated[int, Interval(ge=8, le=28), doc("Side of the random crop that the network sees. 28 is the whole image.")] = 24
    test_crops: Annotated[int, Interval(ge=1, le=16), doc("How many random crops are averaged when the test set is evaluated.")] = 4
    name: Literal["mnist"] = "mnist"


DatasetSpec: TypeAlias = MnistSpec
DATASET_SPECS: Mapping[str, type[DatasetSpec]] = MappingProxyType({"mnist": MnistSpec})


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSpec:
    """When a run stops by itself; whichever comes first. `None`: not for this reason."""

    epochs: Annotated[float, Interval(gt=0, le=100_000), doc("Stop after this many passes over the training examples.")] | None = None
    steps: Annotated[int, Interval(ge=1, le=10**9), doc("Stop after this many updates.")] | None = None
    seconds: Annotated[float, Interval(gt=0, le=10**7), doc("Stop after this much training time.")] | None = None
    accuracy: Annotated[float, Interval(gt=0, le=1), doc("Stop when the validation accuracy reaches this share.")] | None = None
    patience: Annotated[int, Interval(ge=1, le=10**6), doc("Stop when the validation loss has not improved for this many measurements.")] | None = None


def demo_network() -> tuple[LayerSpec, ...]:
    """The network of convnetjs's MNIST page: 5,994 parameters."""
    return (
        Conv2D(filters=8, kernel_size=5, stride=1, padding=2),
        ReLU(),
        MaxPool2D(pool_size=2, stride=2),
        Conv2D(filters=16, kernel_size=5, stride=1, padding=2),
        ReLU(),
        MaxPool2D(pool_size=3, stride=3),
        Dense(units=10),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """Everything that determines a run: the same spec and seed give the same run, bit for bit, on one machine."""

    name: RunName = "digits"
    dataset: DatasetSpec = field(default_factory=MnistSpec)
    network: Annotated[tuple[LayerSpec, ...], Len(1, MAX_LAYERS)] = field(default_factory=demo_network)
    loss: LossName = "softmax_cross_entropy"
    huber_delta: HuberDelta = 1.0
    class_weights: Annotated[tuple[ClassWeight, ...], Len(1, 1000), doc("How much each class counts in the loss, in order; none: all the same.")] | None = None
    optimizer: OptimizerSpec = field(default_factory=Adadelta)
    schedule: ScheduleSpec = field(default_factory=Constant)
    clip_norm: ClipNorm | None = None
    batch_size: BatchSize = 20
    cores: Cores = 1
    l1: L1 = 0.0
    l2: L2 = 0.00005
    """convnetjs's page says 0.001 and divides it by its batch size of 20; here it is not divided by anything."""
    seed: Seed = 1
    stop: StopSpec = field(default_factory=StopSpec)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as the API and the file formats write them."""
        values = asdict(self)
        values["network"] = [tagged(layer) for layer in self.network]
        values["optimizer"] = tagged(self.optimizer)
        values["schedule"] = tagged(self.schedule)
        values["class_weights"] = None if self.class_weights is None else list(self.class_weights)
        values["dataset"] = tagged(self.dataset)
        return values


def tagged(spec: Any) -> dict[str, Any]:
    """A spec as a dict with its tag (`type` or `name`) first, as a person would write it."""
    values = asdict(spec)
    tag = "type" if "type" in values else "name"
    return {tag: values.pop(tag), **values}
