import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Fault, type FaultProxy, faultProxy } from "../fakes/fault-proxy.ts";
import { type WireProxy, wireProxy } from "../fakes/wire-proxy.ts";

let upstream: Server;
let port: number;
let served: string[];
let proxy: FaultProxy;
let wires: WireProxy[];

beforeEach(async () => {
  served = [];
  wires = [];
  upstream = createServer((request, response) => {
    served.push(`${request.method} ${request.url}`);
    request.resume().on("end", () => response.end("twenty-bytes-of-body"));
  });
  upstream.listen(0, "127.0.0.1");
  await once(upstream, "listening");
  port = (upstream.address() as AddressInfo).port;
  proxy = await faultProxy({ upstream: { host: "127.0.0.1", port }, random: () => 0.5 });
});

afterEach(async () => {
  await Promise.all([proxy, ...wires].map((each) => each[Symbol.asyncDispose]()));
  upstream.closeAllConnections();
  upstream.close();
});

async function call(path = "/a", init: RequestInit = {}): Promise<string> {
  const answer = await fetch(new URL(path, proxy.url), { signal: AbortSignal.timeout(5_000), ...init });
  return `${answer.status} ${await answer.text()}`;
}

test("lets pass what no rule is for", async () => {
  proxy.add({ match: /\/other/, fault: { kind: "answer", status: 500 } });

  await expect(call("/a?b=c", { method: "POST", body: "x" })).resolves.toBe("200 twenty-bytes-of-body");
  expect(served).toEqual(["POST /a?b=c"]);
});

test("a rule is spent after so many calls", async () => {
  const rule = proxy.add({ match: /GET/, fault: { kind: "answer", status: 503, body: "no" }, times: 2 });

  await expect(Promise.all([call(), call()])).resolves.toEqual(["503 no", "503 no"]);
  await expect(call()).resolves.toMatch(/^200/);
  expect(rule.hits).toBe(2);
});

test("a rule with a probability asks the dice that it was given", async () => {
  proxy.add({ match: /GET/, fault: { kind: "answer", status: 503 }, probability: 0.5 });
  proxy.add({ match: /GET/, fault: { kind: "answer", status: 502 }, probability: 0.6 });

  await expect(call()).resolves.toMatch(/^502/);
});

test.each<Fault["kind"]>(["lose-answer", "reset-after-headers", "cut-body"])(
  "%s reaches the upstream and breaks on the way back",
  async (kind) => {
    proxy.add({ match: /GET/, fault: { kind } as Fault });

    await expect(call()).rejects.toThrow(/fetch failed|terminated/);
    expect(served).toEqual(["GET /a"]);
  },
);

test("a black hole never answers and is not heard of upstream", async () => {
  proxy.add({ match: /GET/, fault: { kind: "black-hole" } });

  await expect(call("/a", { signal: AbortSignal.timeout(50) })).rejects.toThrow(/timeout/);
  expect(served).toEqual([]);
});

test("trickled bytes arrive whole", async () => {
  proxy.add({ match: /GET/, fault: { kind: "trickle", bytes: 3, bytesPerSecond: 1_000 } });

  await expect(call()).resolves.toBe("200 twenty-bytes-of-body");
});

test("something may happen before a call passes", async () => {
  proxy.add({
    match: /GET/,
    fault: {
      kind: "first",
      run: async () => {
        served.push("before");
      },
    },
  });

  await call();

  expect(served).toEqual(["before", "GET /a"]);
});

test("an upstream that is away looks as it does without a proxy", async () => {
  upstream.close();
  upstream.closeAllConnections();

  await expect(call()).rejects.toThrow(/fetch failed|terminated/);
});

test("a wire in slices of one byte changes no byte", async () => {
  const wire = await wireProxy({ upstreamPort: port, wire: { sliceBytes: 1 }, random: () => 0 });
  wires.push(wire);

  const answer = await fetch(`http://127.0.0.1:${wire.port}/sliced`);

  await expect(answer.text()).resolves.toBe("twenty-bytes-of-body");
});

test("a stalled wire goes on where it stopped", async () => {
  const wire = await wireProxy({ upstreamPort: port, wire: { stalled: true }, random: () => 0 });
  wires.push(wire);

  const answer = fetch(`http://127.0.0.1:${wire.port}/later`);
  await expect.poll(() => wire.open).toBe(1);
  expect(served).toEqual([]);
  wire.wire.stalled = false;

  await expect(answer.then((response) => response.text())).resolves.toBe("twenty-bytes-of-body");
});

test("a cut wire breaks what is under way", async () => {
  const wire = await wireProxy({ upstreamPort: port, wire: { stalled: true }, random: () => 0 });
  wires.push(wire);

  const answer = fetch(`http://127.0.0.1:${wire.port}/cut`);
  await expect.poll(() => wire.open).toBe(1);
  wire.cut();

  await expect(answer).rejects.toThrow(/fetch failed|terminated/);
});
