/** A table of counts of pairs: the row is the last token. Smoothing is added to every count. */
ARCHITECTURES.BigramCounts = class {
  constructor({ counts }, { smoothing }) {
    this.counts = counts;
    this.smoothing = smoothing;
  }

  step(token) {
    const logits = Array.from(row(this.counts, token), (count) => Math.log(count + this.smoothing));
    return [logits.some(Number.isFinite) ? logits : logits.fill(0)];  // a token that never occurred: all are equal
  }
};
