// Asks convnetjs itself: `node convnetjs.js make` prints networks made and slightly trained by it, with its predictions;
// `node convnetjs.js predict` reads {"snapshot", "inputs"} and prints what convnetjs predicts with a snapshot of ours.
// The npm package convnetjs 0.3.0 must be where node finds it (NODE_PATH).
const convnetjs = require('convnetjs/build/convnet.js');

const print = console.log;
console.log = console.error; // where convnetjs warns

// convnetjs draws from Math.random; the golden files should be the same each time they are made.
let state = 1;
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;

function vol(bytes, side) {
  const input = new convnetjs.Vol(side, side, 1, 0);
  bytes.forEach((byte, index) => { input.w[index] = byte / 255; });
  return input;
}

const predict = (net, inputs, side) => inputs.map((bytes) => Array.from(net.forward(vol(bytes, side)).w));

const networks = {
  digits: [
    {type: 'input', out_sx: 24, out_sy: 24, out_depth: 1},
    {type: 'conv', sx: 5, filters: 8, stride: 1, pad: 2, activation: 'relu'},
    {type: 'pool', sx: 2, stride: 2},
    {type: 'conv', sx: 5, filters: 16, stride: 1, pad: 2, activation: 'relu'},
    {type: 'pool', sx: 3, stride: 3},
    {type: 'softmax', num_classes: 10},
  ],
  layers: [
    {type: 'input', out_sx: 13, out_sy: 13, out_depth: 1},
    {type: 'conv', sx: 3, filters: 4, stride: 2, pad: 1, activation: 'sigmoid', drop_prob: 0.3},
    {type: 'conv', sx: 2, filters: 3, activation: 'relu', drop_prob: 0.8},
    {type: 'pool', sx: 2, stride: 1},
    {type: 'fc', num_neurons: 7, activation: 'tanh'},
    {type: 'dropout', drop_prob: 0.25},
    {type: 'fc', num_neurons: 6, activation: 'relu'},
    {type: 'softmax', num_classes: 10},
  ],
  regression: [
    {type: 'input', out_sx: 9, out_sy: 9, out_depth: 1},
    {type: 'fc', num_neurons: 8, activation: 'tanh'},
    {type: 'regression', num_neurons: 10},
  ],
  svm: [
    {type: 'input', out_sx: 12, out_sy: 12, out_depth: 1},
    {type: 'conv', sx: 3, filters: 6, stride: 1, pad: 1, l2_decay_mul: 0.5, activation: 'maxout'},
    {type: 'lrn', k: 1, n: 3, alpha: 0.5, beta: 0.75},
    {type: 'pool', sx: 2, stride: 2},
    {type: 'conv', sx: 3, filters: 4, activation: 'relu', drop_prob: 0.3},
    {type: 'maxout', group_size: 2},
    {type: 'fc', num_neurons: 12, activation: 'maxout', group_size: 3},
    {type: 'lrn', k: 2, n: 2, alpha: 3, beta: 0.5},
    {type: 'svm', num_classes: 10},
  ],
};

function make(definitions) {
  const side = definitions[0].out_sx;
  const last = definitions[definitions.length - 1].type;
  const inputs = Array.from({length: 3}, () => Array.from({length: side * side}, () => Math.floor(Math.random() * 256)));
  const net = new convnetjs.Net();
  net.makeLayers(definitions);
  const trainer = new convnetjs.SGDTrainer(net, {method: 'sgd', learning_rate: 0.1, momentum: 0.5, batch_size: 3});
  for (let step = 0; step < 9; step++) {
    const target = last === 'regression' ? Array.from({length: 10}, (_, k) => Number(k === step)) : step;
    trainer.train(vol(inputs[step % 3], side), target);
  }
  return {snapshot: net.toJSON(), inputs, outputs: predict(net, inputs, side)};
}

if (process.argv[2] === 'make') {
  const made = Object.entries(networks).map(([name, definitions]) => [name, make(definitions)]);
  print(JSON.stringify(Object.fromEntries(made)));
} else {
  const {snapshot, inputs} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const net = new convnetjs.Net();
  net.fromJSON(snapshot);
  print(JSON.stringify(predict(net, inputs, snapshot.layers[0].out_sx)));
}
