"""A network described in convnetjs's way is read as data; nothing in the text is ever executed."""

from __future__ import annotations

import random

import pytest

from engine.errors import FormatError
from engine.formats.layer_defs import read_layer_defs
from engine.specs import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Conv2D,
    Dense,
    Dropout,
    LocalResponseNormalization,
    Maxout,
    MaxPool2D,
    MomentumSGD,
    Nesterov,
    OptimizerSpec,
    ReLU,
    RMSProp,
    RunSpec,
    Tanh,
)

PAGE = """
// the text of convnetjs's MNIST page
layer_defs = [];
layer_defs.push({type:'input', out_sx:24, out_sy:24, out_depth:1});
layer_defs.push({type:'conv', sx:5, filters:8, stride:1, pad:2, activation:'relu'});
layer_defs.push({type:'pool', sx:2, stride:2});
layer_defs.push({type:'conv', sx:5, filters:16, stride:1, pad:2, activation:'relu'});
layer_defs.push({type:'pool', sx:3, stride:3});
layer_defs.push({type:'softmax', num_classes:10});

net = new convnetjs.Net();
net.makeLayers(layer_defs);

trainer = new convnetjs.SGDTrainer(net, {method:'adadelta', batch_size:20, l2_decay:0.001});
"""
START = "layer_defs = [{type:'input', sx:24, sy:24, depth:1}"


def test_the_page_of_convnetjs_is_the_default_run() -> None:
    assert read_layer_defs(PAGE, "digits") == RunSpec()


def test_everything_that_may_be_written() -> None:
    text = """
    /* a comment
       of two lines */
    var layer_defs = [{"type": "input", 'width': 10, height: 10, depth: 1,}, ];
    let net = new convnetjs.Net()
    layer_defs.push({type: 'fc', num_neurons: 20, activation: "tanh", drop_prob: .25, bias_pref: -0.1e0})
    layer_defs.push({type: 'fc', filters: 5}); layer_defs.push({type: 'relu'});;
    layer_defs.push({type: 'dropout'});
    layer_defs.push({type: 'regression', num_neurons: 10});
    const trainer = new convnetjs.Trainer(net);
    """
    spec = read_layer_defs(text)
    assert spec.network == (Dense(units=20), Tanh(), Dropout(rate=0.25), Dense(units=5), ReLU(), Dropout(), Dense(units=10))
    assert spec.loss == "mean_squared_error"
    assert spec.dataset.crop == 10
    assert spec.optimizer == MomentumSGD(learning_rate=0.01, momentum=0.9)
    assert (spec.batch_size, spec.l1, spec.l2) == (1, 0, 0)


def test_sizes_have_the_defaults_of_convnetjs() -> None:
    spec = read_layer_defs(START + ", {type:'conv', sx:3, filters:2}, {type:'pool', sx:2}, {type:'softmax', num_classes:10}]")
    assert spec.network[:2] == (Conv2D(filters=2, kernel_size=3, stride=1, padding=0), MaxPool2D(pool_size=2, stride=2))
    assert spec.optimizer == Adadelta()


@pytest.mark.parametrize(
    ("options", "optimizer"),
    [
        ("momentum: 0", SGD(learning_rate=0.01)),
        ("method: 'sgd', learning_rate: 0.5, momentum: 0.2", MomentumSGD(learning_rate=0.5, momentum=0.2)),
        ("method: 'nesterov'", Nesterov(learning_rate=0.01, momentum=0.9)),
        ("method: 'adagrad', eps: 1e-6", Adagrad(learning_rate=0.01, epsilon=1e-6)),
        ("method: 'windowgrad', ro: 0.9", RMSProp(learning_rate=0.01, rho=0.9)),
        ("method: 'adadelta', learning_rate: 0.3, ro: 0.9, eps: 1e-8", Adadelta(learning_rate=1, rho=0.9, epsilon=1e-8)),
        ("method: 'adam', beta1: 0.8, beta2: 0.99, learning_rate: 1e-3", Adam(learning_rate=0.001, beta1=0.8, beta2=0.99)),
    ],
)
def test_every_method(options: str, optimizer: OptimizerSpec) -> None:
    text = f"{START}, {{type:'softmax', num_classes:10}}]; trainer = new convnetjs.SGDTrainer(net, {{{options}}});"
    assert read_layer_defs(text).optimizer == optimizer


def test_weight_decay_is_divided_by_the_batch_size_as_convnetjs_does() -> None:
    options = "batch_size: 4, l1_decay: 0.2, l2_decay: 0.1"
    spec = read_layer_defs(f"{START}, {{type:'softmax', num_classes:10}}]; trainer = new convnetjs.SGDTrainer(net, {{{options}}})")
    assert (spec.batch_size, spec.l1, spec.l2) == (4, 0.05, 0.025)


