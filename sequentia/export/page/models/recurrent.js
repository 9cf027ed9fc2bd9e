/**
 * The common part of RNN, GRU and LSTM. The state has the vectors that each layer carries along the line: the output,
 * and the cell of an LSTM. A `cell` makes the next ones from the products with the input and with the last output.
 */
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
