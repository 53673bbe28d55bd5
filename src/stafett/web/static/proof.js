// Check a journey's proof in the browser, with nothing but the file, a key and a policy.
// It follows stafett.ledger.bundle step by step: RFC 6962 hashes, C2SP notes and cosignatures.
// No import: whoever reads this file has read the whole check.

const FORMAT = "stafett-journey-proof/1";
const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true });

export class Wrong extends Error {}

// ---- bytes ---------------------------------------------------------------------------------

export function bytesOf(base64, what) {
  if (typeof base64 !== "string" || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64)) throw new Wrong(`${what} is not base64`);
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  if (base64Of(bytes) !== base64) throw new Wrong(`${what} is not canonical base64`);
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
  if (index < 0n || index >= size) throw new Wrong(`there is no entry ${index} in a tree of ${size}`);
  let [fn, sn, hash] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (sn === 0n) throw new Wrong("the proof has more hashes than the tree has levels");
    if (fn % 2n === 1n || fn === sn) {
      hash = await nodeHash(sibling, hash);
      while (fn % 2n === 0n && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else hash = await nodeHash(hash, sibling);
    fn >>= 1n; sn >>= 1n;
  }
  if (sn !== 0n) throw new Wrong("the proof has fewer hashes than the tree has levels");
  return hash;
}

// ---- notes and keys: C2SP signed-note, tlog-checkpoint, tlog-cosignature ----------------------

export async function parseVkey(text) {
  const at = text.indexOf("+");
  const next = text.indexOf("+", at + 1);
  if (at < 1 || next < 0) throw new Wrong("a key is name+id+base64");
  const [name, id, raw] = [text.slice(0, at), text.slice(at + 1, next), bytesOf(text.slice(next + 1), "the key")];
  const derived = (await sha256(join(utf8.encode(name), Uint8Array.of(10), raw))).slice(0, 4);
  if (hex(derived) !== id) throw new Wrong(`the key of ${name} does not have the id ${id}`);
  return { name, id: derived, kind: raw[0], key: raw.slice(1), text };
}

export function parseNote(raw) {
  const end = raw.lastIndexOf("\n\n");
  if (end < 0 || !raw.endsWith("\n")) throw new Wrong("the checkpoint is no signed note");
  const signatures = raw.slice(end + 2, -1).split("\n").map((line) => {
    const found = /^— (\S+) (\S+)$/.exec(line);
    if (!found) throw new Wrong("a signature line of the checkpoint is malformed");
    const value = bytesOf(found[2], "a signature line");
    if (value.length < 5) throw new Wrong("a signature line is too short");
    return { name: found[1], id: value.slice(0, 4), value: value.slice(4) };
  });
  return { text: raw.slice(0, end + 1), signatures };
}

export function parseCheckpoint(text) {
  const [origin, size, root, ...rest] = text.slice(0, -1).split("\n");
  if (!origin || !/^(0|[1-9][0-9]{0,18})$/.test(size ?? "")) throw new Wrong("the checkpoint has no tree size");
  const digest = bytesOf(root, "the root");
  if (digest.length !== 32) throw new Wrong("the root has not 32 bytes");
  if (rest.some((line) => line === "")) throw new Wrong("an extension line is empty");
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
  if (!(await ed25519(vkey.key, value, message))) throw new Wrong(`the signature of ${vkey.name} is wrong: the checkpoint was changed or forged`);
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
      if (!(Number.isInteger(least) && least >= 1 && least <= members.length)) throw new Wrong(`the policy's group ${name} asks for ${how} of ${members.length}`);
      policy.groups.push({ name, least, members });
    } else if (what === "quorum") policy.quorum = rest[0];
    else throw new Wrong(`the policy has a line that begins with ${what}`);
  }
  if (policy.quorum === null) throw new Wrong("the policy has no quorum line");
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
  if (!key) throw new Wrong(`it is signed with the key ${signature.key}, which is not known`);
  if (key.organisation !== author.organisation) throw new Wrong(`it is from ${author.organisation} and signed with a key of ${key.organisation}`);
  if (position < key.since || (key.until !== null && position > key.until)) throw new Wrong(`the key ${key.id} was not valid here`);
  if (signature.alg === "WebAuthn" && key.algorithm === "WebAuthn") return checkPasskey(key.public, signature, statementOf(leaf, signature.act));
  if (signature.alg !== "Ed25519" || key.algorithm !== "Ed25519") throw new Wrong(`the key ${key.id} does not sign with ${signature.alg}`);
  if (!(await ed25519(key.public, bytesOf(signature.value, "the signature"), statementOf(leaf, signature.act)))) throw new Wrong(`the signature of ${author.organisation} does not hold`);
}

// ---- passkeys: WebAuthn Level 3, section 7.2; the challenge is the SHA-256 of what is signed ----

