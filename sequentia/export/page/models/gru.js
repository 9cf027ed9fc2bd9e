/** The gates r (reset) and z (update) and the candidate n are stacked: h = (1 - z) n + z h'. */
ARCHITECTURES.GRU = class extends Recurrent {
  cell(input, hidden, [h]) {
    const C = h.length;
    return [h.map((last, i) => {
      const r = sigmoid(input[i] + hidden[i]);
      const z = sigmoid(input[C + i] + hidden[C + i]);
      const n = Math.tanh(input[2 * C + i] + r * hidden[2 * C + i]);
      return (1 - z) * n + z * last;
    })];
  }
};
