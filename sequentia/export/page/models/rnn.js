/** h = tanh(W x + b + U h' + c) */
ARCHITECTURES.RNN = class extends Recurrent {
  cell(input, hidden) {
    return [add(input, hidden).map(Math.tanh)];
  }
};
