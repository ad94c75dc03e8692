"""An experiment as an address: everything there and back, and a sentence for whatever cannot be read."""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.routes.experiment import (
    BASES,
    CONTROLS,
    KINDS,
    Experiment,
    ExperimentError,
    View,
    experiment_of,
    output_layers,
    page_of,
    read,
    write,
)
from app.routes.experiment_texts import (
    ACTIVATIONS,
    MOST_HIDDEN,
    flat,
    hidden_of,
    hidden_text,
    packed,
    playground,
    unpacked,
)
from app.routes.forms import FieldError
from engine.errors import SpecError
from engine.presets import PRESETS
from engine.shapes import check_run
from engine.specs import (
    OPTIMIZER_SPECS,
    SCHEDULE_SPECS,
    Conv2D,
    Dense,
    Dropout,
    LeakyReLU,
    ReLU,
    RunSpec,
    TableSpec,
    Tanh,
)
from engine.specs.datasets import FEATURE_LABELS

properties = settings(max_examples=60, deadline=None, derandomize=True)


def texts(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def values_of(rows: list[list[float]]) -> str:
    return base64.b64encode(array("f", [number for row in rows for number in row]).tobytes()).decode()


OWN = TableSpec(class_names=("A", "B", "C"), values=values_of([[1, 2, 0], [-1.5, 0.25, 2], [3, 3, 1]]))


# ---- There and back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", KINDS)
def test_an_address_that_says_nothing_is_the_base_and_the_base_is_short(page: Any) -> None:
    experiment = read({}, page)
    assert experiment == Experiment(page=page, spec=BASES[page])
    address = write(experiment)
    assert len(address) < 120
    assert texts(address).keys() == {"data", "dataseed", "network", "optimizer", "lr", "batch", "seed"}
    check_run(experiment.spec)


numbers = st.floats(0.0001, 0.5).map(lambda number: f"{number:.6f}")
addresses = st.fixed_dictionaries(
    {
        "data": st.sampled_from(KINDS["plane"][:-1]),
        "noise": numbers,
        "points": st.integers(4, 5000).map(str),
        "classes": st.integers(2, 6).map(str),
        "train": numbers.filter(lambda text: float(text) >= 0.1),
        "dataseed": st.integers(0, 2**53 - 1).map(str),
        "features": st.lists(st.sampled_from(list(FEATURE_LABELS)), min_size=1).map(",".join),
        "network": st.lists(
            st.tuples(st.integers(1, 20), st.sampled_from(list(ACTIVATIONS)), st.sampled_from(["", ".d0.25"])).map(
                lambda part: f"{part[0]}.{part[1]}{part[2]}"
            ),
            max_size=MOST_HIDDEN,
        ).map(",".join),
        "init": st.sampled_from(["automatic", "he_normal", "glorot_uniform", "playground", "zeros"]),
        "loss": st.sampled_from(
            ["softmax_cross_entropy", "half_squared_error", "mean_squared_error", "huber", "absolute_error"]
        ),
        "optimizer": st.sampled_from(list(OPTIMIZER_SPECS)),
        "schedule": st.sampled_from(list(SCHEDULE_SPECS)),
        "batch": st.integers(1, 1024).map(str),
        "name": st.text("abc &=%+é", min_size=1).map(lambda text: f"x{text}".strip()),
        "lock": st.lists(st.sampled_from(CONTROLS)).map(",".join),
    },
    optional={
        "lr": numbers,
        "momentum": numbers,
        "beta1": numbers,
        "every": st.integers(1, 10**9).map(str),
        "steps": st.integers(1, 10**9).map(str),
        "warm_up": st.integers(0, 10**6).map(str),
        "huber_delta": numbers,
        "l1": numbers,
        "clip": numbers,
        "stop_epochs": numbers,
        "stop_steps": st.integers(1, 10**9).map(str),
        "stop_accuracy": st.sampled_from(["50", "99", "99.5", "100"]),
        "stop_loss": numbers,
        "stop_patience": st.integers(1, 1000).map(str),
        "speed": st.sampled_from(["1", "0.5", "1000"]),
        "regions": st.sampled_from(["soft", "hard", "lines"]),
        "show": st.sampled_from(["", "test", "test,mistakes"]),
        "resolution": st.integers(20, 200).map(str),
        "hidden": st.sampled_from(["", "2.0.1", "0.components"]),
        "neuron": st.sampled_from(["", "2.1"]),
        "play": st.sampled_from(["0", "1"]),
    },
)


@properties
@given(addresses)
def test_every_experiment_comes_back_from_its_address(given_texts: dict[str, str]) -> None:
    experiment = read(given_texts)
    check_run(experiment.spec)
    assert read(texts(write(experiment))) == experiment
    assert experiment_of(experiment.spec, experiment.view) == experiment


@pytest.mark.parametrize("page", KINDS)
def test_painted_points_travel_in_the_address(page: Any) -> None:
    one = TableSpec(columns=("x",), class_names=(), target="y", values=values_of([[0, 1], [1, -1]]))
    table = replace(OWN if page == "plane" else one, seed=7, train_share=0.25, features=("x", "y"))
    spec = replace(BASES[page], dataset=table)
    experiment = Experiment(page=page, spec=replace(spec, network=(Dense(units=4), ReLU(), *output_layers(spec))))
    assert read(texts(write(experiment)), page) == experiment
    assert "own=" in write(experiment)


def test_the_largest_table_fits_into_the_word_and_into_a_form() -> None:
    columns = tuple(f"c{n}" for n in range(9))
    rows = [[float(n * 9 + c) / 7 for c in range(9)] + [n % 2] for n in range(5000)]
    table = TableSpec(columns=columns, values=values_of(rows))
    assert unpacked(packed(table)) == table
    spec = replace(BASES["plane"], dataset=table)
    query, _, behind = write(Experiment(page="plane", spec=spec)).partition("#")
    assert len(query) < 200
    assert read(texts(f"{query}&{behind}")).spec == spec


def test_all_presets_of_points_can_be_told() -> None:
    for name, preset in PRESETS.items():
        page = page_of(preset.spec.dataset)
        if page is not None:
            experiment = read({"preset": name}, page)
            assert experiment.spec == preset.spec
            assert read(texts(write(experiment)), page).spec == preset.spec, name


def test_what_has_no_words_on_these_pages_is_none() -> None:
    assert experiment_of(RunSpec()) is None
    base = BASES["plane"]
    assert experiment_of(replace(base, network=(Dense(units=4), LeakyReLU(slope=0.3), Dense(units=2)))) is None
    assert experiment_of(replace(base, network=(Dense(units=40), Tanh(), Dense(units=2)))) is None
    assert experiment_of(replace(base, class_weights=(1.0, 2.0))) is None
    assert experiment_of(replace(base, parameters=(0.5,) * 28)) is None


# ---- What a change of one thing means for the others ------------------------------------------------------------------------


def test_the_network_ends_as_the_points_and_the_loss_need() -> None:
    assert read({}).spec.network[-1] == Dense(units=2)
    assert read({"data": "spiral", "classes": "4"}).spec.network[-1] == Dense(units=4)
    assert read({"loss": "half_squared_error"}).spec.network[-2:] == (Dense(units=1), Tanh())
    assert read({"data": "circle", "classes": "3", "loss": "half_squared_error"}).spec.network[-2:] == (
        Dense(units=3),
        Tanh(),
    )
    assert read({"data": "bumps"}).spec.network[-1] == Dense(units=1)


def test_a_loss_that_does_not_fit_gives_way_to_the_usual_one() -> None:
    assert read({"data": "plane"}).spec.loss == "mean_squared_error"
    assert read({"data": "plane", "loss": "huber"}).spec.loss == "huber"
    assert read({"data": "xor", "loss": "huber"}).spec.loss == "softmax_cross_entropy"


def test_another_optimizer_has_its_own_usual_numbers() -> None:
    assert read({"optimizer": "adadelta"}).spec.optimizer.learning_rate == 1.0
    assert read({}).spec.optimizer.learning_rate == 0.03


# ---- Refusals -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("lr", "quick", "A number is needed here, more than 0 and at most 100."),
        ("lr", "1e400", "A number is needed"),
        ("batch", "1.5", "A whole number is needed here"),
        ("noise", "7", "At most 1."),
        ("points", "3", "At least 4."),
        ("train", "0.01", "At least 0.1."),
        ("features", "z", "Some of these are needed, with commas: x, y,"),
        ("features", "", "The network needs at least one input."),
        ("network", "0.tanh", "Layer 1 needs 1 to 20 neurons."),
        ("network", "4.tanh,21.tanh", "Layer 2 needs 1 to 20 neurons."),
        ("network", "4.swish", "The activation of layer 1 is one of: tanh, relu"),
        ("network", "4.tanh.d1", "Dropout after layer 1: less than 1."),
        ("network", "٣.tanh", "Layer 1 needs"),
        ("network", ",".join(["2.tanh"] * 9), "There may be at most 8 hidden layers."),
        ("data", "moon", "One of these is needed: circle, xor"),
        ("data", "own", "There are no points of your own yet"),
        ("optimizer", "", "One of these is needed: sgd"),
        ("speed", "0", "More than 0."),
        ("resolution", "500", "At most 200."),
        ("hidden", "<script>", "Numbers with points between them"),
        ("preset", "digits", "There is no such preset"),
        ("name", "", "A name needs at least one character"),
        ("stop_accuracy", "101", "At most 100."),
    ],
)
def test_what_cannot_be_read_has_a_sentence_at_its_name(name: str, text: str, words: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        read({name: text})
    assert list(refused.value.errors) == [name]
    assert refused.value.errors[name].startswith(words)


def test_every_wrong_name_is_told() -> None:
    with pytest.raises(ExperimentError) as refused:
        read({"lr": "x", "batch": "y", "network": "z"})
    assert refused.value.errors.keys() == {"lr", "batch", "network"}


BOMB = base64.urlsafe_b64encode(zlib.compress(b" " * 50_000_000)).decode().rstrip("=")


def word(content: Any) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(content).encode())).decode()


