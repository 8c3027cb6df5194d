// Prints what AsyncAPI's own parser has against a document, as JSON: validate.mjs FILE
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
const found = diagnostics.map(({ code, message, path }) => ({ code, message, path: path.join("/") }));
const operations = document?.operations().all() ?? [];
const receives = Object.fromEntries(
  operations
    .filter((operation) => operation.isReceive())
    .map((operation) => [
      operation.id(),
      {
        asks: operation.messages().all().map((message) => message.name()),
        address: operation.reply().address().location(),
        answers: operation.reply().messages().all().map((message) => message.name()),
      },
    ]),
);
console.log(JSON.stringify({ found, version: document?.version(), receives }));
