// node sample.mjs OUT.json: the most probable line of an exported model, with onnxruntime-web alone, as JSON.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
const [path] = process.argv.slice(2);
const facts = JSON.parse(await readFile(path, "utf8"));
const session = await ort.InferenceSession.create(await readFile(join(dirname(path), facts.step.file)));
const characters = Array.from(facts.characters);  // by code point

// After the boundary token, which starts every line.
let logits = facts.start.logits;
let state = Object.values(facts.start.state).map(({ type, shape, data }) =>
  new ort.Tensor(type, type === "int64" ? BigInt64Array.from(data, BigInt) : Float32Array.from(data), shape));
let line = "";
for (let length = 0; length < facts.context_length - 1; length++) {
  const token = logits.indexOf(Math.max(...logits));
  if (token === facts.boundary) break;
  line += characters[token - 1];
  const inputs = [new ort.Tensor("int64", BigInt64Array.of(BigInt(token)), [1]), ...state];
  const results = await session.run(Object.fromEntries(facts.step.inputs.map((name, i) => [name, inputs[i]])));
  const outputs = facts.step.outputs.map((name) => results[name]);
  logits = Array.from(outputs[0].data);
  state = outputs.slice(1);
}
console.log(JSON.stringify({ line, logits }));