@pytest.mark.parametrize(
    "own",
    [
        "",
        "%%%",
        "AAAA",
        packed(OWN)[:-8],
        word([1]),
        word({"seed": 1}),
        word({"values": "AAAA"}),
        word({"values": values_of([[1, 2, 9]])}),
        word({"values": values_of([[float("nan"), 2, 0]])}),
        word({"values": 7}),
        word({"columns": ["x"] * 21}),
        word({}),
        BOMB,
    ],
)
def test_damaged_points_are_refused_in_words(own: str) -> None:
    with pytest.raises(ExperimentError) as refused:
        read({"data": "own", "own": own})
    assert refused.value.errors["data"].endswith(".")


def test_points_that_do_not_fit_the_page_are_refused() -> None:
    one = TableSpec(columns=("x",), class_names=(), values=values_of([[1, 2]]))
    for table, page, words in (
        (OWN, "curve", "more than one column"),
        (one, "plane", "have one column"),
        (replace(one, class_names=("A", "B", "C")), "curve", "these points have classes"),
    ):
        with pytest.raises(ExperimentError) as refused:
            read({"data": "own", "own": packed(table)}, page)  # type: ignore[arg-type]
        assert words in refused.value.errors["data"]


def test_nonsense_beside_the_experiment_is_let_be() -> None:
    assert read({"utm_source": "x", "beta1": "0.5", "rho": "abc", "theme": "dark"}).spec.optimizer.beta1 == 0.5  # type: ignore[union-attr]


