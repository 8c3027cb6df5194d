// Feeds messages to the reducer of the examples: one JSON array a line in, what stands a line out.
import { createInterface } from "node:readline";
import { newest } from "../../examples/node/reducer.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const jobs = new Map();
  const news = newest(jobs);
  const fresh = JSON.parse(line).map(({ type, headers, content }) =>
    Boolean(news({ properties: { type, headers }, content: Buffer.from(content, "base64") })),
  );
  const standing = [...jobs].map(([key, { type, text, ended }]) => {
    return { key, type, text, ended, utf8: Buffer.from(text).toString("base64") };
  });
  console.log(JSON.stringify({ fresh, standing }));
}