def test_maxout_response_normalization_and_support_vectors() -> None:
    text = START + """, {type:'conv', sx:3, filters:8, activation:'maxout', group_size:4, l2_decay_mul:0.5},
        {type:'lrn', k:1, n:4, alpha:0.5, beta:0.75}, {type:'fc', num_neurons:8, activation:'maxout', drop_prob:0.5},
        {type:'maxout'}, {type:'svm', num_classes:10}]"""
    spec = read_layer_defs(text)
    assert spec.loss == "hinge"
    assert spec.network == (
        Conv2D(filters=8, kernel_size=3, l2_multiplier=0.5), Maxout(group_size=4),
        LocalResponseNormalization(k=1.0, n=5, alpha=0.625, beta=0.75), Dense(units=8), Maxout(), Dropout(), Maxout(group_size=2),
        Dense(units=10),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first layer|last layer"),
        ("alert(1)", "Line 1, at “alert”: only layer_defs, net and trainer"),
        ("layer_defs = [];\nfetch('/x')", "Line 2, at “fetch”"),
        ("layer_defs = eval('[]')", "belongs here"),
        ("layer_defs = [eval('x')]", "nothing is calculated or called"),
        ("layer_defs = [{type: `input`}]", "has no meaning"),
        ("layer_defs = [{type: 'in\\x70ut'}]", "has no meaning"),
        ("layer_defs = [{sx: 12*2}]", "has no meaning"),
        ("layer_defs = [{sx: 12+2}]", "a comma or }"),
        ("layer_defs = [{sx: 0x18}]", "has no meaning|belongs here"),
        ("layer_defs = [{sx: - }]", "a number belongs here"),
        ("layer_defs = [{sx: --1}]", "a number belongs here"),
        ("layer_defs = [{[sx]: 1}]", "the name of an option"),
        ("layer_defs = [{sx: 1", "a comma or }"),
        ("layer_defs = [1 2]", "a comma or ]"),
        ("layer_defs = [", "only plain numbers"),
        ("layer_defs = " + "[" * 100_000, "too long"),
        ("layer_defs = " + "[" * 90_000, "nested too deeply"),
        ("layer_defs = [{sx: " + "9" * 90_000 + "}]", "has no known type|is not known"),
        ("layer_defs.push(layer_defs)", "only plain"),
        ("layer_defs['push']({})", "belongs here"),
        ("layer_defs.push.call({})", "only layer_defs"),
        ("net = new convnetjs.Net(alert)", ") belongs here"),
        ("net = 1", "new belongs here"),
        ("net.makeLayers([])", "layer_defs belongs here"),
        ("trainer = new Function('x')", "must be a convnetjs.SGDTrainer"),
        ("trainer = new convnetjs.SGDTrainer({})", "net belongs here"),
        ("layer_defs = [1]", "must be an object"),
        ("layer_defs = [{}]", "is not known"),
        ("layer_defs = [{type: '__proto__'}]", "is not known"),
        ("layer_defs = [{type: ['input']}]", "is not known"),
        ("layer_defs = [{type:'relu'}]", "must be the input"),
        ("layer_defs = [{type:'input', sx:32, sy:32, depth:3}]", "32×32×3 does not fit"),
        ("layer_defs = [{type:'input', sx:24, sy:24}]", "out_depth must be a whole number"),
        (START + "]", "last layer must be"),
        (START + ", {type:'svm', num_neurons:10}]", "no option “num_neurons”"),
        (START + ", {type:'svm', num_classes:9}]", "10 classes"),
        (START + ", {type:'fc', num_neurons:10, activation:'gelu'}]", "“gelu” is not known"),
        (START + ", {type:'fc', num_neurons:9, activation:'maxout'}, {type:'softmax', num_classes:10}]", "groups of 2"),
        (START + ", {type:'lrn', k:1, n:5, alpha:0.1}]", "beta must be a number"),
        (START + ", {type:'lrn', k:0, n:5, alpha:0.1, beta:1}, {type:'softmax', num_classes:10}]", "above 0"),
        (START + ", {type:'fc', num_neurons:5, l2_decay_mul:-1}]", "l2_decay_mul must be a number"),
        (START + ", {type:'fc', num_neurons:true}]", "must be a whole number"),
        (START + ", {type:'fc', num_neurons:1e1}]", "must be a whole number"),
        (START + ", {type:'fc', num_neurons:5, tensor:true}]", "no option “tensor”"),
        (START + ", {type:'fc', num_neurons:5, drop_prob:1.5}]", "drop_prob must be a number"),
        (START + ", {type:'pool', sx:2, pad:1}]", "pooling with padding"),
        (START + ", {type:'conv', sx:3, sy:4, filters:1}]", "only square windows"),
        (START + ", {type:'conv', sx:27, filters:1}, {type:'softmax', num_classes:10}]", "does not fit"),
        (START + ", {type:'fc', num_neurons:999999999999}, {type:'softmax', num_classes:10}]", "2,048"),
        (START + ", {type:'softmax', num_classes:7}]", "10 classes"),
        (START + ", {type:'softmax', num_classes:10}, {type:'relu'}]", "no layer may follow"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {method:'lbfgs'})", "not known"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {learning_rate:'1'})", "a number"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {l2_decay:-1})", "not negative"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {batch_size:0})", "at least 1"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {batch_size:2.5})", "whole"),
        (START + ", {type:'softmax', num_classes:10}]; trainer = new convnetjs.Trainer(net, {rate:1})", "no option “rate”"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read_layer_defs(text)
    assert any(part in str(caught.value) for part in message.split("|")), str(caught.value)


def test_a_changed_text_is_refused_or_a_legal_run() -> None:
    rng = random.Random(4)
    characters = PAGE + "\"\\`\0é∞"
    for _ in range(2_000):
        text = list(PAGE)
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(text))
            text[place : place + rng.randrange(3)] = rng.choice(characters)
        try:
            spec = read_layer_defs("".join(text))
        except FormatError:
            continue
        assert isinstance(spec, RunSpec)
