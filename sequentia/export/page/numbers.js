// ---- The numbers of the model, and the functions that several architectures are built of ----

const content = JSON.parse(document.getElementById("model").textContent);
const characters = Array.from(content.characters);  // by code point; the id of a character is its index + 1
const ids = new Map(characters.map((character, i) => [character, i + 1]));
const BOUNDARY = 0;  // starts and ends a line
const V = characters.length + 1;
const labels = (content.labels ?? [["", 1]]).map(([name, count], i) => ({ name, count, start: i ? V + i - 1 : BOUNDARY }));

/** A number in half precision, given its 16 bits. */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24);
}

/** Every tensor by its name: the numbers of a matrix, row by row, and its shape. See `_array` in html.py. */
async function readTensors() {
  const packed = Uint8Array.from(atob(content.bytes), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer(), tensors = {};
  const types = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f2: Uint16Array };
  let position = 0;
  for (const [name, type, shape] of content.tensors) {
    const size = shape.reduce((a, b) => a * b, 1) * Number(type[1]);
    const numbers = new types[type](bytes.slice(position, position += size));
    tensors[name] = Object.assign(type === "f2" ? Float32Array.from(numbers, fromHalf) : numbers, { shape });
  }
  return tensors;
}

/** The tensors whose names start with a prefix, without it. */
function under(tensors, prefix) {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The layers `name.0`, `name.1`, ... of a list. */
function listOf(tensors, name) {
  const layers = [];
  for (let i = 0; ; i++) {
    const layer = under(tensors, `${name}.${i}.`);
    if (Object.keys(layer).length === 0) return layers;
    layers.push(layer);
  }
}

/** The row of a matrix. */
function row(matrix, index) {
  const columns = matrix.length / matrix.shape[0];
  return matrix.subarray(index * columns, (index + 1) * columns);
}

/** The embedding of a token, plus the difference of that of the line's first token, its label, from the boundary's. */
function embedding(tensors, token, first) {
  const [x, label, boundary] = [token, first, BOUNDARY].map((index) => row(tensors["embedding.weight"], index));
  return first === BOUNDARY ? x : x.map((value, i) => value + label[i] - boundary[i]);
}

/** Matrix (a row per output) times vector, plus the bias if there is one; the layer is `prefix` + weight and bias. */
function linear(x, tensors, prefix) {
  const weight = tensors[prefix + "weight"], bias = tensors[prefix + "bias"];
  const y = new Float32Array(weight.length / x.length);
  for (let row = 0, i = 0; row < y.length; row++) {
    let sum = bias ? bias[row] : 0;
    for (let column = 0; column < x.length; column++) sum += weight[i++] * x[column];
    y[row] = sum;
  }
  return y;
}

const add = (x, y) => x.map((value, i) => value + y[i]);
const sigmoid = (v) => 1 / (1 + Math.exp(-v));
const percent = (p) => (p < 0.005 ? "<1%" : `${Math.round(100 * p)}%`);

/** Vectors, one after another. */
function concatenate(vectors) {
  return Float32Array.from(vectors.flatMap((vector) => Array.from(vector)));
}

/** Probabilities that are proportional to exp(logit / temperature). */
function softmax(logits, temperature = 1) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const powers = logits.map((logit) => Math.exp((logit - largest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}

// ---- The architectures, as in sequentia/models, one token at a time ----
//
// `step(token, state)` returns the logits of the next token and the next state. The first token of a line is the
// boundary, or the token of its label, and its state is undefined. A state is never changed, so that several lines can continue from it.

const ARCHITECTURES = {};
