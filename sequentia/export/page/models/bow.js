/** The mean of the embeddings so far. The state has their sum and their number. */
ARCHITECTURES.BagOfWords = class {
  constructor(tensors) {
    this.tensors = tensors;
  }

  step(token, { sum, number } = { sum: null, number: 0 }) {
    let x = add(row(this.tensors["token_embedding.weight"], token), row(this.tensors["position_embedding.weight"], number));
    sum = sum ? add(sum, x) : x;
    number++;
    x = x.map((value, i) => value + sum[i] / number);
    x = add(x, linear(linear(x, this.tensors, "expand.").map(Math.tanh), this.tensors, "proj."));
    return [linear(x, this.tensors, "head."), { sum, number }];
  }
};
