// What a scan says, in the one form in which identifiers are compared: a small part of
// stafett.identity, for stopping without a network. Whatever it does not know for certain it leaves
// to the record (null): a match is never said here, only a sure mismatch.
const COI = /^CH[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{4}[A-Z0-9]{6}$/;
const DIN = /^[A-NP-Z1-9][A-NP-Z0-9]{2}[0-9]{10}$/;
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*";

// ISO/IEC 7064 MOD 37-2 (ISBT 128 ST-001, appendix A).
function check(text) {
  let t = 0;
  for (const c of text) t = ((t + ALPHABET.indexOf(c)) * 2) % 37;
  return ALPHABET[(38 - t) % 37];
}

// GS1 modulo 10.
function digit(digits) {
  let sum = 0;
  [...digits].reverse().forEach((d, i) => { sum += Number(d) * (i % 2 === 0 ? 3 : 1); });
  return String((10 - (sum % 10)) % 10);
}

function clean(raw) {
  return raw.replace(/^[ \r\n\t]+|[ \r\n\t]+$/g, "").replace(/\x1d+$/, "");
}

function typed(text, shape, length) {
  const plain = text.replace(/[ -]/g, "").toUpperCase();
  const body = plain.slice(0, length);
  return plain.length === length + 1 && shape.test(body) && plain[length] === check(body) ? body : null;
}

const READ = {
  "isbt128-coi": (text) => (text.startsWith("&/") && COI.test(text.slice(2)) ? text.slice(2) : typed(text, COI, 15)),
  "isbt128-din": (text) => {
    if (!text.startsWith("=")) return typed(text, DIN, 13);
    const [body, flags] = [text.slice(1, 14), text.slice(14)];
    return text.length === 16 && DIN.test(body) && /^[0-5][0-9]$/.test(flags) ? body : null;
  },
  "gs1-sscc": (text) => {
    const found = /^(?:\(00\)|\x1d?00)([0-9]{18})$/.exec(text);
    return found && digit(found[1].slice(0, 17)) === found[1][17] ? `(00)${found[1]}` : null;
  },
  plain: (text) => (/^[ -~]{1,200}$/.test(text) ? text : null),
};

// The canonical text of a scan of `structure`, or null where this side cannot tell.
export function canonical(structure, raw) {
  if (structure === "plain") return READ.plain(raw.trim());
  let text = clean(raw);
  if (/^\](C1|d2|Q3|e0|J1)/.test(text)) return null; // GS1 element strings: the record reads them
  if (/^\][A-Za-z][0-9A-Za-z]/.test(text)) text = text.slice(3);
  return READ[structure]?.(text) ?? null;
}

// What an answer surely amounts to as far as this side knows: "fail" where it must stop, else null.
export function surely(check_, value, method) {
  if (value === null) return check_.critical ? "unknown" : null;
  if (check_.kind === "choice") {
    const choice = check_.choices.find((c) => c.id === value);
    return choice && choice.means !== "pass" ? choice.means : null;
  }
  if (check_.kind === "quantity") {
    const low = check_.min !== null && value < check_.min;
    return low || (check_.max !== null && value > check_.max) ? "fail" : null;
  }
  if (check_.kind !== "scan" || !check_.known) return null;
  const text = canonical(check_.structure, value);
  return text !== null && text !== check_.known ? "fail" : null;
}