const urlBytes = (text, what) => bytesOf(String(text).replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(String(text).length / 4) * 4, "="), what);
const urlOf = (bytes) => base64Of(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const LOCAL = ["localhost", "127.0.0.1"];

// A COSE key (RFC 9052) is a CBOR map (RFC 8949) of small integers to integers and bytes.
export function coseKey(bytes) {
  let at = 0;
  const next = () => { if (at >= bytes.length) throw new Wrong("the passkey's key is cut short"); return bytes[at++]; };
  const argument = (low) => {
    if (low < 24) return low;
    if (low > 26) throw new Wrong("the passkey's key is no COSE key");
    let value = 0;
    for (let n = 2 ** (low - 24); n > 0; n -= 1) value = value * 256 + next();
    return value;
  };
  const item = () => {
    const [major, value] = ((first) => [first >> 5, argument(first & 31)])(next());
    if (major === 0) return value;
    if (major === 1) return -1 - value;
    if (major !== 2 || at + value > bytes.length) throw new Wrong("the passkey's key is no COSE key");
    at += value;
    return bytes.slice(at - value, at);
  };
  const first = next();
  if (first >> 5 !== 5) throw new Wrong("the passkey's key is no COSE key");
  const found = new Map();
  for (let n = argument(first & 31); n > 0; n -= 1) { const name = item(); found.set(name, item()); }
  if (at !== bytes.length) throw new Wrong("the passkey's key has bytes behind its end");
  return found;
}

// ECDSA as ASN.1 (two INTEGERs in a SEQUENCE), as 64 bytes.
function plainEcdsa(der) {
  let at = 2;
  if (der[0] !== 0x30 || der[1] !== der.length - 2) throw new Wrong("the passkey's signature is malformed");
  const number = () => {
    const length = der[at + 1];
    const value = der.slice(at + 2, at + 2 + length);
    if (der[at] !== 2 || !length || value.length !== length) throw new Wrong("the passkey's signature is malformed");
    at += 2 + length;
    const bare = value.slice(value.findIndex((byte) => byte !== 0));
    if (bare.length > 32) throw new Wrong("the passkey's signature is malformed");
    return join(new Uint8Array(32 - bare.length), bare);
  };
  const both = join(number(), number());
  if (at !== der.length) throw new Wrong("the passkey's signature is malformed");
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
  throw new Wrong("a kind of passkey signed it that this page cannot check: use `stafett journey verify`");
}

async function checkPasskey(cose, signature, statement) {
  const raw = urlBytes(signature.client_data, "the passkey's client data");
  const data = urlBytes(signature.authenticator_data, "the passkey's data");
  let client, host, protocol;
  try {
    client = JSON.parse(strict.decode(raw));
    ({ hostname: host, protocol } = new URL(client.origin));
  } catch { throw new Wrong("the passkey's client data cannot be read"); }
  if (client.type !== "webauthn.get") throw new Wrong("the passkey did not sign this, it did something else");
  if (client.challenge !== urlOf(await sha256(statement))) throw new Wrong("the passkey signed something else");
  if (host !== signature.rp && !host.endsWith(`.${signature.rp}`)) throw new Wrong(`it was signed at ${client.origin}, not at ${signature.rp}`);
  if (protocol !== "https:" && !LOCAL.includes(host)) throw new Wrong(`it was signed at ${client.origin}, over an open line`);
  if (data.length < 37 || !same(data.slice(0, 32), await sha256(utf8.encode(signature.rp)))) throw new Wrong("the passkey is bound to another site");
  if ((data[32] & 5) !== 5) throw new Wrong("the passkey did not see its person (finger, face or PIN)");
  if (!(await passkeyHolds(cose, urlBytes(signature.value, "the passkey's signature"), join(data, await sha256(raw))))) throw new Wrong("the passkey's signature does not hold");
}

async function learn(keys, leaf, position) {
  const { body } = leaf;
  if (leaf.stream !== "record/keys" || leaf.kind !== "AuthorKeyRegistered" || body.organisation !== leaf.author.organisation) throw new Wrong("it registers no key");
  const id = hex(await sha256(utf8.encode(canonical([body.organisation, body.algorithm, body.public])))).slice(0, 16);
  if (body.key !== id) throw new Wrong(`${body.key} is not the name of this key`);
  if (keys.has(id)) throw new Wrong(`the key ${id} is registered already`);
  const key = { organisation: body.organisation, id, algorithm: body.algorithm, public: bytesOf(body.public, "the public key"), since: position, until: null };
  const claim = utf8.encode(canonical({ organisation: body.organisation, algorithm: body.algorithm, public: body.public }));
  const passkey = body.algorithm === "WebAuthn"; // enrolling it showed that somebody holds it
  if (!passkey && !(await ed25519(key.public, bytesOf(body.proof, "the proof"), claim))) throw new Wrong(`nobody has shown to hold the key ${id}`);
  const active = [...keys.values()].filter((k) => k.organisation === key.organisation && k.until === null);
  const lost = body.lost ?? [];
  const gone = [...(body.retires ?? []), ...lost];
  if (gone.some((name) => !active.some((k) => k.id === name))) throw new Wrong("it retires a key that is not active");
  const vouched = active.some((k) => k.algorithm !== "WebAuthn" && !lost.includes(k.id));
  if (passkey && !vouched) throw new Wrong(`no key of ${key.organisation} vouches for the passkey ${id}`);
  await checkAuthor(vouched ? keys : new Map([[id, key]]), leaf, position);
  if (vouched && !active.some((k) => k.id === leaf.signature.key)) throw new Wrong("no active key vouches for it");
  for (const name of gone) keys.get(name).until = position;
  keys.set(id, key);
}

// ---- the bundle -------------------------------------------------------------------------------

async function included(entry, head) {
  const raw = utf8.encode(entry.leaf);
  const path = entry.proof.map((h, i) => bytesOf(h, `hash ${i} of the proof`));
  if (path.some((h) => h.length !== 32)) throw new Wrong("a hash of the proof has not 32 bytes");
  const root = await rootOf(BigInt(entry.index), head.size, await leafHash(raw), path);
  if (!same(root, head.root)) throw new Wrong("it is not in the signed tree as it stands here: its bytes or its proof were changed");
  return JSON.parse(entry.leaf);
}

// Check a bundle (its bytes) against a log key and a policy's text. Returns what was found;
// `problems` is empty if and only if everything that this browser can check holds.
export async function verify(raw, { key, policy } = {}) {
  const found = { problems: [], entries: 0, signatures: 0, cosigned: [], origin: "", size: 0n, stream: "", checked: await canCheckSignatures() };
  const wrong = (where, error) => found.problems.push({ where, what: error.message });
  let bundle;
  try {
    bundle = JSON.parse(strict.decode(raw));
    if (bundle?.format !== FORMAT) throw new Wrong(`the format is not ${FORMAT}`);
    if (typeof bundle.checkpoint !== "string" || typeof bundle.log !== "string" || typeof bundle.stream !== "string") throw new Wrong("a part is missing");
    for (const entry of [...bundle.keys, ...bundle.entries]) if (!Number.isSafeInteger(entry.index) || typeof entry.leaf !== "string" || !Array.isArray(entry.proof)) throw new Wrong("an entry is malformed");
  } catch (error) { wrong("file", error); return found; }
  found.stream = bundle.stream;
  let head;
  try {
    const note = parseNote(bundle.checkpoint);
    head = parseCheckpoint(note.text);
    [found.origin, found.size] = [head.origin, head.size];
    const log = await parseVkey(key ?? bundle.log);
    if (log.name !== head.origin) throw new Wrong(`the key is of ${log.name}, the checkpoint of ${head.origin}`);
    const text = policy ?? bundle.policy;
    const rules = text ? await parsePolicy(text) : null;
    if (found.checked) {
      if (!(await signedBy(note, log))) throw new Wrong(`the log ${head.origin} did not sign it with the key that is known here`);
      if (rules && !rules.logs.some((l) => l.text === log.text)) throw new Wrong("the policy does not list this log");
      for (const witness of rules?.witnesses ?? []) if (await signedBy(note, witness.vkey)) found.cosigned.push(witness.name);
      const host = head.origin.split("/")[0];
      const counted = found.cosigned.filter((name) => rules.witnesses.find((w) => w.name === name).vkey.name.split("/")[0] !== host);
      found.cosigned = counted;
      if (rules && !quorate(rules, counted)) throw new Wrong(`too few cosignatures: ${counted.join(", ") || "nobody"} cosigned`);
    }
  } catch (error) { wrong("checkpoint", error); if (!head) return found; }
  const keys = new Map();
  for (const [place, entry] of bundle.keys.entries()) {
    try {
      const leaf = await included(entry, head);
      if (found.checked) await learn(keys, leaf, entry.index + 1);
    } catch (error) { wrong(`keys[${place}]`, error); }
  }
  let before = -1;
  for (const [place, entry] of bundle.entries.entries()) {
    const where = `event ${place + 1} (position ${entry.index + 1})`;
    try {
      const leaf = await included(entry, head);
      if (leaf.stream !== bundle.stream) throw new Wrong(`it belongs to ${leaf.stream}`);
      if (leaf.version !== place + 1) throw new Wrong(`it is number ${leaf.version} of its stream: one before it is missing`);
      if (entry.index <= before) throw new Wrong("it stands before the one that it follows");
      before = entry.index;
      found.entries += 1;
      if (leaf.signature && found.checked) { await checkAuthor(keys, leaf, entry.index + 1); found.signatures += 1; }
    } catch (error) { wrong(where, error); }
  }
  if (!bundle.entries.length) wrong("entries", new Wrong("there are none"));
  return found;
}
