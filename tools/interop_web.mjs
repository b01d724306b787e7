// Runs one ONNX file in onnxruntime-web: MODULES MODEL FOLDER; inputs and outputs are raw float32 with their shapes.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const [modules, model, folder] = process.argv.slice(2);
const ort = createRequire(join(modules, "here.js"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;

const session = await ort.InferenceSession.create(readFileSync(model), { executionProviders: ["wasm"] });
const feeds = {};
for (const [i, [name, dims]] of Object.entries(JSON.parse(readFileSync(join(folder, "inputs.json")))).entries()) {
  const bytes = readFileSync(join(folder, `in${i}.bin`));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  feeds[name] = new ort.Tensor("float32", values, dims);
}
const found = await session.run(feeds);
const outputs = session.outputNames.map((name) => found[name]);
outputs.forEach((value, i) => writeFileSync(join(folder, `out${i}.bin`), new Uint8Array(value.data.slice().buffer)));
writeFileSync(join(folder, "outputs.json"), JSON.stringify(outputs.map((value) => value.dims)));
process.exit(0);
