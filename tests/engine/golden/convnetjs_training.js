// Lets convnetjs itself compute and train: reads questions (make_convnetjs_training.py) and prints its answers, all in
// float64. The npm package convnetjs 0.3.0 must be where node finds it (NODE_PATH).
const convnetjs = require('convnetjs/build/convnet.js');

function network({layers, parameters}) {
  const net = new convnetjs.Net();
  net.makeLayers(layers);
  net.getParamsAndGrads().forEach(({params}, place) => { params.set(parameters[place]); });
  return net;
}

function vol({layers}, values) {
  const input = new convnetjs.Vol(layers[0].out_sx, layers[0].out_sy, layers[0].out_depth, 0);
  input.w.set(values);
  return input;
}

const flat = (arrays) => arrays.flatMap((array) => Array.from(array));

// One pass forwards and backwards over all examples: outputs and input gradients of each, parameters' gradients summed.
function compute(question) {
  const net = network(question);
  const outputs = [];
  const costs = [];
  const inputGradients = [];
  question.inputs.forEach((values, place) => {
    const input = vol(question, values);
    outputs.push(Array.from(net.forward(input).w));
    costs.push(net.backward(question.targets[place]));
    inputGradients.push(Array.from(input.dw));
  });
  return {outputs, costs, inputGradients, gradients: flat(net.getParamsAndGrads().map(({grads}) => grads))};
}

// npm's convnetjs has no "nesterov" and would take it for plain momentum without a word. Its later source has: with v the
// velocity, v' = μ v + η g and w moves by μ v − (1 + μ) v'. Those two lines are ours; forward and backward are convnetjs's.
function nesterov(net, {learning_rate: rate, momentum, batch_size: size, l2_decay: l2}) {
  const velocities = net.getParamsAndGrads().map(({params}) => new Float64Array(params.length));
  return () => net.getParamsAndGrads().forEach(({params, grads, l2_decay_mul: multiple}, place) => {
    params.forEach((value, index) => {
      const before = velocities[place][index];
      velocities[place][index] = momentum * before + rate * (l2 * multiple * value + grads[index]) / size;
      params[index] += momentum * before - (1 + momentum) * velocities[place][index];
      grads[index] = 0;
    });
  });
}

// The parameters after all updates, and the summed cost of each batch.
function train(question) {
  const net = network(question);
  const {options} = question;
  const trainer = new convnetjs.Trainer(net, options);
  const update = nesterov(net, options);
  const costs = [];
  for (let step = 0; step < question.updates; step++) {
    let cost = 0;
    for (let place = 0; place < options.batch_size; place++) {
      const example = (step * options.batch_size + place) % question.inputs.length;
      const input = vol(question, question.inputs[example]);
      if (options.method === 'nesterov') {
        net.forward(input, true);
        cost += net.backward(question.targets[example]);
      } else {
        cost += trainer.train(input, question.targets[example]).cost_loss;
      }
    }
    if (options.method === 'nesterov') update();
    costs.push(cost);
  }
  return {costs, parameters: flat(net.getParamsAndGrads().map(({params}) => params))};
}

const questions = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answer = (question) => (question.options ? train(question) : compute(question));
console.log(JSON.stringify(Object.fromEntries(Object.entries(questions).map(([name, one]) => [name, answer(one)]))));
