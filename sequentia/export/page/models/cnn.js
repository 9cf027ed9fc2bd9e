/**
 * WaveNet: every layer reads its input now and some tokens earlier: 1, 2, 4, ..., 512, and again 1.
 * The state has the last inputs of each layer, the oldest first, and the first token of the line.
 */
ARCHITECTURES.CNN = class {
  constructor(tensors) {
    this.tensors = tensors;
    this.gates = listOf(tensors, "gates");
    this.residuals = listOf(tensors, "residuals");
  }

  step(token, { inputs, first } = { inputs: this.gates.map(() => []), first: token }) {
    const outputs = [], after = [];
    let x = embedding(this.tensors, token, first);
    this.gates.forEach((gates, i) => {
      if (i > 0) x = add(x, linear(outputs[i - 1], this.residuals[i - 1], ""));
      const dilation = 2 ** (i % 10);
      const earlier = inputs[i].length === dilation ? inputs[i][0] : new Float32Array(x.length);
      const y = linear(concatenate([earlier, x]), gates, "");  // signals, then gates
      outputs.push(x.map((_, j) => Math.tanh(y[j]) * sigmoid(y[x.length + j])));
      after.push([...inputs[i], x].slice(-dilation));
    });
    const relu = (x) => x.map((v) => Math.max(0, v));
    const skip = relu(linear(concatenate(outputs), this.tensors, "skip."));
    return [linear(relu(linear(skip, this.tensors, "mix.")), this.tensors, "head."), { inputs: after, first }];
  }
};