# ---- Hidden layers -----------------------------------------------------------------------------------------------------------------


def test_hidden_layers_are_words() -> None:
    layers = (Dense(units=8), Tanh(), Dropout(rate=0.2), Dense(units=3), Dense(units=4), LeakyReLU())
    assert hidden_text(layers) == "8.tanh.d0.2,3.linear,4.leaky_relu"
    assert hidden_of("8.tanh.d0.2,3.linear,4.leaky_relu") == layers
    assert hidden_of("") == ()
    assert hidden_text((Conv2D(),)) is None
    assert hidden_text((Tanh(),)) is None
    assert hidden_text((Dense(units=2), Dropout(rate=0.1), Dropout(rate=0.1))) is None
    with pytest.raises(FieldError):
        hidden_of("4")


# ---- Forms -------------------------------------------------------------------------------------------------------------------------


def test_a_form_is_an_address() -> None:
    pairs = [
        ("features", ""), ("features", "x"), ("features", "sin_y"), ("show", ""), ("layers", "2"), ("units-0", "5"),
        ("activation-0", "relu"), ("dropout-0", "0.3"), ("units-1", "2"), ("activation-1", "tanh"), ("dropout-1", "0"),
        ("axis_x", "1"), ("axis_y", "0"), ("lr", "0.1"),
    ]  # fmt: skip
    found = flat(pairs)
    assert found == {
        "features": ",x,sin_y",
        "show": "",
        "network": "5.relu.d0.3,2.tanh",
        "axes": "1.0",
        "lr": "0.1",
    }
    experiment = read(found)
    assert experiment.spec.dataset.features == ("x", "sin_y")  # type: ignore[union-attr]
    assert experiment.view == View(show=(), axes="1.0")


