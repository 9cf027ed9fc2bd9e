/**
 * Counts of n-grams with Kneser-Ney smoothing. The state has the last tokens, as a string of their code units, the last
 * one first, back to the start of the line.
 */
ARCHITECTURES.NGram = class {
  constructor({ edges, counts, reads: [reads] }) {
    // An edge is 4 times its token, plus 2 if it is the last of its context, plus 1 if it leads to a context first.
    const before = Array.from({ length: V }, () => []);  // by token: the contexts before those that the token ends
    let number = 0;
    for (const edge of edges) {
      if (edge & 1) before[edge >> 2].push(number);
      if (edge & 2) number++;
    }
    const steps = before.flatMap((sources, token) => sources.map((source) => [String.fromCharCode(token), source]));
    let contexts = new Array(steps.length + 1).fill("");
    for (let k = 0; k < reads; k++) contexts = ["\0", ...steps.map(([token, source]) => token + contexts[source])];

    // Level k: for each context of k tokens, how often each token follows.
    this.levels = Array.from({ length: reads + 1 }, () => new Map());
    number = 0;
    edges.forEach((edge, i) => {
      this.count(contexts[number], edge >> 2, counts[i]);
      if (edge & 2) number++;
    });
    // After a shorter context, a token counts once for each token that was seen before the two.
    for (let k = this.levels.length - 1; k > 0; k--) {
      for (const [context, next] of this.levels[k]) {
        for (const token of next.keys()) this.count(context.slice(0, -1), token, 1);
      }
    }
    this.discounts = this.levels.map((level) => this.discountsOf(level));
  }

  count(context, token, count) {
    const level = this.levels[context.length];
    if (!level.has(context)) level.set(context, new Map());
    const next = level.get(context);
    next.set(token, (next.get(token) ?? 0) + count);
  }

  /** Chen and Goodman's discounts of a count of 0, 1, 2, and 3 or more, from how many n-grams have a count of 1 to 4. */
  discountsOf(level) {
    const n = [0, 0, 0, 0, 0], fallback = [0, 0.5, 1, 1.5];
    for (const next of level.values()) for (const count of next.values()) if (count <= 4) n[count]++;
    if (!n[1] || !n[2]) return fallback;
    const y = n[1] / (n[1] + 2 * n[2]);
    return fallback.map((constant, i) => {
      const estimate = i && n[i] && n[i + 1] ? i - (i + 1) * y * n[i + 1] / n[i] : 0;
      return estimate > 0 && estimate <= i ? estimate : constant;
    });
  }

  step(token, before = "") {
    const window = (String.fromCharCode(token) + before).slice(0, Math.max(0, this.levels.length - 1));
    let probabilities = new Array(V).fill(1 / V);
    for (let k = 0; k <= window.length && k < this.levels.length; k++) {
      const next = this.levels[k].get(window.slice(0, k)), discount = this.discounts[k];
      if (!next) break;
      let total = 0, reserved = 0;  // for what the shorter context says
      for (const count of next.values()) {
        total += count;
        reserved += discount[Math.min(count, 3)];
      }
      probabilities = probabilities.map((probability) => probability * reserved / total);
      for (const [token, count] of next) probabilities[token] += (count - discount[Math.min(count, 3)]) / total;
    }
    return [probabilities.map(Math.log), window];
  }
};
