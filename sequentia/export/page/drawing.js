// ---- Drawing lines: a restriction is a condition, and lines that do not meet it are drawn again ----

/** Uniform random numbers in [0, 1) that depend on the seed alone: Chris Doty-Humphrey's sfc32. */
function randomNumbers(seed) {
  let a = 0, b = seed, c = 0, counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) next();  // until the seed has reached every bit
  return next;
}

/** An index, drawn with these probabilities. */
function draw(probabilities, random) {
  let left = random(), last = 0;
  for (let i = 0; i < probabilities.length; i++) {
    if (probabilities[i] > 0) {
      last = i;  // the answer if rounding leaves something at the end
      left -= probabilities[i];
      if (left < 0) break;
    }
  }
  return last;
}

/** The model after some tokens of a line. Lines that begin alike share it. */
class Prefix {
  static number = 0;

  constructor(model, token, state) {
    this.model = model;
    [this.logits, this.state] = model.step(token, state);
    this.next = new Map();
    Prefix.number++;
  }

  after(token) {
    if (!this.next.has(token)) this.next.set(token, new Prefix(this.model, token, this.state));
    return this.next.get(token);
  }
}

/** What all lines start with, or all of a label. It is renewed at times, which bounds the memory. */
function startOfLine(start) {
  if (Prefix.number > Math.min(4000, 4e6 / V)) {
    Prefix.number = 0;
    tree.clear();
  }
  if (!tree.has(start)) tree.set(start, new Prefix(model, start));
  return tree.get(start);
}

/** A line of the model that starts with some characters; null if it is longer than wanted: an end is drawn, never cut. */
async function drawLine({ starts, longest, temperature, start = BOUNDARY }, random, pause) {
  const line = [...starts];
  let prefix = startOfLine(start);
  for (const character of starts) prefix = prefix.after(ids.get(character));
  for (;;) {
    const next = draw(softmax(prefix.logits, temperature), random);
    if (next === BOUNDARY) return line;
    if (line.length === longest) return null;
    line.push(characters[next - 1]);
    prefix = prefix.after(next);
    await pause?.();
  }
}

/** Whether a line meets the conditions that a whole line can meet. */
function fits(line, { contains, ends, shortest, onlyNew }) {
  const text = line.join("");
  return line.length >= shortest && text.includes(contains.join("")) && text.endsWith(ends.join("")) &&
    !(onlyNew && isTrainingLine(line));
}

/** The hash of a line, as in sequentia/data/hashing.py: 64 bits. */
function hash(line) {
  const bits = (x) => BigInt.asUintN(64, x), golden = 0x9E3779B97F4A7C15n;
  const mix = (x) => {
    x = bits((x ^ (x >> 30n)) * 0xBF58476D1CE4E5B9n);
    x = bits((x ^ (x >> 27n)) * 0x94D049BB133111EBn);
    return x ^ (x >> 31n);
  };
  const mixed = line.map((character, i) => mix(bits((BigInt(i) << 21n | BigInt(character.codePointAt(0))) * golden + golden)));
  return mix(bits(mixed.reduce((a, b) => a + b, 0n)));
}

/** Whether the Bloom filter has a line: every training line, and about 1% of the others. */
function isTrainingLine(line) {
  if (line.length === 0) return false;
  const h = hash(line), first = Number(h & 0xFFFFFFFFn), second = Number(h >> 32n);
  for (let i = 0; i < content.probes; i++) {
    const bit = (first + i * second) % (8 * filter.length);
    if (!(filter[Math.floor(bit / 8)] >> (bit % 8) & 1)) return false;
  }
  return true;
}

/** Each token of a line and its end, with all probabilities in its place and all tokens by them; `prefix` starts the line. */
function explain(line, prefix) {
  return [...line.map((character) => ids.get(character)), BOUNDARY].map((token) => {
    const probabilities = softmax(prefix.logits);
    if (token !== BOUNDARY) prefix = prefix.after(token);
    const likely = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a]);
    return { token, probabilities, likely };
  });
}