def painted(values: str, **others: str) -> TableSpec:
    dataset = read(
        flat([("data", "own"), ("own_values", values), *((f"own_{k}", v) for k, v in others.items())])
    ).spec.dataset
    assert isinstance(dataset, TableSpec)
    return dataset


def test_painted_points_are_read_from_the_form() -> None:
    values = values_of([[1, 2, 0], [3, 4, 1]])
    assert painted(values) == TableSpec(values=values)
    named = painted(values, columns='["a","b"]', class_names='["yes","no"]', target="kind", standardize="1")
    assert named == TableSpec(
        columns=("a", "b"), class_names=("yes", "no"), target="kind", standardize=True, values=values
    )


def test_a_class_that_was_only_just_painted_gets_a_letter() -> None:
    assert painted(values_of([[1, 2, 3]])).class_names == ("A", "B", "C", "D")
    assert painted(values_of([[1, 2, 2]]), class_names='["B","x"]').class_names == ("B", "x", "A")


@pytest.mark.parametrize(
    "fields",
    [
        {"values": "?"},
        {"values": values_of([[1, 2]])},
        {"values": values_of([[1, 2, 7]])},
        {"values": values_of([[1, 2, -1]])},
        {"values": values_of([[float("inf"), 2, 1]])},
        {"values": values_of([[1, 2, float("nan")]])},
        {"values": values_of([[1, 2, 1]]), "columns": "[1,2]"},
        {"values": values_of([[1, 2, 1]]), "class_names": "{"},
        {"values": values_of([[1, 2, 1]]), "columns": "[" * 2000},
    ],
)
def test_painted_points_that_are_none_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(SpecError):
        flat([("data", "own"), *((f"own_{name}", text) for name, text in fields.items())])


# ---- TensorFlow Playground ------------------------------------------------------------------------------------------------------------

PLAYGROUND = (
    "activation=relu&regularization=L2&batchSize=7&dataset=gauss&regDataset=reg-gauss&learningRate=0.1"
    "&regularizationRate=0.003&noise=15&networkShape=5,3&seed=0.50462&showTestData=true&discretize=true&percTrainData=70"
    "&x=true&y=false&xTimesY=true&xSquared=false&ySquared=false&cosX=false&sinX=true&cosY=false&sinY=false"
    "&collectStats=false&problem=classification&initZero=true&hideText=true&noise_hide=true&playButton_hide=true"
)


def test_playgrounds_own_address_is_understood() -> None:
    experiment = read(playground(texts(PLAYGROUND)))
    spec, view = experiment.spec, experiment.view
    dataset: Any = spec.dataset
    assert (dataset.kind, dataset.noise, dataset.train_share, dataset.points) == ("gaussians", 0.15, 0.7, 500)
    assert dataset.features == ("x", "xy", "sin_x")
    assert spec.network == (Dense(units=5), ReLU(), Dense(units=3), ReLU(), Dense(units=1), Tanh())
    assert (spec.loss, spec.initializer, spec.batch_size, spec.l2, spec.l1) == (
        "half_squared_error",
        "zeros",
        7,
        0.003,
        0,
    )
    assert (spec.optimizer.name, spec.optimizer.learning_rate) == ("sgd", 0.1)
    assert spec.seed == dataset.seed == 50462
    assert view == View(regions="hard", show=("test", "mistakes"), hide=("noise", "play", "text"), play=False)
    assert read(texts(write(experiment))) == experiment


def test_playground_without_parameters_is_its_default() -> None:
    spec = read(playground({})).spec
    dataset: Any = spec.dataset
    assert (dataset.kind, dataset.features, dataset.train_share) == ("circle", ("x", "y"), 0.5)
    assert spec.network == (Dense(units=4), Tanh(), Dense(units=2), Tanh(), Dense(units=1), Tanh())
    assert (spec.optimizer.learning_rate, spec.batch_size, spec.initializer) == (0.03, 10, "playground")


def test_playgrounds_regression() -> None:
    spec = read(playground({"problem": "regression", "regDataset": "reg-gauss", "noise": "80"})).spec
    dataset: Any = spec.dataset
    assert (dataset.kind, dataset.points, dataset.noise, spec.loss) == ("bumps", 1200, 0.8, "half_squared_error")


@properties
@given(st.dictionaries(st.sampled_from(sorted(texts(PLAYGROUND))), st.text(max_size=12)))
def test_any_playground_address_is_an_experiment_or_told_at_a_name(query: dict[str, str]) -> None:
    with suppress(ExperimentError):
        check_run(read(playground(query)).spec)
