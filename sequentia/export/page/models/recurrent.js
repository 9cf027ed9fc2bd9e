/** How RNN, GRU and LSTM get the next vectors of a layer from the products with the input and with the last output. */
const CELLS = {
  /** h = tanh(W x + b + U h' + c) */
  RNN: (input, hidden) => [add(input, hidden).map(Math.tanh)],

  /** The gates r (reset) and z (update) and the candidate n are stacked: h = (1 - z) n + z h'. */
  GRU(input, hidden, [h]) {
    const C = h.length;
    return [h.map((last, i) => {
      const r = sigmoid(input[i] + hidden[i]);
      const z = sigmoid(input[C + i] + hidden[C + i]);
      const n = Math.tanh(input[2 * C + i] + r * hidden[2 * C + i]);
      return (1 - z) * n + z * last;
    })];
  },

  /** The gates i (in) and f (forget), the candidate g and the gate o (out) are stacked: c = f c' + i g, h = o tanh(c). */
  LSTM(input, hidden, [h, c]) {
    const C = h.length, y = add(input, hidden);
    const cell = c.map((last, i) => sigmoid(y[C + i]) * last + sigmoid(y[i]) * Math.tanh(y[2 * C + i]));
    return [cell.map((value, i) => sigmoid(y[3 * C + i]) * Math.tanh(value)), cell];
  },
};

/** The state has the vectors that each layer carries along the line: the output, and the cell of an LSTM. */
class Recurrent {
  constructor(tensors) {
    this.tensors = tensors;
    this.layers = [];
    for (let i = 0; `layers.weight_ih_l${i}` in tensors; i++) {
      const layer = (name) => ({ weight: tensors[`layers.weight_${name}_l${i}`], bias: tensors[`layers.bias_${name}_l${i}`] });
      this.layers.push({ input: layer("ih"), hidden: layer("hh") });
    }
    const size = this.layers[0].hidden.weight.shape[1], vector = this.layers.length * size;
    this.start = this.layers.map((_, i) => {
      const states = [];
      for (let at = i * size; at < tensors.start.length; at += vector) states.push(tensors.start.subarray(at, at + size));
      return states;
    });
  }

  step(token, state = this.start) {
    let x = row(this.tensors["embedding.weight"], token);
    const after = this.layers.map(({ input, hidden }, i) => {
      const next = this.cell(linear(x, input, ""), linear(state[i][0], hidden, ""), state[i]);
      x = next[0];
      return next;
    });
    return [linear(x, this.tensors, "head."), after];
  }
}

for (const [name, cell] of Object.entries(CELLS)) ARCHITECTURES[name] = class extends Recurrent { cell = cell; };
