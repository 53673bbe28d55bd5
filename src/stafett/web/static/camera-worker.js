// Reads symbols from frames. It runs under a policy of its own, which allows WebAssembly.
import { prepareZXingModule, readBarcodes } from "./vendor/zxing-wasm-3.1.4/reader/index.js";

prepareZXingModule({ overrides: { locateFile: (name) => new URL(`./vendor/zxing-wasm-3.1.4/reader/${name}`, import.meta.url).href } });
const OPTIONS = { formats: ["DataMatrix", "QRCode", "Code128", "DataBar"], tryHarder: true, maxNumberOfSymbols: 4 };
// Of these symbologies FNC1 says that the content is GS1: a scanner tells so in front.
const GS1 = new Set(["]C1", "]d2", "]Q3", "]e0", "]J1"]);

self.onmessage = async ({ data: { id, image } }) => {
  try {
    const found = await readBarcodes(image, OPTIONS);
    const texts = found.filter((one) => one.isValid).map((one) => {
      const text = new TextDecoder("utf-8").decode(one.bytes);
      return GS1.has(one.symbologyIdentifier) ? one.symbologyIdentifier + text : text;
    });
    self.postMessage({ id, texts: [...new Set(texts)] });
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
};
