// Check a journey's proof in the browser, with nothing but the file, a key and a policy.
// It follows stafett.ledger.bundle step by step: RFC 6962 hashes, C2SP notes and cosignatures.
// No import: whoever reads this file has read the whole check.

const FORMAT = "stafett-journey-proof/1";
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

// What can be wrong, by its code, in English. A page says the same code in its own language.
export const FAULTS = {
  "not-base64": "{part} is not base64",
  "not-canonical": "{part} is not canonical base64",
  "no-entry": "there is no entry {index} in a tree of {size}",
  "more-hashes": "the proof has more hashes than the tree has levels",
  "fewer-hashes": "the proof has fewer hashes than the tree has levels",
  "key-form": "a key is name+id+base64",
  "key-id": "the key of {name} does not have the id {id}",
  "no-note": "the checkpoint is no signed note",
  "line-malformed": "a signature line of the checkpoint is malformed",
  "line-short": "a signature line is too short",
  "no-size": "the checkpoint has no tree size",
  "root-length": "the root has not 32 bytes",
  "empty-extension": "an extension line is empty",
  forged: "the signature of {name} is wrong: the checkpoint was changed or forged",
  group: "the policy's group {name} asks for {how} of {count}",
  "policy-line": "the policy has a line that begins with {word}",
  "no-quorum": "the policy has no quorum line",
  "unknown-key": "it is signed with the key {key}, which is not known",
  "others-key": "it is from {author} and signed with a key of {owner}",
  "key-not-valid": "the key {key} was not valid here",
  "key-algorithm": "the key {key} does not sign with {algorithm}",
  "author-signature": "the signature of {author} does not hold",
  "passkey-key-short": "the passkey's key is cut short",
  "passkey-key-cose": "the passkey's key is no COSE key",
  "passkey-key-long": "the passkey's key has bytes behind its end",
  "passkey-malformed": "the passkey's signature is malformed",
  "passkey-kind": "a kind of passkey signed it that this page cannot check: use `stafett journey verify`",
  "client-data": "the passkey's client data cannot be read",
  "passkey-act": "the passkey did not sign this, it did something else",
  "passkey-challenge": "the passkey signed something else",
  "passkey-origin": "it was signed at {origin}, not at {site}",
  "passkey-open-line": "it was signed at {origin}, over an open line",
  "passkey-site": "the passkey is bound to another site",
  "passkey-person": "the passkey did not see its person (finger, face or PIN)",
  "passkey-signature": "the passkey's signature does not hold",
  "registers-none": "it registers no key",
  "key-name": "{key} is not the name of this key",
  "key-twice": "the key {key} is registered already",
  "key-unheld": "nobody has shown to hold the key {key}",
  "retires-inactive": "it retires a key that is not active",
  "passkey-other": "the passkey {key} is not that of {person}",
  "passkey-nobody": "it does not say whose passkey {key} is",
  "passkey-unvouched": "no key of {owner} vouches for the passkey {key}",
  unvouched: "no active key vouches for it",
  "hash-length": "a hash of the proof has not 32 bytes",
  "not-in-tree": "it is not in the signed tree as it stands here: its bytes or its proof were changed",
  format: "the format is not {format}",
  "part-missing": "a part is missing",
  "entry-malformed": "an entry is malformed",
  "log-key": "the key is of {name}, the checkpoint of {origin}",
  "log-unsigned": "the log {origin} did not sign it with the key that is known here",
  "log-unlisted": "the policy does not list this log",
  "too-few": "too few cosignatures: {names} cosigned",
  "nobody-cosigned": "too few cosignatures: nobody cosigned",
  "other-stream": "it belongs to {stream}",
  gap: "it is number {version} of its stream: one before it is missing",
  order: "it stands before the one that it follows",
  "no-entries": "there are none",
  unreadable: "it cannot be read",
};
// The parts that can be malformed, and the places where something can be wrong.
export const PARTS = {
  key: "the key",
  line: "a signature line",
  root: "the root",
  signature: "the signature",
  "public-key": "the public key",
  holding: "the proof of holding a key",
  "client-data": "the passkey's client data",
  "passkey-data": "the passkey's data",
  "passkey-signature": "the passkey's signature",
  hash: "hash {n} of the proof",
};
export const PLACES = {
  file: "file",
  checkpoint: "checkpoint",
  keys: "keys[{n}]",
  event: "event {n} (position {position})",
  entries: "entries",
};
const filled = (text, values) => text.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));

