/** A table of logits: the row is the last token. */
ARCHITECTURES.Bigram = class {
  constructor(tensors) {
    this.table = tensors["logits.weight"];
  }

  step(token) {
    return [row(this.table, token)];
  }
};
