/** GPT-2. The state has, for every block, the keys and values of all tokens so far. */
ARCHITECTURES.Transformer = class {
  constructor(tensors, options) {
    this.tensors = tensors;
    this.heads = options.n_head;
    this.blocks = listOf(tensors, "blocks");
    const head = tensors["head.weight"] ?? tensors["token_embedding.weight"];  // tied: the same matrix
    this.output = { weight: head.subarray(0, V * head.shape[1]) };  // labels are not predicted
  }

  step(token, state = this.blocks.map(() => ({ keys: [], values: [] }))) {
    const position = state[0].keys.length, after = [];
    let x = add(row(this.tensors["token_embedding.weight"], token), row(this.tensors["position_embedding.weight"], position));
    this.blocks.forEach((block, i) => {
      const [y, cache] = this.attention(this.norm(x, block, "norm1."), block, state[i]);
      after.push(cache);
      x = add(x, y);
      const hidden = this.gelu(linear(this.norm(x, block, "norm2."), block, "expand."));
      x = add(x, linear(hidden, block, "proj."));
    });
    return [linear(this.norm(x, this.tensors, "norm."), this.output, ""), after];
  }

  /** What the last token reads from itself and all earlier ones, and their keys and values. */
  attention(x, block, { keys, values }) {
    const C = x.length, D = C / this.heads, mixed = new Float32Array(C);
    const qkv = linear(x, block, "attention.qkv.");
    keys = [...keys, qkv.subarray(C, 2 * C)];
    values = [...values, qkv.subarray(2 * C)];
    for (let start = 0; start < C; start += D) {  // a head has D channels
      const scores = keys.map((key) => {
        let dot = 0;
        for (let i = start; i < start + D; i++) dot += qkv[i] * key[i];
        return dot / Math.sqrt(D);
      });
      softmax(scores).forEach((share, t) => {
        for (let i = start; i < start + D; i++) mixed[i] += share * values[t][i];
      });
    }
    return [linear(mixed, block, "attention.proj."), { keys, values }];
  }

  norm(x, tensors, prefix) {
    const weight = tensors[prefix + "weight"], bias = tensors[prefix + "bias"];
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    return x.map((value, i) => (value - mean) * scale * weight[i] + bias[i]);
  }

  /** The approximation of GELU with tanh. */
  gelu(x) {
    return x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));
  }
};