export class Wrong extends Error {
  constructor(code, values = {}) {
    super(filled(FAULTS[code], { ...values, ...(values.part && { part: filled(PARTS[values.part], values) }) }));
    Object.assign(this, { code, values });
  }
}

// ---- bytes ---------------------------------------------------------------------------------

export function bytesOf(base64, part, n = 0) {
  if (typeof base64 !== "string" || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) throw new Wrong("not-base64", { part, n });
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  if (base64Of(bytes) !== base64) throw new Wrong("not-canonical", { part, n });
  return bytes;
}
export const base64Of = (bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
function join(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

// ---- the tree: RFC 6962 section 2.1, RFC 9162 section 2.1.3.2 --------------------------------

export const leafHash = (entry) => sha256(join(Uint8Array.of(0), entry));
export const nodeHash = (left, right) => sha256(join(Uint8Array.of(1), left, right));

// The root that a leaf and its path lead to. Sizes are BigInt: a log may outgrow 2**53.
export async function rootOf(index, size, leaf, path) {
  if (index < 0n || index >= size) throw new Wrong("no-entry", { index, size });
  let [fn, sn, hash] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (sn === 0n) throw new Wrong("more-hashes");
    if (fn % 2n === 1n || fn === sn) {
      hash = await nodeHash(sibling, hash);
      while (fn % 2n === 0n && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else hash = await nodeHash(hash, sibling);
    fn >>= 1n; sn >>= 1n;
  }
  if (sn !== 0n) throw new Wrong("fewer-hashes");
  return hash;
}

// ---- notes and keys: C2SP signed-note, tlog-checkpoint, tlog-cosignature ----------------------

export async function parseVkey(text) {
  const at = text.indexOf("+");
  const next = text.indexOf("+", at + 1);
  if (at < 1 || next < 0) throw new Wrong("key-form");
  const [name, id, raw] = [text.slice(0, at), text.slice(at + 1, next), bytesOf(text.slice(next + 1), "key")];
  const derived = (await sha256(join(utf8.encode(name), Uint8Array.of(10), raw))).slice(0, 4);
  if (hex(derived) !== id) throw new Wrong("key-id", { name, id });
  return { name, id: derived, kind: raw[0], key: raw.slice(1), text };
}

export function parseNote(raw) {
  const end = raw.lastIndexOf("\n\n");
  if (end < 0 || !raw.endsWith("\n")) throw new Wrong("no-note");
  const signatures = raw.slice(end + 2, -1).split("\n").map((line) => {
    const found = /^— (\S+) (\S+)$/.exec(line);
    if (!found) throw new Wrong("line-malformed");
    const value = bytesOf(found[2], "line");
    if (value.length < 5) throw new Wrong("line-short");
    return { name: found[1], id: value.slice(0, 4), value: value.slice(4) };
  });
  return { text: raw.slice(0, end + 1), signatures };
}

export function parseCheckpoint(text) {
  const [origin, size, root, ...rest] = text.slice(0, -1).split("\n");
  if (!origin || !/^(0|[1-9][0-9]{0,18})$/.test(size ?? "")) throw new Wrong("no-size");
  const digest = bytesOf(root, "root");
  if (digest.length !== 32) throw new Wrong("root-length");
  if (rest.some((line) => line === "")) throw new Wrong("empty-extension");
  return { origin, size: BigInt(size), root: digest };
}

// Whether this browser can check Ed25519 at all; asked once.
let able;
export async function canCheckSignatures() {
  able ??= crypto.subtle.importKey("raw", new Uint8Array(32).fill(1), "Ed25519", false, ["verify"]).then(() => true, () => false);
  return able;
}
async function ed25519(key, signature, message) {
  const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, signature, message);
}

const signaturesBy = (note, vkey) => note.signatures.filter((s) => s.name === vkey.name && same(s.id, vkey.id));

// Returns true, false (not signed), or throws Wrong (signed, and wrong).
async function signedBy(note, vkey) {
  const [found] = signaturesBy(note, vkey);
  if (!found) return false;
  let message = utf8.encode(note.text);
  let value = found.value;
  if (vkey.kind === 4) {
    const time = new DataView(value.buffer, value.byteOffset).getBigUint64(0);
    message = utf8.encode(`cosignature/v1\ntime ${time}\n${note.text}`);
    value = value.slice(8);
  } else if (vkey.kind !== 1) return null; // ML-DSA and ECDSA: for the command line
  if (!(await ed25519(vkey.key, value, message))) throw new Wrong("forged", { name: vkey.name });
  return true;
}

// ---- the trust policy: C2SP tlog-policy -------------------------------------------------------

export async function parsePolicy(text) {
  const policy = { logs: [], witnesses: [], groups: [], quorum: null };
  for (const line of text.split("\n")) {
    const words = line.split(/[ \t]+/).filter(Boolean);
    if (!words.length || words[0].startsWith("#")) continue;
    const [what, ...rest] = words;
    if (what === "log") policy.logs.push(await parseVkey(rest[0]));
    else if (what === "witness") policy.witnesses.push({ name: rest[0], vkey: await parseVkey(rest[1]) });
    else if (what === "group") {
      const [name, how, ...members] = rest;
      const least = how === "any" ? 1 : how === "all" ? members.length : Number(how);
      if (!(Number.isInteger(least) && least >= 1 && least <= members.length)) throw new Wrong("group", { name, how, count: members.length });
      policy.groups.push({ name, least, members });
    } else if (what === "quorum") policy.quorum = rest[0];
    else throw new Wrong("policy-line", { word: what });
  }
  if (policy.quorum === null) throw new Wrong("no-quorum");
  return policy;
}

function quorate(policy, names) {
  const agreed = new Set(names);
  for (const { name, least, members } of policy.groups) if (members.filter((m) => agreed.has(m)).length >= least) agreed.add(name);
  return policy.quorum === "none" || agreed.has(policy.quorum);
}

// ---- authors ----------------------------------------------------------------------------------

// RFC 8785 for what a leaf holds. JSON.stringify writes numbers and text as RFC 8785 asks, and
// sort() orders keys by UTF-16 units: that is the whole of it.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") return `{${Object.keys(value).sort().map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`).join(",")}}`;
  return JSON.stringify(value);
}

const SIGNED = ["audience", "author", "body", "kind", "leaf", "occurred_at", "stream"];
export function statementOf(leaf, act) {
  const what = { act };
  for (const name of SIGNED) what[name] = leaf[name];
  return utf8.encode(canonical(what));
}

async function checkAuthor(keys, leaf, position) {
  const { signature, author } = leaf;
  const key = keys.get(signature.key);
  if (!key) throw new Wrong("unknown-key", { key: signature.key });
  if (key.organisation !== author.organisation) throw new Wrong("others-key", { author: author.organisation, owner: key.organisation });
  if (position < key.since || (key.until !== null && position > key.until)) throw new Wrong("key-not-valid", { key: key.id });
  if (key.algorithm === "WebAuthn" && key.holder !== (await holderOf(author, key.public))) throw new Wrong("passkey-other", { key: key.id, person: author.person });
  if (signature.alg === "WebAuthn" && key.algorithm === "WebAuthn") return checkPasskey(key.public, signature, statementOf(leaf, signature.act));
  if (signature.alg !== "Ed25519" || key.algorithm !== "Ed25519") throw new Wrong("key-algorithm", { key: key.id, algorithm: signature.alg });
  if (!(await ed25519(key.public, bytesOf(signature.value, "signature"), statementOf(leaf, signature.act)))) throw new Wrong("author-signature", { author: author.organisation });
}

// ---- passkeys: WebAuthn Level 3, section 7.2; the challenge is the SHA-256 of what is signed ----

const urlBytes = (text, part) => bytesOf(String(text).replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(String(text).length / 4) * 4, "="), part);
const urlOf = (bytes) => base64Of(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const LOCAL = ["localhost", "127.0.0.1"];

// A COSE key (RFC 9052) is a CBOR map (RFC 8949) of small integers to integers and bytes.
export function coseKey(bytes) {
  let at = 0;
  const next = () => { if (at >= bytes.length) throw new Wrong("passkey-key-short"); return bytes[at++]; };
  const argument = (low) => {
    if (low < 24) return low;
    if (low > 26) throw new Wrong("passkey-key-cose");
    let value = 0;
    for (let n = 2 ** (low - 24); n > 0; n -= 1) value = value * 256 + next();
    return value;
  };
  const item = () => {
    const [major, value] = ((first) => [first >> 5, argument(first & 31)])(next());
    if (major === 0) return value;
    if (major === 1) return -1 - value;
    if (major !== 2 || at + value > bytes.length) throw new Wrong("passkey-key-cose");
    at += value;
    return bytes.slice(at - value, at);
  };
  const first = next();
  if (first >> 5 !== 5) throw new Wrong("passkey-key-cose");
  const found = new Map();
  for (let n = argument(first & 31); n > 0; n -= 1) { const name = item(); found.set(name, item()); }
  if (at !== bytes.length) throw new Wrong("passkey-key-long");
  return found;
}

// ECDSA as ASN.1 (two INTEGERs in a SEQUENCE), as 64 bytes.
function plainEcdsa(der) {
  let at = 2;
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Wrong("passkey-malformed");
  const number = () => {
    const length = der[at + 1];
    const value = der.slice(at + 2, at + 2 + length);
    if (der[at] !== 2 || !length || value.length !== length) throw new Wrong("passkey-malformed");
    at += 2 + length;
    const bare = value.slice(value.findIndex((byte) => byte !== 0));
    if (bare.length > 32) throw new Wrong("passkey-malformed");
    return join(new Uint8Array(32 - bare.length), bare);
  };
  const both = join(number(), number());
  if (at !== der.length) throw new Wrong("passkey-malformed");
  return both;
}

async function passkeyHolds(cose, signature, message) {
  const key = coseKey(cose);
  const jwk = (fields, how) => crypto.subtle.importKey("jwk", fields, how, false, ["verify"]);
  const is = (kty, alg, curve) => key.get(1) === kty && key.get(3) === alg && (!curve || key.get(-1) === curve);
  if (is(2, -7, 1)) {
    const how = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
    return crypto.subtle.verify(how, await jwk({ kty: "EC", crv: "P-256", x: urlOf(key.get(-2)), y: urlOf(key.get(-3)) }, how), plainEcdsa(signature), message);
  }
  if (is(1, -8, 6)) return ed25519(key.get(-2), signature, message);
  if (is(3, -257)) {
    const how = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return crypto.subtle.verify(how, await jwk({ kty: "RSA", n: urlOf(key.get(-1)), e: urlOf(key.get(-2)) }, how), signature, message);
  }
  throw new Wrong("passkey-kind");
}

async function checkPasskey(cose, signature, statement) {
  const raw = urlBytes(signature.client_data, "client-data");
  const data = urlBytes(signature.authenticator_data, "passkey-data");
  let client, host, protocol;
  try {
    client = JSON.parse(strict.decode(raw));
    ({ hostname: host, protocol } = new URL(client.origin));
  } catch { throw new Wrong("client-data"); }
  if (client.type !== "webauthn.get") throw new Wrong("passkey-act");
  if (client.challenge !== urlOf(await sha256(statement))) throw new Wrong("passkey-challenge");
  if (host !== signature.rp && !host.endsWith(`.${signature.rp}`)) throw new Wrong("passkey-origin", { origin: client.origin, site: signature.rp });
  if (protocol !== "https:" && !LOCAL.includes(host)) throw new Wrong("passkey-open-line", { origin: client.origin });
  if (data.length < 37 || !same(data.slice(0, 32), await sha256(utf8.encode(signature.rp)))) throw new Wrong("passkey-site");
  if ((data[32] & 5) !== 5) throw new Wrong("passkey-person");
  if (!(await passkeyHolds(cose, urlBytes(signature.value, "passkey-signature"), join(data, await sha256(raw))))) throw new Wrong("passkey-signature");
}

// Whose passkey it is, as `record/keys` says it: logins are not shown to everyone.
async function holderOf({ organisation, person }, key) {
  return hex(await sha256(utf8.encode(canonical([organisation, person, base64Of(key)]))));
}

async function retire(keys, leaf, position) {
  const key = keys.get(leaf.body.key);
  if (key?.organisation !== leaf.author.organisation || key.algorithm !== "WebAuthn" || key.until !== null) throw new Wrong("retires-inactive");
  await checkAuthor(keys, leaf, position);
  if (keys.get(leaf.signature.key).algorithm === "WebAuthn") throw new Wrong("unvouched");
  key.until = position;
}

async function learn(keys, leaf, position) {
  const { body } = leaf;
  if (leaf.stream === "record/keys" && leaf.kind === "AuthorKeyRetired") return retire(keys, leaf, position);
  if (leaf.stream !== "record/keys" || leaf.kind !== "AuthorKeyRegistered" || body.organisation !== leaf.author.organisation) throw new Wrong("registers-none");
  const id = hex(await sha256(utf8.encode(canonical([body.organisation, body.algorithm, body.public])))).slice(0, 16);
  if (body.key !== id) throw new Wrong("key-name", { key: body.key });
  if (keys.has(id)) throw new Wrong("key-twice", { key: id });
  const key = { organisation: body.organisation, id, algorithm: body.algorithm, public: bytesOf(body.public, "public-key"), since: position, until: null, holder: body.holder };
  const claim = utf8.encode(canonical({ organisation: body.organisation, algorithm: body.algorithm, public: body.public }));
  const passkey = body.algorithm === "WebAuthn"; // enrolling it showed that somebody holds it
  if (!passkey && !(await ed25519(key.public, bytesOf(body.proof, "holding"), claim))) throw new Wrong("key-unheld", { key: id });
  const active = [...keys.values()].filter((k) => k.organisation === key.organisation && k.until === null);
  const lost = body.lost ?? [];
  const gone = [...(body.retires ?? []), ...lost];
  if (gone.some((name) => !active.some((k) => k.id === name))) throw new Wrong("retires-inactive");
  const vouched = active.some((k) => k.algorithm !== "WebAuthn" && !lost.includes(k.id));
  if (passkey && !body.holder) throw new Wrong("passkey-nobody", { key: id });
  if (passkey && !vouched) throw new Wrong("passkey-unvouched", { owner: key.organisation, key: id });
  await checkAuthor(vouched ? keys : new Map([[id, key]]), leaf, position);
  if (vouched && !active.some((k) => k.id === leaf.signature.key)) throw new Wrong("unvouched");
  for (const name of gone) keys.get(name).until = position;
  keys.set(id, key);
}

// ---- the bundle -------------------------------------------------------------------------------

async function included(entry, head) {
  const raw = utf8.encode(entry.leaf);
  const path = entry.proof.map((h, i) => bytesOf(h, "hash", i + 1));
  if (path.some((h) => h.length !== 32)) throw new Wrong("hash-length");
  const root = await rootOf(BigInt(entry.index), head.size, await leafHash(raw), path);
  if (!same(root, head.root)) throw new Wrong("not-in-tree");
  return JSON.parse(entry.leaf);
}

// Check a bundle (its bytes) against a log key and a policy's text. Returns what was found;
// `problems` is empty if and only if everything that this browser can check holds. Each problem
// has a `place` (with `at`) and a `code` (with `values`), and both in English: `where` and `what`.
export async function verify(raw, { key, policy } = {}) {
  const found = { problems: [], entries: 0, signatures: 0, cosigned: [], origin: "", size: 0n, stream: "", checked: await canCheckSignatures() };
  const wrong = (place, error, at = {}) => {
    const { code, values } = error instanceof Wrong ? error : { code: "unreadable", values: {} };
    found.problems.push({ where: filled(PLACES[place], at), what: error.message, place, at, code, values });
  };
  let bundle;
  try {
    bundle = JSON.parse(strict.decode(raw));
    if (bundle?.format !== FORMAT) throw new Wrong("format", { format: FORMAT });
    if (typeof bundle.checkpoint !== "string" || typeof bundle.log !== "string" || typeof bundle.stream !== "string") throw new Wrong("part-missing");
    for (const entry of [...bundle.keys, ...bundle.entries]) if (!Number.isSafeInteger(entry.index) || typeof entry.leaf !== "string" || !Array.isArray(entry.proof)) throw new Wrong("entry-malformed");
  } catch (error) { wrong("file", error); return found; }
  found.stream = bundle.stream;
  let head;
  try {
    const note = parseNote(bundle.checkpoint);
    head = parseCheckpoint(note.text);
    [found.origin, found.size] = [head.origin, head.size];
    const log = await parseVkey(key ?? bundle.log);
    if (log.name !== head.origin) throw new Wrong("log-key", { name: log.name, origin: head.origin });
    const text = policy ?? bundle.policy;
    const rules = text ? await parsePolicy(text) : null;
    if (found.checked) {
      if (!(await signedBy(note, log))) throw new Wrong("log-unsigned", { origin: head.origin });
      if (rules && !rules.logs.some((l) => l.text === log.text)) throw new Wrong("log-unlisted");
      for (const witness of rules?.witnesses ?? []) if (await signedBy(note, witness.vkey)) found.cosigned.push(witness.name);
      const host = head.origin.split("/")[0];
      const counted = found.cosigned.filter((name) => rules.witnesses.find((w) => w.name === name).vkey.name.split("/")[0] !== host);
      found.cosigned = counted;
      if (rules && !quorate(rules, counted)) throw counted.length ? new Wrong("too-few", { names: counted.join(", ") }) : new Wrong("nobody-cosigned");
    }
  } catch (error) { wrong("checkpoint", error); if (!head) return found; }
  const keys = new Map();
  for (const [place, entry] of bundle.keys.entries()) {
    try {
      const leaf = await included(entry, head);
      if (found.checked) await learn(keys, leaf, entry.index + 1);
    } catch (error) { wrong("keys", error, { n: place }); }
  }
  let before = -1;
  for (const [place, entry] of bundle.entries.entries()) {
    try {
      const leaf = await included(entry, head);
      if (leaf.stream !== bundle.stream) throw new Wrong("other-stream", { stream: leaf.stream });
      if (leaf.version !== place + 1) throw new Wrong("gap", { version: leaf.version });
      if (entry.index <= before) throw new Wrong("order");
      before = entry.index;
      found.entries += 1;
      if (leaf.signature && found.checked) { await checkAuthor(keys, leaf, entry.index + 1); found.signatures += 1; }
    } catch (error) { wrong("event", error, { n: place + 1, position: entry.index + 1 }); }
  }
  if (!bundle.entries.length) wrong("entries", new Wrong("no-entries"));
  return found;
}
