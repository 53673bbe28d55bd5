// Checks an archive with nothing but its own README and a standard library.
import { createHash, createPublicKey, verify } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";

const root = process.argv[2];
const wrong = [];
const sha = (...parts) => createHash("sha256").update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();
const read = (name) => readFileSync(`${root}/${name}`);
const ed25519 = (key, message, signature) => {
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return verify(null, message, createPublicKey({ key: der, format: "der", type: "spki" }), signature);
};
const jcs = (value) => Array.isArray(value) ? `[${value.map(jcs)}]`
  : value && typeof value === "object" ? `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${jcs(value[k])}`)}}`
  : JSON.stringify(value);

// The checkpoint, and the hashes of all entries.
const checkpoint = read("checkpoint").toString();
const text = checkpoint.slice(0, checkpoint.indexOf("\n\n") + 1);
const [origin, count, top] = text.split("\n");
const size = Number(count);
const digits = (n) => {
  const groups = [String(n % 1000).padStart(3, "0")];
  for (n = Math.floor(n / 1000); n; n = Math.floor(n / 1000)) groups.unshift(`x${String(n % 1000).padStart(3, "0")}`);
  return groups.join("/");
};
const hashes = [];
for (let n = 0; n * 256 < size; n++) {
  const width = Math.min(256, size - n * 256);
  const tile = read(`tile/0/${digits(n)}${width < 256 ? `.p/${width}` : ""}`);
  for (let at = 0; at < width; at++) hashes.push(tile.subarray(at * 32, at * 32 + 32));
}
const over = (from, to) => {
  if (to - from === 1) return hashes[from];
  let k = 1;
  while (k * 2 < to - from) k *= 2;
  return sha([1], over(from, from + k), over(from + k, to));
};
if (over(0, size).toString("base64") !== top) wrong.push("root");

// A passkey's signature (README, 6): an ES256 key in COSE, whose two halves stand at fixed places.
const passkey = (cose, message, { client_data, authenticator_data, value }) => {
  const [client, data] = [client_data, authenticator_data].map((part) => Buffer.from(part, "base64url"));
  const [x, y] = [cose.subarray(10, 42), cose.subarray(45, 77)].map((half) => half.toString("base64url"));
  const key = createPublicKey({ key: { kty: "EC", crv: "P-256", x, y }, format: "jwk" });
  return JSON.parse(client).challenge === sha(message).toString("base64url") && (data[32] & 4) === 4
    && verify("sha256", Buffer.concat([data, sha(client)]), key, Buffer.from(value, "base64url"));
};

// The entries, and who wrote them.
let entries = 0, authors = 0;
const keys = new Map();
for (const file of readdirSync(`${root}/entries`).sort()) {
  for (const line of read(`entries/${file}`).toString().split("\n").slice(0, -1)) {
    const index = Number(line.slice(0, line.indexOf(" ")));
    const entry = line.slice(line.indexOf(" ") + 1);
    entries++;
    if (!sha([0], entry).equals(hashes[index])) { wrong.push(`entry ${index}`); continue; }
    const { recorded_at, salt, signature, version, ...said } = JSON.parse(entry);
    const { stream, kind, body } = said;
    if (stream === "record/keys" && kind === "AuthorKeyRegistered") {
      const name = sha(jcs([body.organisation, body.algorithm, body.public])).toString("hex").slice(0, 16);
      if (name === body.key) keys.set(name, body);
    }
    if (stream === "record/keys" && kind === "AuthorKeyRetired") keys.delete(body.key);
    if (!signature) continue;
    const key = keys.get(signature.key);
    const message = Buffer.from(jcs({ ...said, act: signature.act }));
    if (key?.algorithm === "WebAuthn" && signature.alg === "WebAuthn"
      && key.holder === sha(jcs([said.author.organisation, said.author.person, key.public])).toString("hex")
      && passkey(Buffer.from(key.public, "base64"), message, signature)) authors++;
    else if (key?.organisation === said.author.organisation && signature.alg === "Ed25519"
      && ed25519(Buffer.from(key.public, "base64"), message, Buffer.from(signature.value, "base64"))) authors++;
    else wrong.push(`author ${index}`);
  }
}

// The signatures under the checkpoint.
const trusted = [read("log.vkey").toString().trim()];
if (existsSync(`${root}/policy`)) for (const line of read("policy").toString().split("\n")) {
  if (line.startsWith("witness ")) trusted.push(line.split(" ")[2]);
}
const signed = [];
for (const vkey of trusted) {
  const [name, id, ...rest] = vkey.split("+");
  const raw = Buffer.from(rest.join("+"), "base64");
  if (sha(name, "\n", raw).toString("hex").slice(0, 8) !== id) wrong.push(`key ${name}`);
  for (const line of checkpoint.split("\n").filter((l) => l.startsWith(`— ${name} `))) {
    const made = Buffer.from(line.split(" ")[2], "base64");
    if (made.subarray(0, 4).toString("hex") !== id) continue;
    const time = raw[0] === 4 ? made.readBigUInt64BE(4) : null;
    const message = raw[0] === 4 ? `cosignature/v1\ntime ${time}\n${text}` : text;
    const holds = ed25519(raw.subarray(1), Buffer.from(message), made.subarray(raw[0] === 4 ? 12 : 4));
    (holds ? signed : wrong).push(name);
  }
}
for (const name of existsSync(`${root}/documents`) ? readdirSync(`${root}/documents`) : []) {
  if (sha(read(`documents/${name}`)).toString("hex") !== name) wrong.push(`document ${name}`);
}
console.log(JSON.stringify({ origin, size, entries, authors, signed, wrong }));
