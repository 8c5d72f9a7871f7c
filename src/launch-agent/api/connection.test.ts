import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeControlPlane } from "../../../test/fakes/fake-control-plane.ts";
import { systemClock } from "../../lib/clock.ts";
import { Secret } from "../../lib/secret.ts";
import { AgentApi } from "./client.ts";
import { proxyFor, specialConnection } from "./connection.ts";

const proxies = { https: "http://secure.proxy:3128", http: "http://plain.proxy:3128" };
const never = new AbortController().signal;

test.each([
  ["https://control.example", undefined, proxies.https],
  ["http://control.example", undefined, proxies.http],
  ["https://control.example", "example", undefined],
  ["https://control.example", ".example", undefined],
  ["https://control.example", "*.example", undefined],
  ["https://control.example", "other.example, control.example", undefined],
  ["https://control.example", "ontrol.example", proxies.https],
  ["https://control.example", "control.example:8443", proxies.https],
  ["https://control.example:8443", "control.example:8443", undefined],
  ["https://CONTROL.example", "Control.Example", undefined],
  ["https://control.example", "*", undefined],
  ["http://10.1.2.3", "10.0.0.0/8", undefined],
  ["http://11.1.2.3", "10.0.0.0/8", proxies.http],
  ["http://[fd00::1]:8080", "fd00::/8", undefined],
  ["http://[fd00::1]", "fd00::1", undefined],
  ["http://control.example", "10.0.0.0/99", proxies.http],
])("reaches %s with NO_PROXY %s by the proxy %s", (url, not, proxy) => {
  expect(proxyFor(new URL(url), { ...proxies, not })).toBe(proxy);
});

let controlPlane: FakeControlPlane;
let proxy: Server;
let proxied: string[];

beforeEach(async () => {
  controlPlane = new FakeControlPlane();
  proxied = [];
  proxy = createServer((request, response) => {
    proxied.push(`${request.method} ${request.url} ${request.headers["proxy-authorization"] ?? ""}`);
    const url = new URL(request.url ?? "");
    const { host: _, ...headers } = request.headers;
    fetch(url, { headers: headers as Record<string, string> }).then(
      async (answer) => response.writeHead(answer.status).end(await answer.text()),
      () => response.writeHead(502).end(),
    );
  });
  proxy.on("connect", (request, socket, head) => {
    proxied.push(`CONNECT ${request.url}`);
    const [host, port] = (request.url ?? "").split(":");
    const up = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      up.write(head);
      up.pipe(socket).pipe(up);
    });
    up.on("error", () => socket.destroy());
    socket.on("error", () => up.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
});

afterEach(async () => {
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
  await controlPlane.close();
});

test("asks a proxy for an http control plane by its whole address, with the credentials of the setting", async () => {
  const baseUrl = await controlPlane.listen();
  const http = `http://user:pass%21@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  const connection = await specialConnection({ baseUrl, proxies: { http } });
  const api = new AgentApi({
    address: { baseUrl, connection },
    token: new Secret(controlPlane.classToken),
    version: "test",
    clock: systemClock,
    random: () => 0,
    timeoutMs: 5_000,
  });

  const answer = await api.classOf(new Secret(controlPlane.classToken), never);
  await api.close();

  expect(answer).toEqual({ resource_class: "ns/class" });
  const credentials = Buffer.from("user:pass!").toString("base64");
  expect(proxied).toEqual([`GET ${baseUrl}/api/agent/v1/class Basic ${credentials}`]);
});

test("needs no connection of its own without proxy and authorities", async () => {
  await expect(specialConnection({ baseUrl: "https://control.example", proxies: {} })).resolves.toBeUndefined();
});
