/**
 * Counts of n-grams with Kneser-Ney smoothing. The state has the last tokens, as a string of their code units, the last
 * one first, back to the start of the line; and the token that the line starts with, in the same form.
 *
 * Level k: for each context of k tokens, how often each token follows. Where lines have labels, there are levels whose
 * contexts begin with the label, and the levels whatever the label, which also have a fixed part of the whole.
 */
ARCHITECTURES.NGram = class {
  constructor({ edges, counts, reads: [reads, ofLabel = 0], sizes = [edges.length] }, { part }) {
    this.part = part;
    this.longest = Math.max(reads, ofLabel - 1);
    this.levels = Array.from({ length: reads + 1 }, () => new Map());
    this.labelled = Array.from({ length: ofLabel + 1 }, () => new Map());
    let at = 0;
    sizes.forEach((size, i) => {
      const own = edges.subarray(at, at + size), contexts = this.contextsOf(own), label = String.fromCharCode(labels[i].start);
      let number = 0;
      for (const edge of own) {
        this.count(this.levels, contexts[number].slice(0, reads), edge >> 2, counts[at]);
        if (i) this.count(this.labelled, (label + contexts[number]).slice(0, ofLabel), edge >> 2, counts[at]);
        if (edge & 2) number++;
        at++;
      }
    });
    // After a shorter context, a token counts once for each token that was seen before the two.
    for (const levels of [this.levels, this.labelled]) {
      for (let k = levels.length - 1; k > 0; k--) {
        for (const [context, next] of levels[k]) {
          for (const token of next.keys()) this.count(levels, context.slice(0, -1), token, 1);
        }
      }
      for (const level of levels) level.discounts = this.discountsOf(level);
    }
  }

  /** The contexts of a graph: an edge is 4 times its token, plus 2 if the last of its context, plus 1 if it leads to one first. */
  contextsOf(edges) {
    const before = Array.from({ length: V }, () => []);  // by token: the contexts before those that the token ends
    let number = 0;
    for (const edge of edges) {
      if (edge & 1) before[edge >> 2].push(number);
      if (edge & 2) number++;
    }
    const steps = before.flatMap((sources, token) => sources.map((source) => [String.fromCharCode(token), source]));
    let contexts = new Array(steps.length + 1).fill("");
    for (let k = 0; k < this.longest; k++) contexts = ["\0", ...steps.map(([token, source]) => token + contexts[source])];
    return contexts;
  }

  count(levels, context, token, count) {
    const level = levels[context.length];
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

  step(token, { label, before } = { label: String.fromCharCode(token), before: "" }) {
    const window = (String.fromCharCode(token < V ? token : BOUNDARY) + before).slice(0, this.longest);
    let probabilities = this.interpolate(this.levels, 0, window, new Array(V).fill(1 / V));
    if (content.labels) {
      const own = this.interpolate(this.labelled, 1, label + window, probabilities);
      probabilities = own.map((probability, i) => (1 - this.part) * probability + this.part * probabilities[i]);
    }
    return [probabilities.map(Math.log), { label, before: window }];
  }

  /** The probabilities after a context, given those after the shorter contexts before level k. */
  interpolate(levels, k, window, probabilities) {
    for (; k <= window.length && k < levels.length; k++) {
      const next = levels[k].get(window.slice(0, k)), { discounts } = levels[k];
      if (!next) break;
      let total = 0, reserved = 0;  // for what the shorter context says
      for (const count of next.values()) {
        total += count;
        reserved += discounts[Math.min(count, 3)];
      }
      probabilities = probabilities.map((probability) => probability * reserved / total);
      for (const [token, count] of next) probabilities[token] += (count - discounts[Math.min(count, 3)]) / total;
    }
    return probabilities;
  }
};
