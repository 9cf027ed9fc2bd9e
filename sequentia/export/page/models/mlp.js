/** The embeddings of the last tokens, one after another, and a tanh layer. The state has these tokens, the last first, and the first one of the line. */
ARCHITECTURES.MLP = class {
  constructor(tensors, { window }) {
    this.tensors = tensors;
    this.start = new Array(window - 1).fill(BOUNDARY);
  }

  step(token, { before, first } = { before: this.start, first: token }) {
    const window = [token, ...before];
    const x = concatenate(window.map((token) => embedding(this.tensors, token, first)));
    const hidden = linear(x, this.tensors, "hidden.").map(Math.tanh);
    return [linear(hidden, this.tensors, "head."), { before: window.slice(0, -1), first }];
  }
};
