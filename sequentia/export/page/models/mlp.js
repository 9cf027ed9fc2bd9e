/** The embeddings of the last tokens, one after another, and a tanh layer. The state has these tokens, the last first. */
ARCHITECTURES.MLP = class {
  constructor(tensors, { window }) {
    this.tensors = tensors;
    this.start = new Array(window - 1).fill(BOUNDARY);
  }

  step(token, before = this.start) {
    const window = [token, ...before];
    const x = concatenate(window.map((token) => row(this.tensors["embedding.weight"], token)));
    const hidden = linear(x, this.tensors, "hidden.").map(Math.tanh);
    return [linear(hidden, this.tensors, "head."), window.slice(0, -1)];
  }
};
