// convnetjs trains its MNIST network on random images: examples per second. Its first argument is the package's folder.
const convnetjs = require(require("node:path").resolve(process.argv[2]));
const batch = Number(process.argv[3]);
const net = new convnetjs.Net();
net.makeLayers([
  { type: "input", out_sx: 24, out_sy: 24, out_depth: 1 },
  { type: "conv", sx: 5, filters: 8, stride: 1, pad: 2, activation: "relu" },
  { type: "pool", sx: 2, stride: 2 },
  { type: "conv", sx: 5, filters: 16, stride: 1, pad: 2, activation: "relu" },
  { type: "pool", sx: 3, stride: 3 },
  { type: "softmax", num_classes: 10 },
]);
const trainer = new convnetjs.SGDTrainer(net, { method: "adadelta", batch_size: batch, l2_decay: 0.001 });
const image = new convnetjs.Vol(24, 24, 1);
let label = 0;
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const start = process.hrtime.bigint(), end = start + BigInt(Math.round(1e9 * Number(line)));
  let examples = 0;
  for (; process.hrtime.bigint() < end; examples++) trainer.train(image, label++ % 10);
  console.log(examples / (Number(process.hrtime.bigint() - start) / 1e9));
});
