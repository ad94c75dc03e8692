// convnetjs trains a network of tanh on points of two classes: batches of ten per second. Its arguments are the package's
// folder and the units of each hidden layer.
const convnetjs = require(require("node:path").resolve(process.argv[2]));
const net = new convnetjs.Net();
net.makeLayers([
  { type: "input", out_sx: 1, out_sy: 1, out_depth: 2 },
  ...process.argv.slice(3).map((units) => ({ type: "fc", num_neurons: Number(units), activation: "tanh" })),
  { type: "softmax", num_classes: 2 },
]);
const trainer = new convnetjs.SGDTrainer(net, { learning_rate: 0.03, momentum: 0, batch_size: 10, l2_decay: 0 });
const points = Array.from({ length: 250 }, () => [2 * Math.random() - 1, 2 * Math.random() - 1]);
const input = new convnetjs.Vol(1, 1, 2);
let next = 0;
function step() {
  for (let i = 0; i < 10; i++) {
    const point = points[next++ % points.length];
    input.w[0] = point[0];
    input.w[1] = point[1];
    trainer.train(input, point[0] * point[1] > 0 ? 0 : 1);
  }
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
