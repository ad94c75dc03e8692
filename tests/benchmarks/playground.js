// A stand-in for TensorFlow Playground's nn.ts: the algorithm that it publishes, written anew. Objects for nodes and
// links, one example at a time forwards and backwards, derivatives gathered over a batch of ten, tanh, squared error.
//
//     echo 2 | node tests/benchmarks/playground.js 2 4 2 1        # steps per second, measured for two seconds
const sizes = process.argv.slice(2).map(Number);
const layers = sizes.map((size) => Array.from({ length: size }, () => (
  { bias: 0.1, inputs: [], outputs: [], total: 0, output: 0, outputDer: 0, inputDer: 0, gathered: 0, count: 0 })));
for (let l = 1; l < layers.length; l++)
  for (const dest of layers[l])
    for (const source of layers[l - 1]) {
      const link = { weight: Math.random() - 0.5, source, dest, der: 0, gathered: 0, count: 0 };
      dest.inputs.push(link);
      source.outputs.push(link);
    }

function forward(point) {
  layers[0].forEach((node, i) => { node.output = point[i]; });
  for (let l = 1; l < layers.length; l++)
    for (const node of layers[l]) {
      node.total = node.bias;
      for (const link of node.inputs) node.total += link.weight * link.source.output;
      node.output = Math.tanh(node.total);
    }
}

function backward(target) {
  const last = layers[layers.length - 1][0];
  last.outputDer = last.output - target;
  for (let l = layers.length - 1; l >= 1; l--) {
    for (const node of layers[l]) {
      const a = Math.tanh(node.total);
      node.inputDer = node.outputDer * (1 - a * a);
      node.gathered += node.inputDer;
      node.count++;
      for (const link of node.inputs) {
        link.der = node.inputDer * link.source.output;
        link.gathered += link.der;
        link.count++;
      }
    }
    if (l > 1)
      for (const node of layers[l - 1]) {
        node.outputDer = 0;
        for (const link of node.outputs) node.outputDer += link.weight * link.dest.inputDer;
      }
  }
}

function update(rate) {
  for (let l = 1; l < layers.length; l++)
    for (const node of layers[l]) {
      node.bias -= rate * node.gathered / node.count;
      node.gathered = node.count = 0;
      for (const link of node.inputs) {
        link.weight -= rate * link.gathered / link.count;
        link.gathered = link.count = 0;
      }
    }
}

const points = Array.from({ length: 250 }, () => sizes.slice(0, 1).flatMap((n) => Array.from({ length: n }, () => 2 * Math.random() - 1)));
let next = 0;
function step() {
  for (let i = 0; i < 10; i++) {
    const point = points[next++ % points.length];
    forward(point);
    backward(point[0] * point[1] > 0 ? 1 : -1);
  }
  update(0.03);
}

// Seconds that the processor gave to this process.
function clock() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const start = clock(), end = start + Number(line);
  let steps = 0;
  while (clock() < end) for (let i = 0; i < 200; i++, steps++) step();
  console.log(steps / (clock() - start));
});
