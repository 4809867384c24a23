// Loads traces into Perfetto's own trace processor, and asks it in SQL.
//
//   node perfetto.mjs FOLDER QUERIES TRACE... -> a JSON array for each trace:
//     for each query its rows, each an array of values
//
// FOLDER has the page's engine_bundle.js and trace_processor.wasm; QUERIES is a
// JSON array of texts. The engine is meant for a worker of a browser, so it is
// given what it needs of one. It is spoken to in messages of protobuf, of which
// just so much is known here: TraceProcessorRpcStream in trace_processor.proto.

import { readFileSync } from "node:fs";

const [folder, queries, ...traces] = process.argv.slice(2);


// ---------------------------------------------------------------------------
// Protobuf: a message is fields, each with a tag, which says its kind

const VARINT = 0, DOUBLE = 1, BYTES = 2;

function varint (n) {
  const bytes = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push(n % 128 + 128);
  return Buffer.from([...bytes, n]);
}

const number = (field, n) =>
  Buffer.concat([varint(field * 8 + VARINT), varint(n)]);

const bytes = (field, content) =>
  Buffer.concat([varint(field * 8 + BYTES), varint(content.length), content]);

function* varints (message, from = { at: 0 }) {
  while (from.at < message.length) {
    let n = 0n, shift = 0n, byte;
    do {
      byte = message[from.at++];
      n |= BigInt(byte & 127) << shift;
      shift += 7n;
    } while (byte > 127);
    yield Number(BigInt.asIntN(64, n));
  }
}

// [field, content]: a number, or bytes
function* fields (message) {
  const from = { at: 0 };
  const next = varints(message, from);
  const take = n => message.subarray(from.at, from.at += n);
  while (from.at < message.length) {
    const tag = next.next().value, kind = tag & 7;
    if (kind === VARINT) yield [tag >> 3, next.next().value];
    else if (kind === DOUBLE) yield [tag >> 3, take(8)];
    else if (kind === BYTES) yield [tag >> 3, take(next.next().value)];
    else throw new Error(`a field of kind ${kind}`);
  }
}


// ---------------------------------------------------------------------------
// The engine

const APPEND = 1, FINALIZE = 2, QUERY = 3; // its methods

async function open () {
  const worker = { location: { href: "" } }, said = [];
  const source = readFileSync(`${folder}/engine_bundle.js`, "utf8");
  const wasm = readFileSync(`${folder}/trace_processor.wasm`);
  const request = class { open () {} send () { this.response = wasm; } };
  const silent = { log () {}, warn (line) { said.push(line); } };
  new Function("self", "importScripts", "XMLHttpRequest", "console", "process",
    source)(worker, () => {}, request, silent);
  await new Promise(setImmediate); // it is made in promises

  let replies = [], calls = 0;
  const port = { postMessage (reply) { replies.push(reply); } };
  worker.onmessage({ data: { enginePort: port } });

  // what it answers: the fields of all messages
  return (method, ...args) => {
    replies = [];
    calls++;
    port.onmessage({ data: new Uint8Array(bytes(1,
      Buffer.concat([number(1, calls), number(2, method), ...args]))) });
    const answer = [...fields(Buffer.concat(replies))].flatMap(
      ([, message]) => [...fields(message)]);
    const died = answer.find(([field]) => field === 5);
    if (died) throw new Error(`${died[1]}\n${said.join("\n")}`);
    return answer;
  };
}

function load (call, trace) {
  for (const [field, result] of call(APPEND, bytes(101, trace))) {
    if (field !== 201) continue;
    for (const [field, error] of fields(result)) {
      if (field === 2) throw new Error(`it cannot be read: ${error}`);
    }
  }
  call(FINALIZE);
}

// the values of a batch of cells
function* values (batch) {
  const of = Object.fromEntries(fields(batch));
  const kinds = of[1] || [];
  const integers = varints(of[2] || []), doubles = of[3];
  const texts = (of[5] || "").toString("utf8").split("\0");
  let ntexts = 0, ndoubles = 0;
  for (const kind of kinds) {
    if (kind === 1) yield null;
    else if (kind === 2) yield integers.next().value;
    else if (kind === 3) yield doubles.readDoubleLE(8 * ndoubles++);
    else if (kind === 4) yield texts[ntexts++];
    else throw new Error(`a cell of kind ${kind}`);
  }
}

function query (call, sql) {
  const rows = [];
  let columns = 0, row = [];
  for (const [field, result] of call(QUERY, bytes(103, bytes(1,
    Buffer.from(sql))))) {
    if (field !== 203) continue;
    for (const [field, content] of fields(result)) {
      if (field === 1) columns++;
      if (field === 2) throw new Error(`${content}\n${sql}`);
      if (field !== 3) continue;
      for (const value of values(content)) {
        row.push(value);
        if (row.length === columns) {
          rows.push(row);
          row = [];
        }
      }
    }
  }
  return rows;
}

for (const path of traces) {
  const call = await open();
  load(call, readFileSync(path));
  console.log(JSON.stringify(
    JSON.parse(queries).map(sql => query(call, sql))));
}
