// Prints the digest of each seed from the WebAssembly module, as the command line and the boards do: node digest.mjs
// MODULE CLUSTER SEED|FIRST..END
import { readFile } from "node:fs/promises";

const [path, cluster, seeds] = process.argv.slice(2);
const range = /^(\d+)(?:\.\.(\d+))?$/.exec(seeds ?? "");
if (range === null || !["small", "medium", "whole"].includes(cluster)) {
  console.error("node digest.mjs MODULE small|medium|whole SEED|FIRST..END");
  process.exit(2);
}
const { instance } = await WebAssembly.instantiate(await readFile(path));
const first = BigInt(range[1]);
const end = range[2] === undefined ? first + 1n : BigInt(range[2]);
for (let seed = first; seed < end; seed++) {
  // WebAssembly returns signed integers.
  const digest = BigInt.asUintN(64, instance.exports[cluster](seed));
  console.log(`seed=${seed} digest=${digest.toString(16).padStart(16, "0")}`);
}
