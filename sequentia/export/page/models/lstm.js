/** The gates i (in) and f (forget), the candidate g and the gate o (out) are stacked: c = f c' + i g, h = o tanh(c). */
ARCHITECTURES.LSTM = class extends Recurrent {
  cell(input, hidden, [h, c]) {
    const C = h.length, y = add(input, hidden);
    const cell = c.map((last, i) => sigmoid(y[C + i]) * last + sigmoid(y[i]) * Math.tanh(y[2 * C + i]));
    return [cell.map((value, i) => sigmoid(y[3 * C + i]) * Math.tanh(value)), cell];
  }
};
