// The stack of the original brief: Bun, csv-parse, a schema of Effect for each record, CSV files.
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { Readable } from "node:stream";
import { parse } from "csv-parse";
import { Schema } from "effect";

const Greeks = Schema.Struct({
  symbol: Schema.String,
  expiration: Schema.String,
  strike: Schema.NumberFromString,
  right: Schema.Literals(["CALL", "PUT"]),
  timestamp: Schema.String,
  bid: Schema.NumberFromString,
  ask: Schema.NumberFromString,
  delta: Schema.NumberFromString,
  theta: Schema.NumberFromString,
  vega: Schema.NumberFromString,
  rho: Schema.NumberFromString,
  epsilon: Schema.NumberFromString,
  lambda: Schema.NumberFromString,
  implied_vol: Schema.NumberFromString,
  iv_error: Schema.NumberFromString,
  underlying_timestamp: Schema.String,
  underlying_price: Schema.NumberFromString,
});
const decode = Schema.decodeUnknownSync(Greeks);

const [folder, ...urls] = process.argv.slice(2);
let rows = 0;
for (const [number, url] of urls.entries()) {
  const reply = await fetch(url);
  const out = createWriteStream(`${folder}/${number}.csv`);
  const records = Readable.fromWeb(reply.body).pipe(parse({ columns: true }));
  for await (const record of records) {
    const row = decode(record);
    if (rows === 0 || !out.bytesWritten && !out.writableLength) out.write(Object.keys(row).join(",") + "\n");
    if (!out.write(Object.values(row).join(",") + "\n")) await once(out, "drain");
    rows += 1;
  }
  out.end();
  await once(out, "finish");
}
console.log(JSON.stringify({ rows }));
